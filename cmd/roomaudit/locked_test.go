package main

import (
	"bytes"
	"context"
	"database/sql"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/diff/logtest"
)

// lockDatabase has another program lock a database, by statements, until unlock is called.
func lockDatabase(t *testing.T, path string, statements ...string) (unlock func()) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	must(t, err)
	db.SetMaxOpenConns(1)
	for _, s := range statements {
		_, err := db.ExecContext(t.Context(), s)
		must(t, err)
	}
	return func() { must(t, db.Close()) }
}

// Another program locks the database for ten minutes. Events are recorded meanwhile, the log says why
// they are not copied, and they are copied when it has ended.
func TestDatabaseIsLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, path := t.TempDir(), filepath.Join(t.TempDir(), "audit.db")
		w, err := trail.Open(trail.Options{Dir: dir})
		must(t, err)
		var out logtest.Buffer
		now := newStatus()
		u := newUpkeep(&config{Dir: dir, SQLite: path}, w, now, slog.New(slog.NewTextHandler(&out, nil)))
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			u.keepSQLite(ctx)
		}()
		seq := uint64(0)
		recordOne := func() {
			seq++
			must(t, w.Append(time.Now(), []trail.Message{{Seq: seq, Stored: time.Now(), Subject: "live.x", Body: event(seq, "r", "n")}}))
		}
		copied := func() (n uint64) {
			db, err := openDatabase(path)
			must(t, err)
			must(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM events").Scan(&n))
			must(t, db.Close())
			return n
		}
		recordOne()
		time.Sleep(time.Minute)
		if n := copied(); n != 1 {
			t.Fatalf("%d events are copied", n)
		}
		unlock := lockDatabase(t, path, "BEGIN IMMEDIATE")
		for range 10 {
			before := time.Now()
			recordOne()
			if waited := time.Since(before); waited > 0 {
				t.Errorf("the recording has waited for %s", waited)
			}
			time.Sleep(time.Minute)
		}
		if _, warnings := now.readiness(); len(warnings) != 1 || !strings.Contains(warnings[0], "cannot copy the trail to ROOMAUDIT_SQLITE: ") || !strings.Contains(out.String(), "end the program that uses the database") {
			t.Errorf("%q, and the log:\n%s", warnings, out.String())
		}
		if n := copied(); n != 1 {
			t.Errorf("%d events are copied past the lock", n)
		}
		unlock()
		time.Sleep(time.Minute)
		if _, warnings := now.readiness(); copied() != seq || len(warnings) > 0 {
			t.Errorf("%d events of %d are copied, %q", copied(), seq, warnings)
		}
		stop()
		<-ended
		must(t, w.Close())
	})
}

// Another program keeps the database from being read, too. A query waits for it once, not for
// each file, answers from the files, and says why.
func TestQueryOfLockedDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, path := t.TempDir(), filepath.Join(t.TempDir(), "audit.db")
		w, err := trail.Open(trail.Options{Dir: dir, MaxFileBytes: 1})
		must(t, err)
		const files = 20
		for n := uint64(1); n <= files; n++ {
			must(t, w.Append(time.Now(), []trail.Message{{Seq: n, Stored: time.Now(), Subject: "live.x", Body: event(n, "r", "n")}}))
		}
		must(t, w.Close())
		must(t, exportTo(t, dir, path))
		defer lockDatabase(t, path, "PRAGMA journal_mode=delete", "BEGIN EXCLUSIVE")()
		db, err := openCopy(path)
		must(t, err)
		n, before := 0, time.Now()
		_, err = trail.Find(t.Context(), dir, trail.Search{Copy: db}, func(trail.Found) error { n++; return nil })
		must(t, err)
		if waited := time.Since(before); n != files || waited > 10*time.Second {
			t.Errorf("%d events after %s", n, waited)
		}
		var says bytes.Buffer
		must(t, db.close(&says))
		if !strings.Contains(says.String(), "database is locked") || !strings.Contains(says.String(), "the files were read instead; end the program that uses it") {
			t.Errorf("it says: %s", says.String())
		}
	})
}
