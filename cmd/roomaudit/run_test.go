package main

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/diff/logtest"
)

// The real binary is killed at random moments, and NATS restarted, while events
// come: each is on record once, in order.
func TestKilled(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range rounds(25, 8) {
		p := start(t, r.env(dir), "run")
		r.publish(20 + rng.IntN(60))
		<-time.After(time.Duration(rng.IntN(200)) * time.Millisecond)
		if round%6 == 5 {
			r.down()
			r.up()
		}
		r.publish(20)
		p.kill()
	}
	p := start(t, r.env(dir), "run")
	r.wantAll(dir)
	p.stop()
	files, err := trail.Files(dir)
	if err != nil || len(files) < 10 {
		t.Errorf("%d files, %v: nothing was sealed", len(files), err)
	}
}

// What is on record is acknowledged, what is not is not.
func TestAcknowledges(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	r.publish(40)
	p := start(t, r.env(dir), "run")
	r.wantAll(dir)
	acknowledged := func() uint64 {
		c, err := r.js.Consumer(t.Context(), "LIVE", "roomaudit")
		must(t, err)
		return c.CachedInfo().AckFloor.Stream
	}
	eventually(t, "all are acknowledged", func() bool { return acknowledged() == 40 })
	p.stop()
}

// A disk that is full stops the acknowledgements, is named in the log, and when
// there is room again all is recorded.
func TestDiskFullWhileRecording(t *testing.T) {
	r := newRig(t)
	log, dir := &logtest.Buffer{}, t.TempDir()
	var full atomic.Bool
	var refused atomic.Int32
	w, err := trail.Open(trail.Options{Dir: dir, Refuse: func(string, string) error {
		if full.Load() {
			refused.Add(1)
			return syscall.ENOSPC
		}
		return nil
	}})
	must(t, err)
	t.Cleanup(func() { _ = w.Close() })
	c := &config{Stream: "LIVE", Durable: "roomaudit", NATSURL: r.srv.ClientURL()}
	c.LogFormat = "text"
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	full.Store(true)
	done := make(chan error)
	go func() { done <- watch(ctx, c, w, newStatus(), c.logger(log)) }()
	r.publish(30)
	eventually(t, "a word about the disk", func() bool { return strings.Contains(log.String(), "no space left") && refused.Load() > 5 })
	if cons, err := r.js.Consumer(ctx, "LIVE", "roomaudit"); err == nil && cons.CachedInfo().AckFloor.Stream != 0 {
		t.Error("something is acknowledged that is not on disk")
	}
	full.Store(false)
	eventually(t, "all on record", func() bool { return strings.Contains(log.String(), "recording recovered") })
	r.wantAll(dir)
	cancel()
	must(t, <-done)
	if n := strings.Count(log.String(), "recording fails"); n != 1 {
		t.Errorf("%d lines about one full disk:\n%s", n, log)
	}
}

// Messages that are gone are on record as gone; ones that somebody else took
// are not, and are read after all.
func TestWhatDoesNotCome(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	r.publish(10)
	p := start(t, r.env(dir), "run")
	eventually(t, "10 on record", func() bool { return len(recorded(t, dir)) == 10 })
	p.kill()
	r.publish(10)
	must(t, r.made.DeleteMsg(t.Context(), 13))
	must(t, r.made.Purge(t.Context(), jetstream.WithPurgeSequence(12)))
	p = start(t, r.env(dir), "run")
	eventually(t, "the rest on record", func() bool { return len(recorded(t, dir)) == 18 })
	thief, err := r.js.Consumer(t.Context(), "LIVE", "roomaudit")
	must(t, err)
	p.kill()
	r.publish(10)
	batch, err := thief.Fetch(5)
	must(t, err)
	for msg := range batch.Messages() {
		must(t, msg.DoubleAck(t.Context()))
	}
	p = start(t, r.env(dir), "run")
	eventually(t, "what was taken on record", func() bool { return len(recorded(t, dir)) == 28 })
	// While it records, too: the server shares what comes among those who ask.
	for taken := 0; taken == 0; {
		if thief, err = r.js.Consumer(t.Context(), "LIVE", "roomaudit"); err != nil {
			continue // it is being recreated
		}
		batch, err := thief.Fetch(5, jetstream.FetchMaxWait(time.Second))
		must(t, err)
		r.publish(5)
		for range batch.Messages() {
			taken++
		}
	}
	eventually(t, "what was taken meanwhile on record", func() bool { return len(recorded(t, dir)) == int(r.next)-1-2 })
	var gaps []uint64
	must(t, trail.Read(t.Context(), dir, 0, func(l trail.Line, _ []byte) error {
		if l.Kind == trail.Gap {
			gaps = append(gaps, l.From, l.To)
		}
		return nil
	}))
	if !slices.Equal(gaps, []uint64{11, 11, 13, 13}) {
		t.Errorf("gaps %v", gaps)
	}
	wantSound(t, dir)
	p.stop()
}

// A stream that is recreated begins at 1 again: that is on record, and nothing is
// skipped as known.
func TestStreamMadeAnew(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	p := start(t, r.env(dir), "run")
	r.publish(10)
	eventually(t, "10 on record", func() bool { return len(recorded(t, dir)) == 10 })
	must(t, r.js.DeleteStream(t.Context(), "LIVE"))
	r.makeStream()
	r.publish(15)
	eventually(t, "25 on record", func() bool { return len(recorded(t, dir)) == 25 })
	p.stop()
	wantSound(t, dir)
	reasons := 0
	must(t, trail.Read(t.Context(), dir, 0, func(l trail.Line, _ []byte) error {
		if l.Kind == trail.Stream && strings.Contains(l.Reason, "is followed by") {
			reasons++
		}
		return nil
	}))
	if reasons != 1 {
		t.Errorf("%d lines about the stream", reasons)
	}
}

// NATS is away at the start, and a trail that is broken is not continued.
func TestStart(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	r.down()
	p := start(t, r.env(dir), "run")
	eventually(t, "a word about NATS", func() bool { return strings.Contains(p.out.String(), "NATS is not reachable") })
	r.up()
	r.publish(5)
	r.wantAll(dir)
	second := start(t, r.env(dir), "run")
	if status := second.wait(); status != 1 || !strings.Contains(second.out.String(), "another process writes to it") {
		t.Errorf("a second one: exit status %d: %s", status, second.out)
	}
	p.stop()
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	must(t, err)
	text, err := os.ReadFile(files[0])
	must(t, err)
	must(t, os.WriteFile(files[0], []byte(strings.Replace(string(text), "room.created", "room.cheated", 1)), 0o600))
	broken := start(t, r.env(dir), "run")
	if status := broken.wait(); status != 2 || !strings.Contains(broken.out.String(), "roomaudit verify") {
		t.Errorf("a broken trail: exit status %d: %s", status, broken.out)
	}
}

// That the end of a trail was taken away shows in NATS: it is on record, and
// what the stream still has is there again.
func TestEndTakenAway(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	r.publish(10)
	p := start(t, r.env(dir), "run")
	r.wantAll(dir)
	r.acknowledged(10)
	p.stop()
	files, err := filepath.Glob(filepath.Join(dir, "*.jsonl"))
	must(t, err)
	text, err := os.ReadFile(files[0])
	must(t, err)
	rows := strings.SplitAfter(string(text), "\n")
	must(t, os.WriteFile(files[0], []byte(strings.Join(rows[:7], "")), 0o600))
	p = start(t, r.env(dir), "run")
	r.wantAll(dir)
	p.stop()
	if told := reasons(t, dir); len(told) != 2 || !strings.Contains(told[0], "file 1 had line 11, and ended with line 7") || !strings.Contains(told[1], "message 10 was acknowledged, and the trail ends at 6") {
		t.Errorf("on record is %q:\n%s", told, p.out)
	}
	if status, out, _ := call(t, dir, "verify"); status != 0 || !strings.Contains(out, ": on record: message 10 was acknowledged") {
		t.Errorf("verify keeps it to itself: %d %s", status, out)
	}
}

// Old files are removed while roomaudit runs, and what is left is a sound trail.
func TestKeepWhileRecording(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	oldFiles(t, dir)
	r.publish(3)
	p := start(t, append(r.env(dir), "ROOMAUDIT_KEEP=48h"), "run")
	eventually(t, "the first file is removed", func() bool {
		files, err := trail.Files(dir)
		return err == nil && files[0].Number > 1
	})
	p.stop()
	if status, out, _ := call(t, dir, "verify"); status != 0 || !strings.Contains(out, "were removed: older than 48h0m0s") {
		t.Errorf("%d %s", status, out)
	}
}

// Old files that cannot be removed, and a seal that cannot be made, are told once, and
// events are recorded meanwhile; also while NATS is away the trail is kept in order.
func TestUpkeepFails(t *testing.T) {
	r := newRig(t)
	log, dir := &logtest.Buffer{}, t.TempDir()
	oldFiles(t, dir)
	var stuck atomic.Bool
	stuck.Store(true)
	w, err := trail.Open(trail.Options{Dir: dir, Keep: 48 * time.Hour, Refuse: func(step, path string) error {
		if stuck.Load() && step == "remove" && strings.HasSuffix(path, ".gz") {
			return syscall.EPERM
		}
		return nil
	}})
	must(t, err)
	c := &config{HTTPAddr: "off", Dir: dir, Keep: 48 * time.Hour, Stream: "LIVE", Durable: "roomaudit", NATSURL: r.srv.ClientURL(), LogFormat: "text"}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	request := filepath.Join(dir, sealRequest)
	go func() { done <- record(ctx, c, w, c.logger(log)) }()
	eventually(t, "a word about the old files", func() bool {
		if len(recorded(t, dir)) < 20 {
			r.publish(1)
		}
		return strings.Contains(log.String(), "operation not permitted")
	})
	// A request that cannot be removed is met once.
	must(t, os.MkdirAll(filepath.Join(request, "x"), 0o750))
	eventually(t, "a word about the request", func() bool { return strings.Contains(log.String(), "directory not empty") })
	before, err := trail.Files(dir)
	must(t, err)
	for end := time.Now().Add(3 * upkeepEvery); time.Now().Before(end); {
		at := w.Position().Last
		r.publish(1)
		eventually(t, "a message on record", func() bool { return w.Position().Last > at })
		r.acknowledged(w.Position().Last)
	}
	if after, err := trail.Files(dir); err != nil || len(after) > len(before)+1 {
		t.Errorf("%d files are %d, %v", len(before), len(after), err)
	}
	must(t, os.RemoveAll(request))
	eventually(t, "that the seals recovered", func() bool { return strings.Contains(log.String(), "upkeep of the trail recovered") })
	r.down()
	must(t, os.WriteFile(request, nil, 0o600))
	eventually(t, "a seal without NATS", func() bool { _, err := os.Stat(request); return errors.Is(err, os.ErrNotExist) })
	cancel()
	must(t, errors.Join(<-done, w.Close()))
	if n := strings.Count(log.String(), "upkeep of the trail failed"); n != 2 || strings.Contains(log.String(), "cannot be written") {
		t.Errorf("%d lines about two duties:\n%s", n, log)
	}
	r.up()
	wantSound(t, dir)
}

// oldFiles begins a trail with a file a day, four days ago and later.
func oldFiles(t *testing.T, dir string) {
	t.Helper()
	w, err := trail.Open(trail.Options{Dir: dir})
	must(t, err)
	old := time.Now().Add(-100 * time.Hour)
	must(t, w.Follow(trail.Position{Name: "OLD", Created: old}, old, ""))
	for n := uint64(1); n <= 3; n++ {
		at := old.Add(time.Duration(n) * 24 * time.Hour)
		must(t, w.Append(at, []trail.Message{{Seq: n, Stored: at, Body: event(n, "r", "n")}}))
	}
	must(t, w.Close())
}

// A failure is logged when it begins, again while it lasts, and when it is over.
func TestLastingFailureIsLoggedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logtest.Buffer
		r := &recorder{status: newStatus(), log: slog.New(slog.NewTextHandler(&log, nil))}
		for range 61 { // once a minute
			r.condition(t.Context(), errors.New("it fails"))
			time.Sleep(time.Minute)
		}
		r.condition(t.Context(), nil)
		r.condition(t.Context(), nil)
		if failing, over := strings.Count(log.String(), "recording fails"), strings.Count(log.String(), "recording recovered"); failing != 5 || over != 1 {
			t.Errorf("logged %d times that it fails and %d times that it is over, want 5 and 1:\n%s", failing, over, &log)
		}
	})
}
