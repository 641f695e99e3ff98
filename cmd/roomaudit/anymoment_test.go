package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/roomaudit/trail"
)

var (
	worlds    = flag.Int("worlds", 1, "trails of TestKilledAtAnyMoment; each is killed 8 times")
	worldSeed = flag.Uint64("world-seed", 1, "seed of the first of them")
)

// A world is a trail of past days that is continued with everything switched on:
// signed, sealed all the time, copied by a command that tells a witness, copied
// into a database, and removed for its age.
type world struct {
	*rig
	rng *rand.Rand
	env []string

	dir, away, witness, database, public, durable string
}

func newWorld(r *rig, seed uint64) *world {
	r.t.Helper()
	keys, away := r.t.TempDir(), r.t.TempDir()
	w := &world{rig: r, rng: rand.New(rand.NewPCG(seed, 11)), dir: filepath.Join(r.t.TempDir(), "audit"), away: away, witness: filepath.Join(away, "witness"),
		database: filepath.Join(r.t.TempDir(), "audit.db"), durable: "world" + strconv.FormatUint(seed, 10)}
	private := filepath.Join(keys, "key.pem")
	w.public = writeKey(r.t, private)
	pastDays(r.t, &config{Dir: w.dir, KeyFile: private, LogFormat: "text"}, 8)
	w.env = append(r.env(w.dir), "ROOMAUDIT_MAX_FILE_BYTES=4096", "ROOMAUDIT_KEEP=48h", "ROOMAUDIT_KEY_FILE="+private, "ROOMAUDIT_DURABLE="+w.durable,
		"ROOMAUDIT_SQLITE="+w.database, "PATH="+os.Getenv("PATH"), "AWAY="+away,
		`ROOMAUDIT_SEALED_COMMAND=cp "$SEALED_FILE" "$AWAY/x.$$" && mv "$AWAY/x.$$" "$AWAY/${SEALED_FILE##*/}" && echo "$SEALED_LAST" >> "$AWAY/witness"`)
	return w
}

// sizes are those of all files, which change with each step.
func (w *world) sizes() (string, error) {
	var all strings.Builder
	for _, dir := range []string{w.dir, w.away, filepath.Dir(w.database)} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return "", err
		}
		for _, e := range entries {
			if i, err := e.Info(); err == nil { // else it was removed since
				_, _ = fmt.Fprintln(&all, e.Name(), i.Size())
			}
		}
	}
	return all.String(), nil
}

// changes returns when n changes of the files were seen, or none comes any more.
func (w *world) changes(n int) error {
	before, err := w.sizes()
	for since := time.Now(); err == nil && n > 0 && time.Since(since) < time.Second; <-time.After(200 * time.Microsecond) {
		now := ""
		if now, err = w.sizes(); now != before {
			before, since = now, time.Now()
			n--
		}
	}
	return err
}

// settles waits for something, as long as the files change.
func (w *world) settles(what string, p *process, ok func() bool) {
	w.t.Helper()
	for before, since := "", time.Now(); !ok(); <-time.After(20 * time.Millisecond) {
		now, err := w.sizes()
		must(w.t, err)
		if now != before {
			before, since = now, time.Now()
		}
		if time.Since(since) > 30*time.Second {
			w.t.Fatalf("never: %s: %s\n%s", what, now, p.out)
		}
	}
}

// killed starts roomaudit and kills it amid its work, while events come.
func (w *world) killed() {
	w.t.Helper()
	p, n := start(w.t, w.env, "run"), 1+w.rng.IntN(70)
	killed := make(chan error, 1)
	go func() {
		err := w.changes(n)
		p.kill()
		killed <- err
	}()
	for range 40 {
		select {
		case <-p.exited:
		default:
			w.publish(1)
		}
	}
	must(w.t, <-killed)
	w.sound(fmt.Sprintf("killed after %d changes: %s", n, p.out))
}

// sound wants a trail that verify accepts, with the key and the witness; that has the
// messages of the stream from the first one on, once each; and of which a query with
// indexes and database finds what one without does. It returns how many messages
// there are.
func (w *world) sound(when string) (messages uint64) {
	w.t.Helper()
	args := []string{"verify", "--public-key", w.public}
	if text, err := os.ReadFile(w.witness); err == nil && len(text) > 0 {
		args = append(args, "--witness", w.witness)
	}
	if status, out, errs := call(w.t, w.dir, args...); status != 0 {
		w.t.Errorf("verify: %d %s%s\n%s", status, out, errs, when)
	}
	past := true
	must(w.t, trail.Read(w.t.Context(), w.dir, 0, func(l trail.Line, _ []byte) error {
		switch {
		case l.Stream != nil:
			past = l.Stream.Name == "OLD"
		case l.Seq == 0 || past:
		case l.Seq != messages+1 || !bytes.Equal(l.Event, event(l.Seq, fmt.Sprintf("r%d", l.Seq), "a <b> 房")):
			return fmt.Errorf("line %d has message %d behind message %d: %s", l.Line, l.Seq, messages, when)
		default:
			messages++
		}
		return nil
	}))
	if c, err := w.js.Consumer(w.t.Context(), "LIVE", w.durable); err == nil && c.CachedInfo().AckFloor.Stream > messages {
		w.t.Errorf("message %d is acknowledged, and %d are on record: %s", c.CachedInfo().AckFloor.Stream, messages, when)
	}
	w.t.Setenv("ROOMAUDIT_SQLITE", w.database)
	defer w.t.Setenv("ROOMAUDIT_SQLITE", "")
	for _, room := range []string{"", "r3"} {
		_, want, gaps := call(w.t, w.dir, "query", "--room", room, "--scan", "--format", "json")
		if status, out, errs := call(w.t, w.dir, "query", "--room", room, "--format", "json"); status != 0 || out != want || errs != gaps {
			w.t.Errorf("query --room %q: %d, %d bytes, %q; want %d, %q: %s", room, status, len(out), errs, len(want), gaps, when)
		}
	}
	return messages
}

// finish lets roomaudit do what is left, and compares what it and its helpers have.
func (w *world) finish() {
	w.t.Helper()
	p := start(w.t, w.env, "run")
	w.settles("all messages on record", p, func() bool {
		c, err := w.js.Consumer(w.t.Context(), "LIVE", w.durable)
		return err == nil && c.CachedInfo().AckFloor.Stream == w.next-1 && strings.Contains(p.out.String(), "roomaudit started")
	})
	if seal := start(w.t, w.env, "seal"); seal.wait() != 0 {
		w.t.Error(seal.out)
	}
	w.settles("all copies, and the old files removed", p, func() bool {
		here, there := namesOf(w.t, w.dir, ".gz"), namesOf(w.t, w.away, ".gz")
		return len(here) > 0 && here[0] > "audit-00000008" && slices.Contains(there, here[len(here)-1])
	})
	p.stop()
	if n := w.sound("at the end: " + p.out.String()); n != w.next-1 {
		w.t.Errorf("%d messages on record, the stream has %d", n, w.next-1)
	}
	if left := slices.Concat(namesOf(w.t, w.dir, ".tmp"), namesOf(w.t, w.dir, ".jsonl")); len(left) > 1 {
		w.t.Errorf("left over: %q", left)
	}
	// The copies are the whole trail, from its first line.
	if status, out, errs := call(w.t, w.away, "verify", "--public-key", w.public, "--witness", w.witness); status != 0 {
		w.t.Errorf("the copies: %d %s%s", status, out, errs)
	}
	w.compareDatabase()
}

// compareDatabase wants the events of the copies in the database, once each, but those
// of files that were removed before they were copied into it, which it names.
func (w *world) compareDatabase() {
	w.t.Helper()
	_, err := export(w.t.Context(), w.dir, w.database)
	must(w.t, err)
	db, err := openDatabase(w.database)
	must(w.t, err)
	defer func() { must(w.t, db.Close()) }()
	var sound string
	must(w.t, db.QueryRowContext(w.t.Context(), "PRAGMA integrity_check").Scan(&sound))
	if sound != "ok" {
		w.t.Error(sound)
	}
	lacks, err := (&exporter{ctx: w.t.Context(), db: db}).missing()
	must(w.t, err)
	compared := 0
	must(w.t, trail.Read(w.t.Context(), w.away, 0, func(l trail.Line, _ []byte) error {
		if l.Kind != trail.Event || slices.ContainsFunc(lacks, func(m missing) bool { return m.first <= l.Line && l.Line <= m.last }) {
			return nil
		}
		compared++
		var hash string
		if err := db.QueryRowContext(w.t.Context(), "SELECT hash FROM events WHERE line = ?", int64(l.Line)).Scan(&hash); err != nil || hash != l.Hash {
			return errors.Join(fmt.Errorf("line %d has hash %q in the database, want %s", l.Line, hash, l.Hash), err)
		}
		return nil
	}))
	if compared < int(w.next-1) {
		w.t.Errorf("%d events compared, and %d of them cannot have been removed", compared, w.next-1)
	}
}

// The real binary is killed at random moments while it records, seals, indexes, copies,
// fills the database and removes. To try more of them:
//
//	go test ./cmd/roomaudit -run TestKilledAtAnyMoment -timeout 0 -args -worlds 50 -world-seed 7
func TestKilledAtAnyMoment(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	for n := range uint64(*worlds) {
		w := newWorld(newRig(t), *worldSeed+n)
		w.publish(20)
		for range 8 {
			w.killed()
		}
		w.finish()
		t.Logf("seed %d: %d messages", *worldSeed+n, w.next-1)
		if t.Failed() {
			return
		}
	}
}
