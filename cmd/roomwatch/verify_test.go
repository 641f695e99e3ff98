package main

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/poller/simulator"
	"roomwatch/publisher/events"
)

// verifyHere runs `roomwatch verify` and returns its exit status and output.
func verifyHere(t *testing.T, r *rig, args ...string) (int, string) {
	t.Helper()
	for _, kv := range r.env(t.TempDir()) {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	var out, errs bytes.Buffer
	status := run(t.Context(), append([]string{"verify"}, args...), &out, &errs)
	if errs.Len() > 0 {
		t.Errorf("standard error: %s", &errs)
	}
	return status, out.String()
}

// What a daemon leaves that is killed repeatedly adds up; what is wrong
// with a stream is told, and the oldest events may be gone.
func TestVerify(t *testing.T) {
	r := newRig(t, lively(simulator.NextRank))
	data := t.TempDir()
	rng := rand.New(rand.NewPCG(3, 4))
	for range 8 {
		before := stored(t, r.nc)
		p := startProcess(t, r.env(data), "run")
		eventually(t, "events", func() bool { return stored(t, r.nc) > before+rng.IntN(40) })
		p.kill()
	}
	p := startProcess(t, r.env(data), "run")
	before := stored(t, r.nc)
	eventually(t, "events of the last daemon", func() bool { return stored(t, r.nc) > before+400 })
	// While it writes.
	if status, out := verifyHere(t, r); status != 0 || !strings.HasSuffix(out, "from their beginning: no inconsistencies\n") || strings.Count(out, "\n") != 1 {
		t.Errorf("status %d of a stream that is whole:\n%s", status, out)
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	p.wait(10 * time.Second)

	js, err := jetstream.New(r.nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(t.Context(), "LIVE")
	if err != nil {
		t.Fatal(err)
	}
	last := s.CachedInfo().State.LastSeq
	if err := s.Purge(t.Context(), jetstream.WithPurgeSequence(last/2)); err != nil {
		t.Fatal(err)
	}
	if status, out := verifyHere(t, r); status != 0 || !strings.Contains(out, "from the middle") {
		t.Errorf("status %d of a stream whose oldest events are gone:\n%s", status, out)
	}

	plant(t, js, s, last)
	status, out := verifyHere(t, r, "--json")
	if status != 1 {
		t.Errorf("status %d, want 1", status)
	}
	kinds := map[events.Kind]int{}
	var summary *events.Summary
	for line := range strings.Lines(out) {
		var v finding
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if v.Fault != nil {
			kinds[v.Fault.Kind]++
		}
		summary = v.Summary
	}
	if kinds[events.Missing] != 1 || kinds[events.Doubled] != 1 || kinds[events.Undecodable] != 1 {
		t.Errorf("faults %v, want a gap, a double and something undecodable:\n%s", kinds, out)
	}
	if summary == nil || summary.Faults == 0 || summary.Live == 0 {
		t.Errorf("summary %+v", summary)
	}
}

// plant takes an event out of the middle, stores one again and adds what is none.
func plant(t *testing.T, js jetstream.JetStream, s jetstream.Stream, last uint64) {
	t.Helper()
	gone := last - 100
	for m, err := s.GetMsg(t.Context(), gone); ; m, err = s.GetMsg(t.Context(), gone) {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(m.Subject, "live.writer.") {
			break
		}
		gone--
	}
	if err := s.DeleteMsg(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	m, err := s.GetLastMsgForSubject(t.Context(), "live.*.*.*.*")
	if err != nil {
		t.Fatal(err)
	}
	again := nats.NewMsg(m.Subject)
	again.Data = m.Data
	for _, msg := range []*nats.Msg{again, {Subject: "live.room.created.88888888.x", Data: []byte("hello")}} {
		if _, err := js.PublishMsg(t.Context(), msg); err != nil {
			t.Fatal(err)
		}
	}
}

// There is nothing to verify before roomwatch ran.
func TestVerifyWithoutStream(t *testing.T) {
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 1, Quota: -1})
	for _, kv := range r.env(t.TempDir()) {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	var out, errs bytes.Buffer
	if status := run(t.Context(), []string{"verify"}, &out, &errs); status != 1 || !strings.Contains(errs.String(), "no such stream") {
		t.Errorf("status %d: %s", status, &errs)
	}
}
