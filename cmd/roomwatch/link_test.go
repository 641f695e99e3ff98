package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"roomwatch/poller/simulator"
)

// The client library ends a connection permanently when the server reports an
// error that the library does not know. The daemon makes another one.
func TestNATSReportsAnUnknownError(t *testing.T) {
	t.Parallel()
	r := newRig(t, lively(simulator.NextFrozen))
	wire := newTap(t, r.port)
	p := startProcess(t, r.env(t.TempDir(), "NATS_URL="+wire.URL()), "run")
	eventually(t, "events", func() bool { return stored(t, r.nc) > 100 })
	var reports atomic.Int64
	wire.Watch(func(fromDaemon bool, chunk []byte) []byte {
		// Nothing may come between the parts of a message.
		if fromDaemon || reports.Load() >= 2 || !bytes.HasPrefix(chunk, []byte("MSG ")) {
			return chunk
		}
		reports.Add(1)
		return slices.Concat([]byte("-ERR 'Never Heard Of'\r\n"), chunk)
	})
	eventually(t, "the reports", func() bool { return reports.Load() == 2 })
	settle(t, r.nc, r.world)
	if status := p.stop(); status != 0 || !strings.Contains(p.output.String(), "closed the connection: nats: Never Heard Of") {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
}

// A rebuild over a slow link takes long. The daemon stops all the same, and the
// next start rebuilds from the beginning.
func TestStopWhileTheStateIsRebuilt(t *testing.T) {
	t.Parallel()
	const rooms, perSecond = 2000, 40 << 10
	r := newRig(t, simulator.Config{Seed: 5, Rooms: rooms, Quota: -1})
	data := t.TempDir()
	p := startProcess(t, r.env(data), "run")
	eventually(t, "the rooms", func() bool { return stored(t, r.nc) == rooms })
	if status := p.stop(); status != 0 {
		t.Fatalf("exit status %d:\n%s", status, p.output)
	}
	if err := os.Remove(filepath.Join(data, "state.db")); err != nil {
		t.Fatal(err)
	}
	wire := newTap(t, r.port)
	var read atomic.Int64
	wire.Watch(func(fromDaemon bool, chunk []byte) []byte {
		if !fromDaemon {
			read.Add(int64(len(chunk)))
			<-time.After(time.Duration(len(chunk)) * time.Second / perSecond)
		}
		return chunk
	})
	p = startProcess(t, r.env(data, "NATS_URL="+wire.URL()), "run")
	eventually(t, "a rebuild", func() bool { return read.Load() > 100<<10 && strings.Contains(p.output.String(), "state is rebuilt") })
	<-time.After(5 * time.Second) // as long as the first sweep waits, so that pages wait to be committed
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
	p = startProcess(t, r.env(data), "run")
	// What the slow link still holds may let NATS take the one before for alive: then it begins as a standby.
	again := func() bool {
		return strings.Contains(p.output.String(), "state is rebuilt") || strings.Contains(p.output.String(), "standby reads the stream")
	}
	eventually(t, "another rebuild", again)
	settle(t, r.nc, r.world)
	if n := stored(t, r.nc); n != rooms {
		t.Errorf("%d events, want %d", n, rooms)
	}
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
}
