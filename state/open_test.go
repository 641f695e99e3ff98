package state

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

func TestOpenMakes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "deep", "state.db")
	s := open(t, path)
	wantPosition(t, s, "0 of 0")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v, want 0600", info.Mode(), err)
	}
	before, _, _ := s.Position()
	s = reopen(t, s)
	if got, _, _ := s.Position(); got != before {
		t.Errorf("epoch %q after another start, want %q", got, before)
	}
}

// An epoch is never that of the state which it replaces, however soon.
func TestNewEpoch(t *testing.T) {
	old := ""
	for range 100_000 { // many a millisecond
		e := newEpoch(old)
		if e == old || len(e) != epochSize {
			t.Fatalf("epoch %q after %q, want another of %d characters", e, old, epochSize)
		}
		old = e
	}
}

// A process can be killed at any moment of making the file.
func TestOpenAfterCrashInMaking(t *testing.T) {
	empty := newPath(t)
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	bare := newPath(t)
	db, err := bbolt.Open(bare, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{empty, bare} {
		commit(t, open(t, path), page(t, 1, "a@1=1"))
	}
}

// A file that cannot be used is left as it is; the error names the file, the
// reason and the fix.
func TestOpenErrors(t *testing.T) {
	update := func(f func(tx *bbolt.Tx) error) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			db, err := bbolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(db.Update(f), db.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
	put := func(bucket, key []byte, value string) func(*testing.T, string) {
		return update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put(key, []byte(value)) })
	}
	write := func(b []byte) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			if err := os.WriteFile(path, b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	cut := func(size int64) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			if err := os.Truncate(path, size); err != nil {
				t.Fatal(err)
			}
		}
	}
	away := "move the file away and start again"
	tests := []struct {
		name   string
		spoil  func(*testing.T, string) // a good file of two rooms, one of them marked, an end and two events
		app    int
		err    error
		reason []string
	}{
		{"text", write([]byte("state: good\n")), testApp, ErrBroken, []string{away}},
		{"a page of zeros", write(make([]byte, 4096)), testApp, ErrBroken, []string{away}},
		{"many pages of zeros", write(make([]byte, 1<<16)), testApp, ErrBroken, []string{away}},
		{"garbage", write(bytes.Repeat([]byte("garbage!"), 1<<13)), testApp, ErrBroken, []string{away}},
		{"cut to a byte", cut(1), testApp, ErrBroken, []string{away}},
		{"cut in the first page", cut(1000), testApp, ErrBroken, []string{away}},
		{"cut after the first page", cut(4096), testApp, ErrBroken, []string{away}},
		{"cut after the second page", cut(8192), testApp, ErrBroken, []string{away}},
		{"cut in the middle", func(t *testing.T, path string) {
			s := open(t, path)
			commit(t, s, manyRooms(t, 20, 500))
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			cut(40960)(t, path)
		}, testApp, ErrBroken, []string{away}},
		{"bbolt file of another program", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("theirs")); return err })(t, path)
		}, testApp, ErrBroken, []string{"another program", away}},
		{"newer format", put(metaBucket, formatKey, "2"), testApp, ErrBroken, []string{`format "2", known is "1": a newer version has written it; start that version again, or put the backup`, away}},
		{"another application", func(*testing.T, string) {}, 1400000001, ErrOther, []string{"SDKAppID 88888888, configured is 1400000001", "data directory of its own"}},
		{"no counters", put(metaBucket, countersKey, ""), testApp, ErrBroken, []string{"counters", away}},
		{"counters of another state", put(metaBucket, countersKey, "\xa0"), testApp, ErrBroken, []string{"I4", "I2", away}},
		{"no outbox", update(func(tx *bbolt.Tx) error { return tx.DeleteBucket(outboxBucket) }), testApp, ErrBroken, []string{"outbox", away}},
		{"a row of the outbox is missing", update(func(tx *bbolt.Tx) error { return tx.Bucket(outboxBucket).Delete(seqKey(2)) }), testApp, ErrBroken, []string{"I2", away}},
		{"a room is missing", update(func(tx *bbolt.Tx) error { return tx.Bucket(roomsBucket).Delete(roomKey(nil, 2, "b")) }), testApp, ErrBroken, []string{"I3", "I4", away}},
		{"a room is cut", put(roomsBucket, roomKey(nil, 1, "a"), "\x00\x00"), testApp, ErrBroken, []string{`"a"`, away}},
		{"a room is no record", put(roomsBucket, roomKey(nil, 1, "a"), "\x00\x00\x00\x00\x00\x00\x00\x01\x01\xff\xff"), testApp, ErrBroken, []string{`"a"`, away}},
		{"a room contradicts itself", update(func(tx *bbolt.Tx) error {
			v := bytes.Clone(tx.Bucket(roomsBucket).Get(roomKey(nil, 1, "a")))
			v[createdSize] = held
			return tx.Bucket(roomsBucket).Put(roomKey(nil, 1, "a"), v)
		}), testApp, ErrBroken, []string{`"a"`, "contradicts itself", away}},
		{"a room is there twice", update(func(tx *bbolt.Tx) error {
			b := tx.Bucket(roomsBucket)
			return b.Put(roomKey(nil, 3, "a"), bytes.Clone(b.Get(roomKey(nil, 1, "a"))))
		}), testApp, ErrBroken, []string{"I5", `"a"`, away}},
		{"a room without a RoomID", put(roomsBucket, seqKey(7), "\x00"), testApp, ErrBroken, []string{"I5", away}},
		{"an event is no record", put(outboxBucket, seqKey(1), "?"), testApp, ErrBroken, []string{"event 1", away}},
		{"a mark is no record", put(missingBucket, roomKey(nil, 2, "b"), "?"), testApp, ErrBroken, []string{`"b"`, away}},
		{"a mark of a sweep that never was", put(missingBucket, roomKey(nil, 2, "b"), "\xa1\x01\x18\x63"), testApp, ErrBroken, []string{"I3", "99", away}},
		{"an end is no record", put(endsBucket, []byte("c"), "?"), testApp, ErrBroken, []string{"end", `"c"`, away}},
		{"an end is not in order", update(func(tx *bbolt.Tx) error { return tx.Bucket(endOrderBucket).Delete(seqKey(1)) }), testApp, ErrBroken, []string{"I6", "1 ends, 0 in order", away}},
		{"an end is in order alone", update(func(tx *bbolt.Tx) error { return tx.Bucket(endsBucket).Delete([]byte("c")) }), testApp, ErrBroken, []string{"I6", `"c"`, away}},
		{"an end of another room in order", put(endOrderBucket, seqKey(1), "a"), testApp, ErrBroken, []string{"I6", `"a"`, away}},
		{"an end without a number", put(endOrderBucket, []byte("\x00"), "c"), testApp, ErrBroken, []string{"I6", away}},
		{"an end that was never told", put(endOrderBucket, seqKey(1<<63), "c"), testApp, ErrBroken, []string{"I6", away}},
		{"more ends than are kept", update(func(tx *bbolt.Tx) error { return tx.Bucket(endOrderBucket).SetSequence(diff.MaxRecentEnds + 1) }), testApp, ErrBroken, []string{"I6", away}},
		{"half of the ends", update(func(tx *bbolt.Tx) error { return tx.DeleteBucket(endOrderBucket) }), testApp, ErrBroken, []string{"I6", "endOrder", away}},
		{"a mark without a room", put(missingBucket, roomKey(nil, 9, "z"), "\xa1\x01\x01"), testApp, ErrBroken, []string{"I3", "I4", away}},
	}
	good := newPath(t)
	s := open(t, good)
	sweep(t, s, 0, "a@1=5 b@2=0")
	sweep(t, s, 10, "a@1=6")
	err := s.db.Update(func(tx *bbolt.Tx) error {
		return newRecentEnds(tx).add("c", diff.RecentEnd{CreateTime: 1, Told: second(12), Sweep: 2})
	})
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path := newPath(t)
			if err := copyFile(good, path); err != nil {
				t.Fatal(err)
			}
			tt.spoil(t, path)
			before := hash(t, path)
			_, err := Open(Config{Path: path, SDKAppID: tt.app, Policy: diff.DefaultPolicy()})
			if !errors.Is(err, tt.err) {
				t.Fatalf("Open = %v, want %v", err, tt.err)
			}
			for _, want := range append(tt.reason, path) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
			if hash(t, path) != before {
				t.Error("the file was changed")
			}
		})
	}
}

func TestOpenLocked(t *testing.T) {
	s := open(t, newPath(t))
	_, err := Open(Config{Path: s.path, SDKAppID: testApp})
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), s.path) || !strings.Contains(err.Error(), "ROOMWATCH_DATA_DIR") {
		t.Errorf("Open = %v, want %v, the file and the fix", err, ErrLocked)
	}
	commit(t, s, page(t, 1, "a@1=1"))
}

// A disk that was full at the first start does no harm to a later one.
func TestOpenOnFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may mount a small disk")
	}
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", dir).CombinedOutput(); err != nil {
		t.Skipf("no small disk can be mounted here: %v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.CommandContext(context.Background(), "umount", dir).Run() })
	filler, path := filepath.Join(dir, "filler"), filepath.Join(dir, "state.db")
	for room := 0; room <= 32; room += 4 { // KiB that are left
		if err := os.WriteFile(filler, make([]byte, (64-room)<<10), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Open(Config{Path: path, SDKAppID: testApp})
		if err == nil {
			_ = s.Close()
			_ = os.Remove(path)
			continue
		}
		if room == 32 || !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "make room on its disk") {
			t.Errorf("%d KiB left: Open = %v, want %v and the fix", room, err, syscall.ENOSPC)
		}
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		if s, err = Open(Config{Path: path, SDKAppID: testApp}); err != nil {
			t.Errorf("%d KiB were left; with room again: %v", room, err)
			continue
		}
		_ = s.Close()
		_ = os.Remove(path)
	}
}

func TestOpenForbidden(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	for _, mode := range []os.FileMode{0, 0o400} {
		s := open(t, newPath(t))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(s.path, mode); err != nil {
			t.Fatal(err)
		}
		_, err := Open(Config{Path: s.path, SDKAppID: testApp})
		if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "make it readable and writable") {
			t.Errorf("mode %v: Open = %v, want %v and the fix", mode, err, os.ErrPermission)
		}
	}
}

func TestOpenDirectory(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		dir,                                     // is a directory
		filepath.Join(file, "state.db"),         // is in a file
		filepath.Join(file, "deep", "state.db"), // would be in a directory in a file
	} {
		_, err := Open(Config{Path: path, SDKAppID: testApp})
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "ROOMWATCH_DATA_DIR") {
			t.Errorf("Open(%s) = %v, want an error with the file and the fix", path, err)
		}
	}
}

// A file with a flipped byte is refused and left as it is, or, where the byte is
// not looked at or its meaning is as good as the old one, it works. It never ends
// the process.
func TestOpenFlippedBytes(t *testing.T) {
	path := newPath(t)
	s := open(t, path)
	s.db.NoSync = true
	all := manyRooms(t, 1, 150) // some pages of leaves below a branch
	commit(t, s, all)
	if _, err := s.EndSweep(ended(0, all)); err != nil {
		t.Fatal(err)
	}
	sweep(t, s, 10, roomsOf(manyRooms(t, 1, 120)))
	if err := s.Stored(100); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var refused, opened int
	for i := 0; i < len(good); i += 499 { // each of them was tried once
		bad := bytes.Clone(good)
		bad[i] ^= 1 << (i % 8)
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := verify(path, testApp); err != nil {
			if !errors.Is(err, ErrBroken) && !errors.Is(err, ErrOther) {
				t.Errorf("byte %d: %v, want %v", i, err, ErrBroken)
			}
			after, err := os.ReadFile(path)
			if err != nil || !bytes.Equal(after, bad) {
				t.Errorf("byte %d: the file was changed", i)
			}
			refused++
			continue
		}
		opened++
		s, err := Open(Config{Path: path, SDKAppID: testApp, Policy: diff.DefaultPolicy()})
		if err != nil {
			t.Errorf("byte %d: verify lets it pass, Open = %v", i, err)
			continue
		}
		s.db.NoSync = true
		if err := s.Commit(all); err != nil {
			t.Errorf("byte %d: Commit = %v", i, err)
		}
		if err := errors.Join(s.Check(), s.Close()); err != nil {
			t.Errorf("byte %d: %v", i, err)
		}
	}
	t.Logf("%d refused, %d opened, of %d bytes", refused, opened, len(good))
	if refused == 0 || opened == 0 {
		t.Error("the bytes were not worth flipping")
	}
}

func TestMetrics(t *testing.T) {
	r := prometheus.NewRegistry()
	s, err := Open(Config{Path: newPath(t), SDKAppID: testApp, Policy: diff.DefaultPolicy(), Metrics: r})
	if err != nil {
		t.Fatal(err)
	}
	sweep(t, s, 0, roomsOf(manyRooms(t, 0, 20)))
	sweep(t, s, 10, "a@1=1")
	if err := s.Stored(3); err != nil {
		t.Fatal(err)
	}
	if err := s.Rebuild(lastEvent("E", 30), time.Time{}, stream(nil, nil)); err != nil {
		t.Fatal(err)
	}
	commit(t, s, page(t, 21, "a@1=1 b@1=1"))
	if age, want := s.outboxAge(), time.Since(second(21)).Seconds(); age > want || age < want-60 {
		t.Errorf("the oldest event waits for %v seconds, want %v", age, want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	problems, err := testutil.GatherAndLint(r)
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
	families, err := r.Gather() // the page of metrics can be asked for while the process stops
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		m := f.GetMetric()[0]
		got[strings.TrimPrefix(f.GetName(), "roomwatch_state_")] = m.GetGauge().GetValue() + m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
	}
	for name, want := range map[string]float64{
		"rooms": 2, "rooms_missing": 0, "outbox_events": 2, "rebuilds_total": 1,
		"mass_end_guard_active": 1, "absent_sweeps_needed": 5, "commit_duration_seconds": 5,
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
	if got["file_bytes"] < 1<<14 || got["miss_rate_ratio"] <= 0 {
		t.Errorf("file_bytes %v, miss_rate_ratio %v", got["file_bytes"], got["miss_rate_ratio"])
	}
}
