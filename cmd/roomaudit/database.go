package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"modernc.org/sqlite" // the driver "sqlite", in Go alone
	sqlite3 "modernc.org/sqlite/lib"

	"roomwatch/cmd/roomaudit/trail"
)

// These columns say what proves an event. They are computed from it when they are
// read, so that rows from before they were there have them, too, and nothing of a row
// changes: the trigger would take that for tampering.
const (
	evidenceColumn = "evidence TEXT GENERATED ALWAYS AS (CASE WHEN json_valid(event) THEN json_extract(event, '$.data.evidence.by') END) VIRTUAL"
	missedColumn   = "missed INTEGER GENERATED ALWAYS AS (CASE WHEN json_valid(event) THEN json_extract(event, '$.data.evidence.missed') END) VIRTUAL"
	requestsColumn = "requests TEXT GENERATED ALWAYS AS (CASE WHEN json_valid(event) THEN json_extract(event, '$.data.evidence.requests') END) VIRTUAL"
)

// schema is that of the database. The key of an event is its line of the trail, so a
// row is there once however often it is exported, and leads back to what proves it.
// A file has a hash if all its events are there as they were copied: who changes or
// removes one takes the row of its file with it.
const schema = `
CREATE TABLE IF NOT EXISTS trail (id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS exported (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), line INTEGER NOT NULL, hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS missing (first_line INTEGER PRIMARY KEY, last_line INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS files (number INTEGER PRIMARY KEY, first_line INTEGER NOT NULL, last_line INTEGER, hash TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS events (
	line           INTEGER PRIMARY KEY,
	hash           TEXT NOT NULL,
	stored         TEXT NOT NULL,
	id             TEXT NOT NULL,
	type           TEXT NOT NULL,
	time           TEXT NOT NULL,
	sdkappid       INTEGER NOT NULL,
	room_id        TEXT NOT NULL,
	create_time    INTEGER NOT NULL,
	owner          TEXT NOT NULL,
	name           TEXT NOT NULL,
	views          INTEGER NOT NULL,
	previous_views INTEGER,
	version        INTEGER NOT NULL,
	baseline       INTEGER NOT NULL,
	event          TEXT NOT NULL,
	seq            INTEGER,
	subject        TEXT,
	previous       TEXT,
	` + evidenceColumn + `,
	` + missedColumn + `,
	` + requestsColumn + `
);
CREATE INDEX IF NOT EXISTS events_room ON events (room_id, line);
CREATE INDEX IF NOT EXISTS events_time ON events (time);
CREATE TRIGGER IF NOT EXISTS events_deleted AFTER DELETE ON events BEGIN
	DELETE FROM files WHERE first_line <= old.line AND coalesce(last_line, old.line) >= old.line;
END;
CREATE TRIGGER IF NOT EXISTS events_updated AFTER UPDATE ON events BEGIN
	DELETE FROM files WHERE first_line <= old.line AND coalesce(last_line, old.line) >= old.line;
END;`

// columns are those of an event, in the order in which they are copied.
const columns = "line, hash, stored, id, type, time, sdkappid, room_id, create_time, owner, name, views, previous_views, version, baseline, event, seq, subject, previous"

// makeTables makes the tables. Those of an earlier version get what they lack; the
// events that they have stay without it, and their files without a row.
func makeTables(ctx context.Context, db *sql.DB) error {
	for _, column := range []string{"seq INTEGER", "subject TEXT", "previous TEXT", evidenceColumn, missedColumn, requestsColumn} {
		name, _, _ := strings.Cut(column, " ")
		var tables, there int
		if err := db.QueryRowContext(ctx, "SELECT (SELECT count(*) FROM sqlite_master WHERE name = 'events'), (SELECT count(*) FROM pragma_table_xinfo('events') WHERE name = ?)", name).Scan(&tables, &there); err != nil {
			return err
		}
		if tables > there {
			if _, err := db.ExecContext(ctx, "ALTER TABLE events ADD COLUMN "+column); err != nil {
				return err
			}
		}
	}
	_, err := db.ExecContext(ctx, schema)
	return err
}

// locked reports whether an error is that another program uses the database: it was waited for.
func locked(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && e.Code()&0xff == sqlite3.SQLITE_BUSY
}

func openDatabase(path string) (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+url.PathEscape(path)+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(wal)")
}

// A databaseCopy is the database of ROOMAUDIT_SQLITE, for queries. It is a [trail.Copy].
type databaseCopy struct {
	db   *sql.DB
	path string

	mu     sync.Mutex
	failed error // the first one
}

// openCopy opens the database for reading. It returns nil if there is none.
func openCopy(path string) (*databaseCopy, error) {
	if path == "" {
		return nil, nil
	}
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	db, err := sql.Open("sqlite", "file:"+url.PathEscape(path)+"?mode=ro&_pragma=busy_timeout(5000)")
	return &databaseCopy{db: db, path: path}, err
}

// close ends the use of the database, and tells what kept it from being of use. The
// answer is the same without it.
func (c *databaseCopy) close(w io.Writer) error {
	if c == nil {
		return nil
	}
	var err error
	if c.failed != nil {
		fix := "if it does not pass, remove it: `roomaudit run` makes it again"
		if locked(c.failed) {
			fix = "end the program that uses it, or wait for it"
		}
		_, err = fmt.Fprintf(w, "%s of ROOMAUDIT_SQLITE cannot be read (%s): the files were read instead; %s\n", c.path, visible(c.failed.Error()), fix)
	}
	return errors.Join(err, c.db.Close())
}

// Events implements [trail.Copy]. A lock is waited for once, and not again for each file.
func (c *databaseCopy) Events(ctx context.Context, last string, s trail.Search, take func(trail.Line) error) (bool, error) {
	c.mu.Lock()
	waited := locked(c.failed)
	c.mu.Unlock()
	if waited {
		return false, nil
	}
	whole, err := c.events(ctx, last, s, take)
	if err != nil && ctx.Err() == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.failed == nil {
			c.failed = err
		}
	}
	return whole, err
}

// events reads in one transaction, so that what a running roomaudit copies meanwhile,
// or an analyst changes, is seen as a whole or not at all.
func (c *databaseCopy) events(ctx context.Context, last string, s trail.Search, take func(trail.Line) error) (whole bool, err error) {
	tx, err := c.db.BeginTx(ctx, nil)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, tx.Rollback()) }()
	from, to, err := span(ctx, tx, last)
	if err != nil || from == 0 {
		return false, err
	}
	where, args := conditions(s)
	rows, err := tx.QueryContext(ctx, "SELECT line, hash, stored, event, seq, subject, previous FROM events WHERE line BETWEEN ? AND ?"+where+" ORDER BY line", append([]any{from, to}, args...)...)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		l := trail.Line{Kind: trail.Event}
		var stored, event string
		if err := rows.Scan(&l.Line, &l.Hash, &stored, &event, &l.Seq, &l.Subject, &l.Previous); err != nil {
			return false, err
		}
		if l.Stored, err = time.Parse(time.RFC3339Nano, stored); err != nil {
			return false, fmt.Errorf("line %d: %w", l.Line, err)
		}
		l.Event = []byte(event)
		if err := take(l); err != nil {
			return false, err
		}
	}
	return true, rows.Err()
}

// span returns the first and the last line of the file whose last line has this hash;
// 0 if not all of it is there. One of an earlier version has no such table.
func span(ctx context.Context, tx *sql.Tx, last string) (from, to int64, err error) {
	var tables int
	if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master WHERE name = 'files'").Scan(&tables); err != nil || tables == 0 {
		return 0, 0, err
	}
	err = tx.QueryRowContext(ctx, "SELECT first_line, last_line FROM files WHERE hash = ?", last).Scan(&from, &to)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return from, to, err
}

// conditions are those of a search, for the rows of events.
func conditions(s trail.Search) (where string, args []any) {
	add := func(condition string, arg any) {
		where += " AND " + condition
		args = append(args, arg)
	}
	if s.Room != "" {
		add("room_id = ?", s.Room)
	}
	if s.Owner != "" {
		add("owner = ?", s.Owner)
	}
	if !s.From.IsZero() {
		add("stored >= ?", storedTime(s.From))
	}
	if !s.To.IsZero() {
		add("stored < ?", storedTime(s.To))
	}
	if len(s.Types) > 0 {
		where += " AND type IN (?" + strings.Repeat(", ?", len(s.Types)-1) + ")"
		for _, t := range s.Types {
			args = append(args, string(t))
		}
	}
	return where, args
}
