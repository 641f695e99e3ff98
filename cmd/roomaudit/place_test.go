package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/roomaudit/trail"
)

// reasons returns why the record went on elsewhere in the stream, each time.
func reasons(t *testing.T, dir string) (all []string) {
	t.Helper()
	must(t, trail.Read(dir, "", "", func(l trail.Line, _ []byte) error {
		if l.Kind == trail.Stream {
			all = append(all, l.Reason)
		}
		return nil
	}))
	return all
}

// A purge, or the age of messages, moves the place up to which NATS takes them
// for acknowledged: nobody took away the end of the trail then.
func TestPurgedWhileAway(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	r.publish(10)
	p := start(t, r.env(dir), "run")
	r.wantAll(dir)
	p.stop()
	r.publish(10)
	must(t, r.made.Purge(t.Context(), jetstream.WithPurgeSequence(16)))
	p = start(t, r.env(dir), "run")
	eventually(t, "the rest on record", func() bool { return len(recorded(t, dir)) == 15 })
	p.stop()
	if told := reasons(t, dir); len(told) > 0 {
		t.Errorf("accused: %q", told)
	}
	wantSound(t, dir)
}

// That all of a trail was taken away is on record, too.
func TestAllTakenAway(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	r.publish(10)
	p := start(t, r.env(dir), "run")
	r.wantAll(dir)
	eventually(t, "all are acknowledged", func() bool {
		c, err := r.js.Consumer(t.Context(), "LIVE", "roomaudit")
		return err == nil && c.CachedInfo().AckFloor.Stream == 10
	})
	p.stop()
	files, err := filepath.Glob(filepath.Join(dir, "audit-*"))
	must(t, err)
	for _, f := range files {
		must(t, os.Remove(f))
	}
	p = start(t, r.env(dir), "run")
	r.wantAll(dir)
	p.stop()
	if told := reasons(t, dir); !slices.ContainsFunc(told, func(s string) bool {
		return strings.Contains(s, "message 10 was acknowledged, and the trail ends at 0")
	}) {
		t.Errorf("on record is %q:\n%s", told, p.out)
	}
}
