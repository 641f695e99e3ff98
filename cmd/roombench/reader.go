package main

import (
	"bufio"
	"context"
	"net/http"
	"time"

	"roomwatch/diff/retry"
)

// readPage reads what an open status page and a scrape read, until ctx is done.
// What it cannot read does not matter here: the load is what is wanted.
func readPage(ctx context.Context, addr string) {
	go readEvents(ctx, addr)
	for n := 0; retry.Sleep(ctx, 2*time.Second) == nil; n++ {
		_, _ = get(ctx, "http://"+addr+"/api/v1/status")
		if n%3 == 0 {
			_, _ = get(ctx, "http://"+addr+"/api/v1/rooms?limit=20")
			_, _ = get(ctx, "http://"+addr+"/metrics")
		}
	}
}

// readEvents is a slow reader: it takes a line and then rests.
func readEvents(ctx context.Context, addr string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/api/v1/events", nil)
	if err != nil {
		return // unreachable: the address is one
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return
	}
	defer func() { _ = resp.Body.Close() }()
	for sc := bufio.NewScanner(resp.Body); sc.Scan() && retry.Sleep(ctx, 10*time.Millisecond) == nil; {
	}
}
