package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	_ "modernc.org/sqlite" // the driver "sqlite", in Go alone

	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/publisher/events"
)

// exportRows is how many rows share a transaction.
const exportRows = 10000

// schema is that of the database. The key is the line of the trail, so a row is
// there once however often it is exported, and leads back to what proves it.
const schema = `
CREATE TABLE IF NOT EXISTS trail (id TEXT PRIMARY KEY);
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
	event          TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_room ON events (room_id, line);
CREATE INDEX IF NOT EXISTS events_time ON events (time);`

// SQLite and not Parquet: one file that can be appended to, in transactions, and
// asked while it grows; a Parquet file is written once and as a whole.
func exportCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Copy the trail into a SQLite database for analysts",
		Long: "export adds to the database what it does not have yet: run it as often as you like, also while roomaudit records. The trail\n" +
			"stays what counts; the column line leads back to it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := configured()
			if err != nil {
				return err
			}
			if path == "" {
				return program.BadFlags(errors.New("--sqlite is missing: name the database's file"))
			}
			n, err := export(cmd.Context(), c.Dir, path)
			if err != nil {
				return fmt.Errorf("export to %s: %w", path, err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d events added to %s\n", n, path)
			return err
		},
	}
	cmd.Flags().StringVar(&path, "sqlite", "", "the database's `file`, which is made if it does not exist")
	return cmd
}

// export returns how many events it added. A crash leaves whole transactions.
func export(ctx context.Context, dir, path string) (added int, err error) {
	db, err := openDatabase(path)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, schema); err != nil {
		return 0, err
	}
	x := &exporter{ctx: ctx, db: db}
	since, err := x.place()
	if err != nil {
		return 0, err
	}
	err = trail.Read(ctx, dir, since, "", x.take)
	if err == nil && x.seen < x.last {
		err = x.parted()
	}
	if err == nil {
		err = x.commit()
	}
	if x.tx != nil {
		err = errors.Join(err, x.tx.Rollback())
	}
	return x.added, err
}

func openDatabase(path string) (*sql.DB, error) {
	return sql.Open("sqlite", "file:"+url.PathEscape(path)+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(wal)")
}

// An exporter copies lines into a database.
type exporter struct {
	ctx   context.Context //nolint:containedctx // of one call of export
	db    *sql.DB
	tx    *sql.Tx
	trail string // the one that the database is of; empty: none yet
	last  uint64 // the last line that the database has
	hash  string // of it
	seen  uint64 // the last line of the trail
	rows  int    // in the transaction
	added int    // in those that were committed
}

// place finds how far the database is, and the day of that.
func (x *exporter) place() (since string, err error) {
	if err := x.db.QueryRowContext(x.ctx, "SELECT id FROM trail").Scan(&x.trail); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", err
	}
	var stored sql.NullString
	if err := x.db.QueryRowContext(x.ctx, "SELECT line, hash, stored FROM events ORDER BY line DESC LIMIT 1").Scan(&x.last, &x.hash, &stored); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return "", err
	}
	if len(stored.String) >= len(time.DateOnly) {
		since = stored.String[:len(time.DateOnly)]
	}
	return since, nil
}

func (x *exporter) take(l trail.Line, _ []byte) error {
	if x.tx == nil {
		tx, err := x.db.BeginTx(x.ctx, nil)
		if err != nil {
			return err
		}
		x.tx = tx
	}
	if x.seen = l.Line; l.Line == x.last && l.Hash != x.hash {
		return x.parted()
	}
	if l.Kind == trail.Begin {
		return x.belongs(l.Trail)
	}
	if l.Kind != trail.Event || l.Line <= x.last {
		return nil
	}
	e, err := events.Decode(l.Event)
	if err != nil {
		return fmt.Errorf("line %d: %w", l.Line, err)
	}
	r := e.Data.Room
	var previous *int64
	if e.Data.Previous != nil {
		previous = e.Data.Previous.ViewCount
	}
	_, err = x.tx.ExecContext(x.ctx, "INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		int64(l.Line), l.Hash, l.Stored.UTC().Format(time.RFC3339Nano), e.ID, string(e.Type), e.Time.UTC().Format("2006-01-02T15:04:05.000Z"), e.App(),
		r.RoomID, r.CreateTime, r.OwnerAccount, r.RoomName, r.ViewCount, previous, int64(e.Data.Version), e.Data.Baseline, string(l.Event))
	if err != nil {
		return fmt.Errorf("line %d: %w", l.Line, err)
	}
	if x.rows++; x.rows == exportRows {
		return x.commit()
	}
	return nil
}

// belongs makes sure that a database has the lines of one trail only.
func (x *exporter) belongs(id string) error {
	if x.trail == id {
		return nil
	}
	if x.trail != "" {
		return fmt.Errorf("it has the lines of trail %s, and this is trail %s: choose another file", x.trail, id)
	}
	x.trail = id
	_, err := x.tx.ExecContext(x.ctx, "INSERT INTO trail VALUES (?)", id)
	return err
}

// parted says that rows of the database lead back to nothing any more.
func (x *exporter) parted() error {
	return fmt.Errorf("it has line %d with hash %s, which the trail has no more: its end was taken away since, or an old copy put back; find out which, and choose another file", x.last, x.hash)
}

func (x *exporter) commit() error {
	if x.tx == nil {
		return nil
	}
	err := x.tx.Commit()
	x.tx = nil
	if err == nil {
		x.added += x.rows
		x.rows = 0
	}
	return err
}
