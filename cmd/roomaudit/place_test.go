package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/roomaudit/trail"
)

// reasons returns why the record went on elsewhere in the stream, each time.
func reasons(t *testing.T, dir string) (all []string) {
	t.Helper()
	must(t, trail.Read(t.Context(), dir, 0, func(l trail.Line, _ []byte) error {
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

// take moves all that a glob matches out of a directory.
func take(t *testing.T, dir, pattern string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	must(t, err)
	away := t.TempDir()
	for _, f := range files {
		must(t, os.Rename(f, filepath.Join(away, filepath.Base(f))))
	}
}

// A trail whose files were all moved away does not begin at line 1 again without a
// word of the operator, not even if nothing in the directory tells of them.
func TestAllTakenAway(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	r.publish(10)
	p := start(t, r.env(dir), "run")
	r.wantAll(dir)
	r.acknowledged(10)
	p.stop()
	_, out, _ := call(t, dir, "verify")
	last := strings.TrimSpace(out[strings.LastIndex(out, "last line ")+len("last line "):])
	take(t, dir, "audit-*")
	p = start(t, r.env(dir), "run")
	if status := p.wait(); status != 2 || !strings.Contains(p.out.String(), "--continue "+last) {
		t.Errorf("exit status %d: %s", status, p.out)
	}
	r.publish(5)
	p = start(t, r.env(dir), "run", "--continue", last)
	eventually(t, "the new ones on record", func() bool { return len(recorded(t, dir)) == 5 })
	p.stop()
	if status, out, _ := call(t, dir, "verify", "--first", "2"); status != 0 || !strings.Contains(out, "on record: the files before were moved away: the record continues after line "+strings.SplitN(last, ":", 2)[0]) {
		t.Errorf("verify: %d %s", status, out)
	}
	take(t, dir, "*")
	p = start(t, r.env(dir), "run")
	if status := p.wait(); status != 2 || !strings.Contains(p.out.String(), "set another ROOMAUDIT_DURABLE") {
		t.Errorf("without its label: exit status %d: %s", status, p.out)
	}
	must(t, r.js.DeleteConsumer(t.Context(), "LIVE", "roomaudit")) // the operator's word
	p = start(t, r.env(dir), "run")
	r.wantAll(dir)
	p.stop()
}

// A second roomaudit, with a trail of its own, does not touch the durable of the
// first, and nothing comes on record there.
func TestDurableOfAnother(t *testing.T) {
	r := newRig(t)
	one, two := t.TempDir(), t.TempDir()
	r.publish(5)
	p := start(t, r.env(one), "run")
	r.wantAll(one)
	r.acknowledged(5)
	second := start(t, r.env(two), "run")
	if status := second.wait(); status != 2 || !strings.Contains(second.out.String(), "set another ROOMAUDIT_DURABLE") {
		t.Errorf("exit status %d: %s", status, second.out)
	}
	r.publish(5)
	r.wantAll(one)
	p.stop()
	p = start(t, r.env(one), "run") // it is the same trail after a restart
	r.publish(1)
	r.wantAll(one)
	p.stop()
	if told := reasons(t, one); len(told) > 0 {
		t.Errorf("on record is %q", told)
	}
	other := start(t, append(r.env(two), "ROOMAUDIT_DURABLE=other"), "run")
	r.wantAll(two)
	other.stop()
}

// A copy of a trail that is written, too, does not make the other accuse anybody: the
// one that was there waits, and says why.
func TestCopyOfTrailIsWritten(t *testing.T) {
	r := newRig(t)
	dir, away := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	r.publish(5)
	p := start(t, r.env(dir), "run")
	r.wantAll(dir)
	r.acknowledged(5)
	must(t, os.CopyFS(away, os.DirFS(dir)))
	second := start(t, r.env(away), "run")
	eventually(t, "a word about the copy", func() bool {
		r.publish(1)
		return strings.Contains(p.out.String(), "which writes a copy of trail")
	})
	at := len(recorded(t, dir))
	r.publish(20)
	r.wantAll(away)
	if n := len(recorded(t, dir)); n > at || strings.Contains(p.out.String(), "end of the trail is missing") {
		t.Errorf("%d messages are %d:\n%s", at, n, p.out)
	}
	if told := reasons(t, dir); len(told) > 0 {
		t.Errorf("on record is %q", told)
	}
	second.stop()
	p.stop()
	wantSound(t, dir)
	p = start(t, r.env(dir), "run") // the word of the operator
	r.wantAll(dir)
	p.stop()
}

// A stream that roomwatch recreated may count on from a number: those before were
// never given, so no message is missing.
func TestStreamCountsFromLater(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	r.publish(3)
	p := start(t, r.env(dir), "run")
	eventually(t, "3 on record", func() bool { return len(recorded(t, dir)) == 3 })
	must(t, r.js.DeleteStream(t.Context(), "LIVE"))
	var err error
	r.made, err = r.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LIVE", Subjects: []string{"live.>"}, FirstSeq: 1090})
	must(t, err)
	r.publish(2)
	eventually(t, "5 on record", func() bool { return len(recorded(t, dir)) == 5 })
	p.stop()
	if status, out, _ := call(t, dir, "verify"); status != 0 || !strings.Contains(out, "0 gaps on record") || !strings.Contains(out, "is followed by stream LIVE") {
		t.Errorf("%d %s", status, out)
	}
	// What was there and is gone is told with its place.
	r.publish(3)
	must(t, r.made.DeleteMsg(t.Context(), 1093))
	p = start(t, r.env(dir), "run")
	eventually(t, "7 on record", func() bool { return len(recorded(t, dir)) == 7 })
	p.stop()
	if status, out, _ := call(t, dir, "verify"); status != 0 || !strings.Contains(out, "1 gap on record") || !strings.Contains(out, ": on record: messages 1093 to 1093 of the stream are not here") {
		t.Errorf("%d %s", status, out)
	}
}

// A server that lost its newest messages, or was put back from a copy, gives
// their numbers to others. None of these is skipped as known.
func TestPutBack(t *testing.T) {
	for _, running := range []bool{false, true} {
		r := newRig(t)
		dir, away := t.TempDir(), filepath.Join(t.TempDir(), "copy")
		r.publish(10)
		p := start(t, r.env(dir), "run")
		r.wantAll(dir)
		r.down()
		must(t, os.CopyFS(away, os.DirFS(r.dir)))
		r.up()
		r.publish(5)
		eventually(t, "15 on record", func() bool { return len(recorded(t, dir)) == 15 })
		if !running {
			p.stop()
		}
		r.down()
		must(t, os.RemoveAll(r.dir))
		must(t, os.CopyFS(r.dir, os.DirFS(away)))
		r.up()
		r.publish(8)
		if !running {
			p = start(t, r.env(dir), "run")
		}
		eventually(t, "those with old numbers on record", func() bool { return len(recorded(t, dir)) == 23 })
		p.stop()
		for i, l := range recorded(t, dir) {
			if n := uint64(i + 1); !strings.Contains(string(l.Event), string(event(n, "r", "n")[:52])) {
				t.Errorf("running %t: line %d is not event %d: %s", running, l.Line, n, l.Event[:60])
			}
		}
		if told := reasons(t, dir); len(told) != 1 || !strings.Contains(told[0], "up to 10") {
			t.Errorf("running %t: on record is %q", running, told)
		}
		wantSound(t, dir)
	}
}

// A trail whose file is removed while it is written ends the recording. With the
// word of the operator what lacks is read again.
func TestFileRemovedWhileRecording(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	r.publish(10)
	p := start(t, r.env(dir), "run")
	r.wantAll(dir)
	take(t, dir, "*.jsonl")
	r.publish(5)
	if status := p.wait(); status != 2 || !strings.Contains(p.out.String(), "it was removed or exchanged") {
		t.Errorf("exit status %d: %s", status, p.out)
	}
	p = start(t, r.env(dir), "run")
	status := p.wait()
	_, word, found := strings.Cut(p.out.String(), "with --continue ")
	if status != 2 || !found {
		t.Fatalf("exit status %d: %s", status, p.out)
	}
	p = start(t, r.env(dir), "run", "--continue", word[:strings.IndexByte(word, '.')])
	eventually(t, "the new ones on record", func() bool { return len(recorded(t, dir)) == 5 })
	p.stop()
}
