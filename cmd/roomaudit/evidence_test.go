package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/roomaudit/trail"
)

// proved records an event for each kind of evidence: a page, two reads, sweeps, none, and
// one that means harm.
func proved(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	w, err := trail.Open(trail.Options{Dir: dir})
	must(t, err)
	at := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	for i, evidence := range []string{
		`{"by":"list","requests":["q1"]}`,
		`{"by":"info","requests":["q2","q3"]}`,
		`{"by":"sweeps","requests":["q4"],"missed":3}`,
		``,
		`{"by":"\u001b[31m","requests":["=1"]}`,
	} {
		n := uint64(i + 1)
		body := event(n, "r", "n")
		if evidence != "" {
			body = bytes.Replace(body, []byte(`"sweep":1`), []byte(`"sweep":1,"evidence":`+evidence), 1)
		}
		must(t, w.Append(at, []trail.Message{{Seq: n, Stored: at, Subject: "live.x", Body: body}}))
	}
	must(t, w.Close())
	return dir
}

// What proves an event is in each form of the answer.
func TestQueryTellsEvidence(t *testing.T) {
	dir := proved(t)
	status, out, errs := call(t, dir, "query")
	if status != 0 || errs != "" {
		t.Fatalf("%d %s", status, errs)
	}
	var got []string
	for line := range strings.Lines(out) {
		got = append(got, strings.TrimSpace(line[strings.Index(out, "EVIDENCE"):strings.LastIndex(line, " ")]))
	}
	if want := `EVIDENCE|list|info|sweeps 3||\x1b[31m`; strings.Join(got, "|") != want {
		t.Errorf("the table has %q, want %s", got, want)
	}
	_, out, _ = call(t, dir, "query", "--format", "csv")
	got = nil
	for line := range strings.Lines(out) {
		_, tail, _ := strings.Cut(line, "false,")
		got = append(got, strings.TrimSuffix(tail, "\n"))
	}
	if want := "|list,,q1|info,,q2 q3|sweeps,3,q4|,,|\x1b[31m,,'=1"; strings.Join(got, "|") != want {
		t.Errorf("CSV has %q, want %q", got, want)
	}
}

// The database has it also of the rows that an earlier version has copied, and nothing of
// such a row changes: the rows of their files stay.
func TestExportTellsEvidence(t *testing.T) {
	dir, path := proved(t), filepath.Join(t.TempDir(), "audit.db")
	wantExport(t, dir, path, "5 events added to "+path+"\n")
	db, err := openDatabase(path)
	must(t, err)
	defer func() { _ = db.Close() }()
	const want = `list//["q1"] info//["q2","q3"] sweeps/3/["q4"] // ` + "\x1b[31m" + `//["=1"]`
	told := func() (s string) {
		must(t, db.QueryRowContext(t.Context(), "SELECT group_concat(coalesce(evidence, '') || '/' || coalesce(missed, '') || '/' || coalesce(requests, ''), ' ' ORDER BY line) FROM events").Scan(&s))
		return s
	}
	if got := told(); got != want {
		t.Errorf("the database has %q, want %q", got, want)
	}
	for _, column := range []string{"evidence", "missed", "requests"} { // as it was
		_, err := db.ExecContext(t.Context(), "ALTER TABLE events DROP COLUMN "+column)
		must(t, err)
	}
	wantExport(t, dir, path, "0 events added to "+path+"\n")
	if got := told(); got != want {
		t.Errorf("one of an earlier version has %q, want %q", got, want)
	}
	var files int
	must(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM files").Scan(&files))
	if files != 1 {
		t.Error("the row of the file is gone: its events were changed")
	}
}

// A row that somebody has changed into something else than JSON can be read: the files
// have what it was.
func TestEvidenceOfNoJSON(t *testing.T) {
	dir, path := proved(t), filepath.Join(t.TempDir(), "audit.db")
	wantExport(t, dir, path, "5 events added to "+path+"\n")
	db, err := openDatabase(path)
	must(t, err)
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(t.Context(), "UPDATE events SET event = '{' WHERE line = 2")
	must(t, err)
	var n int
	must(t, db.QueryRowContext(t.Context(), "SELECT count(*) FROM (SELECT * FROM events) WHERE evidence IS NULL").Scan(&n))
	if n != 2 {
		t.Errorf("%d rows without evidence, want the one that had none and the one that was changed", n)
	}
}
