package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/publisher/events"
)

// A countedCopy counts the files that a copy has answered for.
type countedCopy struct {
	trail.Copy
	whole chan struct{}
}

func (c countedCopy) Events(ctx context.Context, last string, s trail.Search, take func(trail.Line) error) (bool, error) {
	whole, err := c.Copy.Events(ctx, last, s, take)
	if whole && err == nil {
		c.whole <- struct{}{}
	}
	return whole, err
}

// motley records n more events in small files, with rooms that JSON and SQL could mistake,
// times that are out of order, and gaps.
func motley(t *testing.T, dir string, rng *rand.Rand, n int) {
	t.Helper()
	w, err := trail.Open(trail.Options{Dir: dir, MaxFileBytes: 3500})
	must(t, err)
	seq := w.Position().Last
	var batch []trail.Message
	for range n {
		seq++
		if rng.IntN(40) == 0 {
			seq++ // a message that the stream no longer has
		}
		at := evening.Add(time.Duration(seq)*time.Minute + time.Duration(rng.IntN(600e9)))
		body := event(seq, motleyRooms[rng.IntN(len(motleyRooms))], "n")
		if rng.IntN(2) == 0 {
			body = bytes.Replace(body, []byte(`"room.created"`), []byte(`"room.ended"`), 1)
			body = bytes.Replace(body, []byte(`"version":1`), []byte(`"version":2`), 1)
		}
		if rng.IntN(3) == 0 {
			body = bytes.Replace(body, []byte(`"Owner_Account":"o"`), []byte(`"Owner_Account":"o'\u0000--"`), 1)
		}
		batch = append(batch, trail.Message{Seq: seq, Stored: at, Subject: "live.x<>", Body: body})
	}
	must(t, w.Append(evening, batch))
	must(t, w.Close())
}

var (
	evening     = time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC)
	motleyRooms = []string{"plain", "a'b", "%", "é房", "x<y>", "nul\x00", "nul", "Plain", "7", "7.0"}
)

// wantSame asks some things of a copy, and wants what a full scan answers. It returns
// for how many files the copy has answered.
func wantSame(t *testing.T, dir, path string, rng *rand.Rand) (whole int) {
	t.Helper()
	db, err := openCopy(path)
	must(t, err)
	if db == nil {
		return 0
	}
	defer func() { must(t, db.close(&bytes.Buffer{})) }()
	counted := countedCopy{db, make(chan struct{}, 1000)}
	at := func() time.Time {
		if rng.IntN(2) == 0 {
			return time.Time{}
		}
		return evening.Add(time.Duration(rng.IntN(400)) * time.Minute)
	}
	for round := range 9 {
		s := trail.Search{From: at(), To: at(), Room: slices.Concat(motleyRooms, []string{"", "", "nobody"})[rng.IntN(len(motleyRooms)+3)], Owner: []string{"", "", "o", "o'\x00--"}[rng.IntN(4)]}
		if rng.IntN(2) == 0 {
			s.Types = []events.Type{events.RoomEnded, events.ViewCountChanged}
		}
		limit := []int{0, 0, 1, 5}[rng.IntN(4)]
		if round == 0 { // all
			s, limit = trail.Search{}, 0
		}
		ask := func(s trail.Search) (text []string) {
			holes, err := trail.Find(t.Context(), dir, s, func(f trail.Found) error {
				e, err := json.Marshal(f.Event)
				must(t, err)
				if text = append(text, string(f.Text)+string(e)); len(text) == limit {
					return trail.ErrEnough
				}
				return nil
			})
			must(t, err)
			return append(text, fmt.Sprint(holes))
		}
		full, quick := s, s
		full.Scan, quick.Copy = true, counted
		if want, got := ask(full), ask(quick); !slices.Equal(got, want) {
			t.Errorf("%+v, limit %d: %d answers, a full scan has %d:\n%q\n%q", s, limit, len(got), len(want), got, want)
		}
	}
	return len(counted.whole)
}

// Whatever is asked, and whatever was done to the database or the files, the answer of
// the copy is that of a full scan.
func TestCopyIsFullScan(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(11, 12))
	spoil := func(path, statement string) {
		db, err := openDatabase(path)
		must(t, err)
		_, err = db.ExecContext(t.Context(), statement)
		must(t, err)
		must(t, db.Close())
	}
	whole := func(dir, path string) int { return wantSame(t, dir, path, rng) }
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "audit.db")
	for range 3 {
		motley(t, dir, rng, 60)
		whole(dir, path) // it is not there, and then behind
		_, err := export(t.Context(), dir, path)
		must(t, err)
	}
	spoil(path, "DELETE FROM events WHERE line = (SELECT max(line) FROM events)") // of the open file
	motley(t, dir, rng, 30)
	_, err := export(t.Context(), dir, path)
	must(t, err)
	if n := whole(dir, path); n < 20 {
		t.Errorf("the copy has answered for %d files", n)
	}
	for _, statement := range []string{
		"DELETE FROM events WHERE line % 17 = 3", "UPDATE events SET room_id = 'plain' WHERE line % 19 = 4",
	} {
		spoil(path, statement)
		whole(dir, path)
	}
	if whole(dir, path) == 0 {
		t.Error("the copy has answered for no file")
	}
	_, err = export(t.Context(), dir, path)
	must(t, err)
	whole(dir, path)

	// Files that are gone are gone from the answer, too.
	fresh := filepath.Join(t.TempDir(), "fresh.db")
	_, err = export(t.Context(), dir, fresh)
	must(t, err)
	files, err := trail.Files(dir)
	must(t, err)
	must(t, os.Remove(files[0].Path))
	must(t, os.Remove(files[7].Path))
	if n := whole(dir, fresh); n < 15 {
		t.Errorf("the copy has answered for %d files", n)
	}
}

// A row that was changed past the triggers is found by the hash of its line, and the
// rest of its file is read.
func TestCopyIsSpoiledAmidFile(t *testing.T) {
	t.Parallel()
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "audit.db")
	motley(t, dir, rand.New(rand.NewPCG(17, 18)), 40)
	must(t, exportTo(t, dir, path))
	db, err := openDatabase(path)
	must(t, err)
	_, err = db.ExecContext(t.Context(), "DROP TRIGGER events_updated; UPDATE events SET event = replace(event, 'ViewCount\":7', 'ViewCount\":8') WHERE line IN (4, 15)")
	must(t, errors.Join(err, db.Close()))
	lines := func(s trail.Search) (all []uint64) {
		_, err := trail.Find(t.Context(), dir, s, func(f trail.Found) error { all = append(all, f.Line.Line); return nil })
		must(t, err)
		return all
	}
	spoiled, err := openCopy(path)
	must(t, err)
	if got, want := lines(trail.Search{Copy: spoiled}), lines(trail.Search{Scan: true}); !slices.Equal(got, want) {
		t.Errorf("%d, want %d", got, want)
	}
	var says bytes.Buffer
	if must(t, spoiled.close(&says)); !strings.Contains(says.String(), "it has a line that is not as it was recorded") {
		t.Error(says.String())
	}
}

// A database of an earlier version answers for the files that were copied since.
func TestCopyOfEarlierVersion(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(13, 14))
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "audit.db")
	motley(t, dir, rng, 40)
	_, err := export(t.Context(), dir, path)
	must(t, err)
	db, err := openDatabase(path)
	must(t, err)
	for _, statement := range []string{"DROP TRIGGER events_deleted", "DROP TRIGGER events_updated", "DROP TABLE files", "ALTER TABLE events DROP COLUMN seq", "ALTER TABLE events DROP COLUMN subject", "ALTER TABLE events DROP COLUMN previous"} {
		_, err := db.ExecContext(t.Context(), statement)
		must(t, err)
	}
	must(t, db.Close())
	if n := wantSame(t, dir, path, rng); n > 0 {
		t.Errorf("it has answered for %d files", n)
	}
	motley(t, dir, rng, 40)
	_, err = export(t.Context(), dir, path)
	must(t, err)
	var files int
	db, err = openDatabase(path)
	must(t, err)
	must(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM files WHERE hash NOT NULL").Scan(&files))
	if must(t, db.Close()); files == 0 || wantSame(t, dir, path, rng) == 0 {
		t.Errorf("%d files are whole", files)
	}
}

// The commands use the database, and say so when it is of no use; the answer is the same.
func TestQueryUsesDatabase(t *testing.T) {
	rng := rand.New(rand.NewPCG(15, 16))
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "audit.db")
	motley(t, dir, rng, 60)
	for _, args := range [][]string{{"query", "--format", "json"}, {"query", "--room", "a'b"}, {"query", "--count", "--type", "room.ended"}, {"room", "plain"}, {"room", "plain", "--at", "2026-11-23T18:30:00Z"}} {
		_ = os.Remove(path)
		t.Setenv("ROOMAUDIT_SQLITE", path)
		_, want, gaps := call(t, dir, args...)
		wantNothingElse := func(what string) {
			t.Helper()
			if status, out, errs := call(t, dir, args...); status != 0 || out != want || errs != gaps {
				t.Errorf("%v, %s: %d %s%s\nwant %s%s", args, what, status, out, errs, want, gaps)
			}
		}
		wantNothingElse("no database")
		if _, err := os.Stat(path); err == nil {
			t.Error("the query has made a database")
		}
		must(t, exportTo(t, dir, path))
		wantNothingElse("whole")
		must(t, os.WriteFile(path, []byte("no database at all, but long enough to be looked at"), 0o600))
		if status, out, errs := call(t, dir, args...); status != 0 || out != want || !strings.Contains(errs, path+" of ROOMAUDIT_SQLITE cannot be read") {
			t.Errorf("%v, no database: %d %s%s", args, status, out, errs)
		}
		if status, out, errs := call(t, dir, append(args, "--scan")...); status != 0 || out != want || errs != gaps {
			t.Errorf("%v --scan: %d %s%s", args, status, out, errs)
		}
	}
}

func exportTo(t *testing.T, dir, path string) error {
	t.Helper()
	_ = os.Remove(path)
	_, err := export(t.Context(), dir, path)
	return err
}

// What a room is asked for is found by the index of the rooms.
func TestRoomIsFoundByIndex(t *testing.T) {
	db, err := openDatabase(filepath.Join(t.TempDir(), "audit.db"))
	must(t, err)
	defer func() { must(t, db.Close()) }()
	must(t, makeTables(t.Context(), db))
	where, args := conditions(trail.Search{Room: "r", From: evening, Types: []events.Type{events.RoomEnded}})
	var id, parent, unused int
	var plan string
	row := db.QueryRowContext(t.Context(), "EXPLAIN QUERY PLAN SELECT line FROM events WHERE line BETWEEN ? AND ?"+where+" ORDER BY line", append([]any{1, 100000}, args...)...)
	if must(t, row.Scan(&id, &parent, &unused, &plan)); !strings.Contains(plan, "events_room (room_id=? AND line>? AND line<?)") {
		t.Error(plan)
	}
}
