package trail

import (
	"fmt"
	"time"
)

// RemoveOld removes whole sealed files that are older than [Options.Keep], the
// oldest first, and never the newest file. That is on record before it is done, so
// that verify accepts what was removed and nothing else. Power cut at
//
//	the line         nothing is removed
//	the removal of   the files up to there are gone, the others are there: both is
//	a file           what the line says, and the next call removes the rest
//
// How old a file is, its day says, by the clock of the recorder. A clock that is
// set forth removes nothing alone: the newest message has to be as late, by the
// clock of NATS. A file that bears a day to come keeps itself and those behind it.
func (w *Writer) RemoveOld(now time.Time) error {
	if w.o.Keep <= 0 || w.end.newest.Stored.IsZero() {
		return nil
	}
	late := now
	if w.end.newest.Stored.Before(late) {
		late = w.end.newest.Stored
	}
	files, err := Files(w.o.Dir)
	if err != nil {
		return fmt.Errorf("remove old files: %w", err)
	}
	last := day(late.Add(-w.o.Keep)) // what is of a day before is old
	n := 0
	for n < len(files)-1 && files[n].Number < w.number && files[n].Compressed && files[n].Day < last {
		n++
	}
	if n == 0 {
		return nil
	}
	newest := files[n-1]
	if newest.Number > w.removed {
		behind, err := files[n].begin()
		if err != nil {
			return fmt.Errorf("remove old files: %w", err)
		}
		if err := w.ready(now); err != nil {
			return err
		}
		reason := fmt.Sprintf("older than %s", w.o.Keep)
		if err := w.write([]Line{{Kind: Removed, File: newest.Number, To: behind.Line - 1, Last: behind.Previous, Reason: reason}}); err != nil {
			return err
		}
		w.removed = newest.Number
		w.o.Log.Info("old files removed", "up_to", newest.Path, "line", behind.Line-1, "hash", behind.Previous, "keep", w.o.Keep)
	}
	for _, f := range files[:n] {
		if err := w.disk.remove(f.Path); err != nil {
			return err
		}
		if err := w.disk.remove(f.indexPath()); err != nil {
			return err
		}
	}
	return w.disk.syncDir(w.o.Dir)
}

// A gone is what verify knows of files that are missing before the first one.
type gone struct {
	to       int    // the number of the last one
	line     uint64 // the first line behind them
	previous string // the hash that it names
}

// accepts reports whether a line puts on record that these files were removed. If
// it names more than are missing, a crash has kept the rest, and the chain leads
// through them to what the line names.
func (g gone) accepts(l Line) bool {
	return l.File > g.to || l.File == g.to && l.To == g.line-1 && l.Last == g.previous
}
