package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/roomaudit/trail"
)

func TestExport(t *testing.T) {
	dir := strangers(t)
	path := filepath.Join(t.TempDir(), "a b?%.db")
	if status, out, errs := call(t, dir, "export", "--sqlite", path); status != 0 || !strings.HasPrefix(out, "4 events added") {
		t.Fatalf("%d %s %s", status, out, errs)
	}
	w, err := trail.Open(trail.Options{Dir: dir})
	must(t, err)
	must(t, w.Append(time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC), []trail.Message{{Seq: 6, Stored: time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC), Body: event(6, "r6", "n")}}))
	must(t, w.Close())
	for _, want := range []string{"1 event added", "0 events added"} {
		if status, out, errs := call(t, dir, "export", "--sqlite", path); status != 0 || !strings.HasPrefix(out, want) {
			t.Errorf("%d %s %s, want %s", status, out, errs, want)
		}
	}
	db, err := openDatabase(path)
	must(t, err)
	defer func() { _ = db.Close() }()
	var rows, views int
	var name string
	must(t, db.QueryRowContext(t.Context(), "SELECT count(*), sum(views), max(CASE room_id WHEN 'r3' THEN name END) FROM events").Scan(&rows, &views, &name))
	if rows != 5 || views != 35 || name != "a\x1b[31m\u202eb" {
		t.Errorf("%d rows, %d views, name %q", rows, views, name)
	}
	if status, _, errs := call(t, strangers(t), "export", "--sqlite", path); status != 1 || !strings.Contains(errs, "choose another file") {
		t.Errorf("another trail: %d %s", status, errs)
	}
}

// A database that has lines that were taken away from the trail since is not
// added to: its rows would no longer lead back to what proves them.
func TestExportOfShortenedTrail(t *testing.T) {
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "audit.db")
	write := func(from, to uint64) {
		w, err := trail.Open(trail.Options{Dir: dir})
		must(t, err)
		for n := from; n <= to; n++ {
			must(t, w.Append(time.Date(2026, 11, 24, 9, 0, 0, int(n+to), time.UTC), []trail.Message{{Seq: n, Stored: time.Date(2026, 11, 24, 9, 0, 0, int(n+to), time.UTC), Body: event(n, "r", "n")}}))
		}
		must(t, w.Close())
	}
	write(1, 8)
	if status, _, errs := call(t, dir, "export", "--sqlite", path); status != 0 {
		t.Fatal(errs)
	}
	files, err := trail.Files(dir)
	must(t, err)
	text, err := os.ReadFile(files[0].Path)
	must(t, err)
	must(t, os.WriteFile(files[0].Path, []byte(strings.Join(strings.SplitAfter(string(text), "\n")[:6], "")), 0o600))
	for _, last := range []uint64{6, 12} { // shorter than the database, and longer
		write(6, last)
		if status, out, errs := call(t, dir, "export", "--sqlite", path); status != 1 || !strings.Contains(errs, "line 9") {
			t.Errorf("%d lines: %d %s%s", last, status, out, errs)
		}
	}
}

// What was moved away before it was exported is named, also by later exports, and
// nothing is named that was exported before.
func TestExportOfArchivedTrail(t *testing.T) {
	dir, path, late := t.TempDir(), filepath.Join(t.TempDir(), "audit.db"), filepath.Join(t.TempDir(), "late.db")
	day := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	w, err := trail.Open(trail.Options{Dir: dir})
	must(t, err)
	record := func(n int) { // a file: begin, event, end
		at := day.Add(time.Duration(n) * 24 * time.Hour)
		must(t, w.Append(at, []trail.Message{{Seq: uint64(n), Stored: at, Body: event(uint64(n), "r", "n")}}))
		must(t, w.Tick(at.Add(24*time.Hour)))
	}
	move := func(n int) {
		files, err := trail.Files(dir)
		must(t, err)
		for _, f := range files[:n] {
			must(t, os.Rename(f.Path, filepath.Join(t.TempDir(), "away")))
		}
	}
	record(1)
	record(2)
	wantExport(t, dir, path, "2 events added to "+path+"\n")
	move(2)
	record(3)
	record(4)
	wantExport(t, dir, path, "2 events added to "+path+"\n")
	record(5)
	record(6)
	move(3)
	lack := "lines 13 to 15 are not in it: their files were not in " + dir + " when they were to be exported\n"
	wantExport(t, dir, path, "1 event added to "+path+"\n"+lack)
	wantExport(t, dir, path, "0 events added to "+path+"\n"+lack)
	wantExport(t, dir, late, "1 event added to "+late+"\nlines 1 to 15 are not in it: their files were not in "+dir+" when they were to be exported\n")
	must(t, w.Close())
}

func wantExport(t *testing.T, dir, path, want string) {
	t.Helper()
	if status, out, errs := call(t, dir, "export", "--sqlite", path); status != 0 || out != want {
		t.Errorf("%d %s%s\nwant %s", status, out, errs, want)
	}
}

// A database of an earlier version gets times of one width, and is added to.
func TestExportToOlderDatabase(t *testing.T) {
	dir, path := strangers(t), filepath.Join(t.TempDir(), "audit.db")
	wantExport(t, dir, path, "4 events added to "+path+"\n")
	db, err := openDatabase(path)
	must(t, err)
	defer func() { _ = db.Close() }()
	for _, statement := range []string{"DROP TABLE exported", "DELETE FROM events WHERE line = 7", "UPDATE events SET stored = '2026-11-22T23:00:00Z' WHERE line = 2", "UPDATE events SET stored = '2026-11-23T00:00:00.12Z' WHERE line = 5"} {
		_, err := db.ExecContext(t.Context(), statement)
		must(t, err)
	}
	wantExport(t, dir, path, "1 event added to "+path+"\n")
	var all string
	must(t, db.QueryRowContext(t.Context(), "SELECT group_concat(stored, ' ' ORDER BY stored) FROM events").Scan(&all))
	if want := "2026-11-22T23:00:00.000000000Z 2026-11-23T00:00:00.120000000Z 2026-11-23T01:00:00.000000000Z 2026-11-23T02:00:00.000000000Z"; all != want {
		t.Errorf("stored %s", all)
	}
}

// The copy of a running roomaudit keeps itself up, also from where a kill has left it;
// one that cannot be written is reported, and events are recorded meanwhile.
func TestSQLiteKeepsUp(t *testing.T) {
	t.Parallel() // a copy is half a minute after the one before
	r := newRig(t)
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "audit.db")
	env := append(r.env(dir), "ROOMAUDIT_SQLITE="+path)
	rows := func() (n int) {
		if _, err := os.Stat(path); err != nil {
			return 0
		}
		db, err := openDatabase(path)
		must(t, err)
		defer func() { _ = db.Close() }()
		if err := db.QueryRowContext(t.Context(), "SELECT count(DISTINCT id) FROM events").Scan(&n); err != nil {
			return 0 // it is being made
		}
		return n
	}
	for range 3 {
		r.publish(200)
		p := start(t, env, "run")
		r.wantAll(dir)
		p.kill() // perhaps amid a copy
		wantSame(t, dir, path, rand.New(rand.NewPCG(19, 20)))
	}
	p := start(t, env, "run")
	eventually(t, "all rows", func() bool { return rows() == int(r.next-1) })
	p.stop()
	if wantSame(t, dir, path, rand.New(rand.NewPCG(21, 22))) == 0 {
		t.Error("the copy has answered for no file")
	}
	if status, said := ask(t, dir, "export", "--sqlite", path); status != 0 || said != "0 events added to "+path+"\n" {
		t.Errorf("%d %s", status, said)
	}

	must(t, os.MkdirAll(filepath.Join(dir, "no.db"), 0o750))
	p = start(t, append(r.env(dir), "ROOMAUDIT_SQLITE="+filepath.Join(dir, "no.db")), "run")
	eventually(t, "a word about the copy", func() bool { return strings.Contains(p.out.String(), "duty=\"copy the trail to ROOMAUDIT_SQLITE\"") })
	r.publish(5)
	r.wantAll(dir)
	p.stop()
}
