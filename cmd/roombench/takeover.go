package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"roomwatch/diff/retry"
)

const (
	takeoverLease = 5 * time.Second
	takeoverLook  = 20 * time.Millisecond
)

// A watcher is one of two daemons.
type watcher struct {
	*process
	addr string
}

// watcherStatus is what a takeover is seen by.
type watcherStatus struct {
	Role    string `json:"role"`
	Standby *struct {
		CaughtUp bool   `json:"caught_up"`
		Behind   uint64 `json:"behind"`
	} `json:"standby"`
	Sweep *struct {
		Pages int `json:"pages"`
	} `json:"sweep"`
	LastComplete *struct{} `json:"last_complete"`
}

// benchTakeover fills a stream with the rooms of a list, has a second daemon stand by, and
// measures how long after the end of the writer the second one reads the list.
func benchTakeover(ctx context.Context, bins string, rooms int) (err error) {
	r, err := newRig(ctx, bins, rooms)
	if err != nil {
		return err
	}
	var running []*watcher
	defer func() {
		for _, w := range running {
			err = errors.Join(err, ignoreExit(w.stop()))
		}
		err = errors.Join(err, r.close())
	}()
	began := time.Now()
	first, err := r.watcher(ctx, "first")
	if err != nil {
		return err
	}
	running = []*watcher{first}
	if err := r.filled(ctx, uint64(rooms)); err != nil {
		return err
	}
	fmt.Printf("%-34s %d, filled in %.1f s\n", "subjects of rooms in the stream", rooms, time.Since(began).Seconds())
	for _, turn := range []struct {
		name, dir string
		end       func(*watcher) error
	}{
		{"clean stop → the next one reads", "second", func(w *watcher) error { return w.stop() }},
		{"SIGKILL → the next one reads", "first", func(w *watcher) error { return errors.Join(w.cmd.Process.Kill(), ignoreExit(w.cmd.Wait())) }},
	} {
		began := time.Now()
		next, err := r.watcher(ctx, turn.dir)
		if err != nil {
			return err
		}
		running = append(running, next)
		if err := next.until(ctx, watcherStatus.warm); err != nil {
			return fmt.Errorf("wait for a warm standby: %w", err)
		}
		fmt.Printf("%-34s %.1f s\n", "a standby has read the stream in", time.Since(began).Seconds())
		if err := retry.Sleep(ctx, takeoverLease); err != nil { // the writer hears of it
			return err
		}
		before := running[0]
		running = running[1:]
		ended := make(chan error, 1)
		began = time.Now()
		go func() { ended <- turn.end(before) }()
		err = next.until(ctx, watcherStatus.reads)
		took := time.Since(began)
		if err = errors.Join(err, ignoreExit(<-ended)); err != nil {
			return fmt.Errorf("%s: %w", turn.name, err)
		}
		fmt.Printf("%-34s %.2f s\n", turn.name, took.Seconds())
	}
	return nil
}

// watcher starts a daemon with a directory and an address of its own.
func (r *rig) watcher(ctx context.Context, dir string) (*watcher, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	p, err := r.roomwatch(ctx, "ROOMWATCH_DATA_DIR="+filepath.Join(r.dir, dir), "ROOMWATCH_HTTP_ADDR="+addr,
		"ROOMWATCH_LEASE="+takeoverLease.String(), "ROOMWATCH_REQUESTS_PER_SECOND=1000000", "ROOMWATCH_INTERVAL=1s")
	return &watcher{p, addr}, err
}

// filled waits until the stream has so many events.
func (r *rig) filled(ctx context.Context, rooms uint64) error {
	for {
		n, _, err := r.last(ctx)
		if err != nil || n >= rooms {
			return err
		}
		if err := retry.Sleep(ctx, pause); err != nil {
			return err
		}
	}
}

func (s watcherStatus) warm() bool {
	return s.Role == "standby" && s.Standby != nil && s.Standby.CaughtUp && s.Standby.Behind == 0
}

// reads reports whether it is the writer and has a page of the list.
func (s watcherStatus) reads() bool {
	return s.Role == "writer" && (s.LastComplete != nil || s.Sweep != nil && s.Sweep.Pages > 0)
}

// until waits until the status of a daemon is as wanted.
func (w *watcher) until(ctx context.Context, ok func(watcherStatus) bool) error {
	for {
		var s watcherStatus
		if b, err := get(ctx, "http://"+w.addr+"/api/v1/status"); err == nil && json.Unmarshal(b, &s) == nil && ok(s) {
			return nil
		}
		if err := retry.Sleep(ctx, takeoverLook); err != nil {
			return err
		}
	}
}
