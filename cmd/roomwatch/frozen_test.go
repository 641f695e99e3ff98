package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"roomwatch/poller/simulator"
)

// eventsOf prints what was told of a room.
func eventsOf(events []wireEvent, id string) string {
	var told []string
	for _, e := range events {
		if e.Subject == id {
			told = append(told, strings.TrimPrefix(e.Type, "room."))
		}
	}
	return strings.Join(told, " ")
}

// The service serves an old copy of the list for a while: a life before one that
// was told as over does not come back.
func TestOldListBringsNoOlderLifeBack(t *testing.T) {
	t.Parallel()
	var old atomic.Pointer[simulator.List]
	var served atomic.Int64
	r := newRig(t, simulator.Config{Seed: 5, Rooms: 30, Quota: -1, Fault: func(int, *http.Request) *simulator.Fault {
		l := old.Load()
		if l != nil {
			served.Add(1)
		}
		return &simulator.Fault{List: l}
	}})
	p := startProcess(t, r.env(t.TempDir()), "run")
	eventually(t, "the rooms", func() bool { return stored(t, r.nc) == 30 })
	first, id := r.world.List(), r.world.Truth().Lives[0].RoomID
	if err := r.world.Recreate(id); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the newer life", func() bool { return stored(t, r.nc) == 32 })
	if err := r.world.Close(id); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its end", func() bool { return stored(t, r.nc) == 33 })
	old.Store(first)
	eventually(t, "sweeps of the old list", func() bool { return served.Load() > 10 })
	old.Store(nil)
	if told, want := eventsOf(settle(t, r.nc, r.world), id), "created ended created ended"; told != want {
		t.Errorf("told of the room: %s, want %s", told, want)
	}
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
}

// A second roomwatch, with a state of its own, reads the first page of a list
// that is frozen from there on. Before it reads the second one, the first
// roomwatch tells that a room on it has ended, and the second one takes over and
// rebuilds its state from the stream. The room does not come back.
func TestFrozenPageBringsNoEndedLifeBack(t *testing.T) {
	t.Parallel()
	var frozen atomic.Pointer[simulator.List]
	r := newRig(t, simulator.Config{Seed: 5, Rooms: 30, Quota: -1, Fault: func(_ int, req *http.Request) *simulator.Fault {
		if req.Header.Get("Frozen") == "" {
			return nil
		}
		return &simulator.Fault{List: frozen.Load()}
	}})
	startProcess(t, r.env(t.TempDir()), "run")
	eventually(t, "the rooms", func() bool { return stored(t, r.nc) == 30 })

	var asked atomic.Int64
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch asked.Add(1) {
		case 1:
			frozen.Store(r.world.List())
			req.Header.Set("Frozen", "yes")
		case 2:
			<-release
			req.Header.Set("Frozen", "yes")
		}
		r.world.ServeHTTP(w, req)
	}))
	defer slow.Close()
	way := newTap(t, r.port)
	var open atomic.Bool
	way.Watch(func(_ bool, chunk []byte) []byte {
		if !open.Load() {
			return nil
		}
		return chunk
	})
	addr := freeAddr(t)
	p := startProcess(t, r.env(t.TempDir(), "ROOMWATCH_ENDPOINT="+slow.URL, "NATS_URL="+way.URL(),
		"ROOMWATCH_REQUEST_TIMEOUT=1m", "ROOMWATCH_LEASE=0s", "ROOMWATCH_HTTP_ADDR="+addr), "run")
	eventually(t, "the first page", func() bool { return asked.Load() == 2 })
	lives := r.world.Truth().Live()
	id := lives[len(lives)-1].RoomID
	if err := r.world.Close(id); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end", func() bool { return stored(t, r.nc) == 31 })
	open.Store(true)
	eventually(t, "the rebuild", func() bool {
		_, metrics := fetch(addr, "/metrics")
		return strings.Contains(metrics, "roomwatch_state_rebuilds_total 1")
	})
	close(release)
	eventually(t, "the next sweep", func() bool { return asked.Load() > 6 })
	if told, want := eventsOf(settle(t, r.nc, r.world), id), "created ended"; told != want {
		t.Errorf("told of the room: %s, want %s", told, want)
	}
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
}
