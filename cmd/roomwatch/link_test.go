package main

import (
	"bytes"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"roomwatch/poller/simulator"
)

// The client library ends a connection for good when the server reports an
// error that the library does not know. The daemon makes another one.
func TestNATSReportsAnUnknownError(t *testing.T) {
	r := newRig(t, lively(simulator.NextFrozen))
	wire := newTap(t, r.port)
	p := startProcess(t, r.env(t.TempDir(), "NATS_URL="+wire.url()), "run")
	eventually(t, "events", func() bool { return stored(t, r.nc) > 100 })
	var reports atomic.Int64
	wire.watch(func(fromDaemon bool, chunk []byte) []byte {
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
