package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/display"
	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/publisher/events"
)

// exportRows is how many rows share a transaction.
const exportRows = 10000

// SQLite and not Parquet: one file that can be appended to, in transactions, and
// asked while it grows; a Parquet file is written once and as a whole.
func exportCommand() *cobra.Command {
	var path string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Copy the trail into a SQLite database for analysts",
		Long: "export adds to the database what it does not have yet. It can be repeated, also while roomaudit records. The trail is the\n" +
			"evidence, not the database; the column line is the line of the trail.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := read(cmd)
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
			if _, err = fmt.Fprintf(cmd.OutOrStdout(), "%s added to %s\n", display.Count(n.added, "event"), path); err != nil {
				return err
			}
			for _, m := range n.missing {
				if _, err = fmt.Fprintf(cmd.OutOrStdout(), "lines %d to %d are not in it: their files were not in %s when they were to be exported\n", m.first, m.last, c.Dir); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&path, "sqlite", "", "the `file` of the database; created if it does not exist")
	return cmd
}

// A missing is a range of lines that a database does not have.
type missing struct{ first, last uint64 }

// An exported is what an export has done.
type exported struct {
	added   int       // events
	missing []missing // lines that the database lacks, also from exports before
}

// export adds what the database does not have. A crash leaves whole transactions.
func export(ctx context.Context, dir, path string) (done exported, err error) {
	db, err := openDatabase(path)
	if err != nil {
		return exported{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := makeTables(ctx, db); err != nil {
		return exported{}, err
	}
	x := &exporter{ctx: ctx, db: db}
	if err := x.place(); err != nil {
		return exported{}, err
	}
	begun := x.last
	err = trail.Read(ctx, dir, x.last, x.take)
	if err == nil && x.seen < begun {
		err = x.parted()
	}
	if err == nil {
		err = x.commit()
	}
	if x.tx != nil {
		err = errors.Join(err, x.tx.Rollback())
	}
	if err != nil {
		return exported{}, err
	}
	lacks, err := x.missing()
	return exported{x.added, lacks}, err
}

// An exporter copies lines into a database.
type exporter struct {
	ctx   context.Context //nolint:containedctx // of one call of export
	db    *sql.DB
	tx    *sql.Tx
	trail string // the one that the database is of; empty: none yet
	last  uint64 // the last line that the database knows
	hash  string // of it
	seen  uint64 // the last line that was read
	file  int    // the one that is read
	rows  int    // in the transaction
	added int    // in those that were committed
}

// place finds how far the database is. One of an earlier version does not say, and
// has times of various widths, which do not sort as text.
func (x *exporter) place() error {
	if err := x.db.QueryRowContext(x.ctx, "SELECT id FROM trail").Scan(&x.trail); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	err := x.db.QueryRowContext(x.ctx, "SELECT line, hash FROM exported").Scan(&x.last, &x.hash)
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if _, err := x.db.ExecContext(x.ctx, "UPDATE events SET stored = substr(replace(stored, 'Z', CASE instr(stored, '.') WHEN 0 THEN '.' ELSE '' END) || '000000000', 1, 29) || 'Z' "+
		"WHERE length(stored) < 30"); err != nil {
		return err
	}
	err = x.db.QueryRowContext(x.ctx, "SELECT line, hash FROM events ORDER BY line DESC LIMIT 1").Scan(&x.last, &x.hash)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return err
}

func (x *exporter) take(l trail.Line, _ []byte) error {
	if x.tx == nil {
		tx, err := x.db.BeginTx(x.ctx, nil)
		if err != nil {
			return err
		}
		x.tx = tx
	}
	if l.Line == x.last && l.Hash != x.hash || l.Line == x.last+1 && x.seen < x.last && x.last > 0 && l.Previous != x.hash {
		return x.parted()
	}
	if l.Kind == trail.Begin {
		x.file = l.File
		if err := x.belongs(l.Trail); err != nil {
			return err
		}
	}
	before := max(x.seen, x.last)
	if x.seen = max(x.seen, l.Line); l.Line <= before {
		return nil
	}
	if l.Line > before+1 {
		if _, err := x.tx.ExecContext(x.ctx, "INSERT INTO missing VALUES (?, ?)", int64(before+1), int64(l.Line-1)); err != nil {
			return err
		}
	}
	x.last, x.hash = l.Line, l.Hash
	if err := x.insert(l); err != nil {
		return fmt.Errorf("line %d: %w", l.Line, err)
	}
	if x.rows == exportRows {
		return x.commit()
	}
	return nil
}

// insert adds a line. A file has a row from its first line on, and the hash of its last
// one when all between is there: see [databaseCopy].
func (x *exporter) insert(l trail.Line) (err error) {
	switch l.Kind {
	case trail.Begin:
		_, err = x.tx.ExecContext(x.ctx, "INSERT OR REPLACE INTO files (number, first_line) VALUES (?, ?)", l.File, int64(l.Line))
	case trail.End:
		_, err = x.tx.ExecContext(x.ctx, "UPDATE files SET last_line = ?, hash = ? WHERE number = ? AND hash IS NULL", int64(l.Line), l.Hash, x.file)
	case trail.Event:
		x.rows++
		err = x.insertEvent(l)
	}
	return err
}

func (x *exporter) insertEvent(l trail.Line) error {
	e, err := events.Decode(l.Event)
	if err != nil {
		return err
	}
	r := e.Data.Room
	var previous *int64
	if e.Data.Previous != nil {
		previous = e.Data.Previous.ViewCount
	}
	_, err = x.tx.ExecContext(x.ctx, "INSERT INTO events ("+columns+") VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		int64(l.Line), l.Hash, storedTime(l.Stored), e.ID, string(e.Type), eventTime(e.Time), e.App(),
		r.RoomID, r.CreateTime, r.OwnerAccount, r.RoomName, r.ViewCount, previous, int64(e.Data.Version), e.Data.Baseline, string(l.Event), int64(l.Seq), l.Subject, l.Previous)
	return err
}

// missing lists the lines that the database lacks.
func (x *exporter) missing() (all []missing, err error) {
	rows, err := x.db.QueryContext(x.ctx, "SELECT first_line, last_line FROM missing ORDER BY first_line")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var m missing
		if err := rows.Scan(&m.first, &m.last); err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, rows.Err()
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
	return fmt.Errorf("it has line %d with hash %s, which the trail has no more: its end was removed since, or an old copy was restored; find out which, and choose another file", x.last, x.hash)
}

func (x *exporter) commit() error {
	if x.tx == nil {
		return nil
	}
	if _, err := x.tx.ExecContext(x.ctx, "INSERT OR REPLACE INTO exported VALUES (1, ?, ?)", int64(x.last), x.hash); err != nil {
		return err
	}
	err := x.tx.Commit()
	x.tx = nil
	if err == nil {
		x.added += x.rows
		x.rows = 0
	}
	return err
}
