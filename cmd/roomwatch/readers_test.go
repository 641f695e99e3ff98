package main

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"roomwatch/poller/simulator"
)

// A browser that reads events: it connects again, with the id of the last one,
// whenever the answer ends.
type browser struct {
	mu     sync.Mutex
	events []string // ids of the CloudEvents
	resets int
}

func (b *browser) run(ctx context.Context, url string) {
	last := ""
	for ctx.Err() == nil {
		last = b.once(ctx, url, last)
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (b *browser) once(ctx context.Context, url, last string) string {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return last
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return last
	}
	defer func() { _ = resp.Body.Close() }()
	id, event := "", ""
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			id = value
		case "event":
			event = value
		case "data":
			var e struct{ ID string }
			b.mu.Lock()
			if event == "reset" {
				b.resets++
			} else if json.Unmarshal([]byte(value), &e) == nil {
				b.events = append(b.events, e.ID)
			}
			b.mu.Unlock()
			last = id
		}
	}
	return last
}

func (b *browser) seen() ([]string, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.events), b.resets
}

// Whatever dies, the readers get every event once and in order: NATS goes and
// comes, and so does the daemon, both ways.
func TestReadersMissNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, lively(simulator.NextFrozen))
	addr, data := freeAddr(t), t.TempDir()
	env := r.env(data, "ROOMWATCH_HTTP_ADDR="+addr)
	ctx, cancel := context.WithCancel(t.Context())
	var b browser
	var reading sync.WaitGroup
	reading.Go(func() { b.run(ctx, "http://"+addr+"/api/v1/events?since=1h") })
	defer reading.Wait()
	defer cancel()
	more := func() {
		t.Helper()
		before, _ := b.seen()
		eventually(t, "more events", func() bool { now, _ := b.seen(); return len(now) > len(before)+30 })
	}
	d := startProcess(t, env, "run")
	more()
	r.stopNATS()
	r.startNATS()
	more()
	if status := d.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, d.output)
	}
	d = startProcess(t, env, "run")
	more()
	d.kill()
	r.stopNATS()
	startProcess(t, env, "run")
	eventually(t, "the API without NATS", func() bool { status, _ := fetch(addr, "/healthz"); return status == http.StatusOK })
	r.startNATS()
	more()
	var want []string
	for _, e := range settle(t, r.nc, r.world) {
		want = append(want, e.ID)
	}
	eventually(t, "the last event", func() bool { got, _ := b.seen(); return len(got) >= len(want) })
	if got, resets := b.seen(); !slices.Equal(got, want) || resets > 0 {
		t.Errorf("%d events and %d resets were read, the stream has %d events", len(got), resets, len(want))
		for i := range min(len(got), len(want)) {
			if got[i] != want[i] {
				t.Fatalf("event %d is %s, want %s", i, got[i], want[i])
			}
		}
	}
}

// Readers do not keep the daemon from ending, and nothing of them is left.
func TestReadersDoNotHoldTheDaemon(t *testing.T) {
	for name, more := range map[string]string{"embedded": "NATS_URL=", "apart": "ROOMWATCH_LOG_LEVEL=info"} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, lively(simulator.NextFrozen))
			running := goleak.IgnoreCurrent()
			addr := freeAddr(t)
			out, stop := startInProcess(t, r.env(t.TempDir(), "ROOMWATCH_NATS_PORT=0", "ROOMWATCH_HTTP_ADDR="+addr, more))
			eventually(t, "ready", func() bool { status, _ := fetch(addr, "/readyz"); return status == http.StatusOK })
			ctx, cancel := context.WithCancel(t.Context())
			var readers [5]browser
			var reading sync.WaitGroup
			for i := range readers {
				reading.Go(func() { readers[i].once(ctx, "http://"+addr+"/api/v1/events?since=1h", "") })
			}
			eventually(t, "events", func() bool { got, _ := readers[4].seen(); return len(got) > 50 })
			began := time.Now()
			if status := stop(); status != 0 {
				t.Errorf("exit status %d:\n%s", status, out)
			}
			if took := time.Since(began); took > 1800*time.Millisecond { // the server would cut them off after 2 s
				t.Errorf("the stop took %s", took)
			}
			reading.Wait()
			cancel()
			http.DefaultClient.CloseIdleConnections()
			r.api.CloseClientConnections()
			r.nc.Close()
			r.stopNATS() // its stream was made by the daemon, after we looked
			goleak.VerifyNone(t, running)
		})
	}
}
