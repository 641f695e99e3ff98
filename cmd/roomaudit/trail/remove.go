package trail

import (
	"bytes"
	"fmt"
	"time"
)

// RemoveOld removes whole sealed files that are older than [Options.Keep], the
// oldest first, and never the newest file. That is on record before it is done, and
// with a key the record is signed, so that verify accepts what was removed and
// nothing else. Power cut at
//
//	the line         nothing is removed
//	the seal         the same; the next call writes and seals another line
//	the removal of   the files up to there are gone, the others are there: both is
//	a file           what the line says, and the next call removes the rest
//
// A file is old if its day is, by the clock of the recorder, and if the newest of its
// messages is, by the clock of NATS: neither clock, if it was wrong for a while, removes
// a file early. A clock that is set forth removes nothing alone, either: the newest
// message of all has to be as late. A file that is not old keeps those behind it, as
// does one that is to be copied and was not yet: see [Options.Copies].
func (w *Writer) RemoveOld(now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.o.Keep <= 0 || w.end.newest.Stored.IsZero() {
		return nil
	}
	late := now
	if w.end.newest.Stored.Before(late) {
		late = w.end.newest.Stored
	}
	last := day(late.Add(-w.o.Keep)) // what is of a day before is old
	if last == w.kept && w.copied == w.keptCopied {
		return nil // it was done
	}
	files, err := Files(w.o.Dir)
	n := 0
	if err == nil {
		n, err = w.old(files, last, now)
	}
	if err != nil {
		return fmt.Errorf("remove old files: %w", err)
	}
	if n == 0 {
		w.kept, w.keptCopied = last, w.copied
		return nil
	}
	if files[n-1].Number > w.removed {
		if err := w.recordRemoval(files[n-1], files[n], now); err != nil {
			return fmt.Errorf("put on record that old files are removed: %w", err)
		}
	}
	for _, f := range files[:n] {
		if err := w.disk.remove(f.Path); err != nil {
			return err
		}
		if err := w.disk.remove(f.indexPath()); err != nil {
			return err
		}
	}
	if err := w.disk.syncDir(w.o.Dir); err != nil {
		return err
	}
	w.kept, w.keptCopied = last, w.copied
	return nil
}

// old returns how many of the first files are to be removed: those from before a day.
func (w *Writer) old(files []File, last string, now time.Time) (n int, err error) {
	for n < len(files)-1 && files[n].Number < w.number && files[n].Compressed && files[n].Day < last &&
		(!w.o.Copies || files[n].Number <= w.copied) {
		newest, err := files[n].newest()
		if err != nil {
			return 0, err
		}
		until := day(newest)
		if newest.IsZero() || newest.After(now.Add(24*time.Hour)) { // it does not say; it was written until the next one was begun
			until = files[n+1].Day
		}
		if until >= last {
			break
		}
		n++
	}
	return n, nil
}

// recordRemoval puts on record that the files up to newest, which next follows, are removed.
func (w *Writer) recordRemoval(newest, next File, now time.Time) error {
	first, err := next.begin()
	if err != nil {
		return err
	}
	if err := w.ready(now); err != nil {
		return err
	}
	reason := fmt.Sprintf("older than %s", w.o.Keep)
	if err := w.write([]Line{{Kind: Removed, File: newest.Number, To: first.Line - 1, Last: first.Previous, Reason: reason}}); err != nil {
		return err
	}
	if w.o.Key != nil {
		if err := w.seal(); err != nil {
			return err
		}
	}
	w.removed = newest.Number
	w.o.Log.Info("old files removed", "up_to", newest.Path, "line", first.Line-1, "hash", first.Previous, "keep", w.o.Keep)
	return nil
}

// newest returns when the last message of a file was stored; zero if it has none.
// It reads only that line as JSON.
func (f File) newest() (time.Time, error) {
	var last []byte
	err := f.lines(func(text []byte) error {
		if bytes.Contains(text[:min(len(text), 128)], []byte(`,"seq":`)) {
			last = append(last[:0], text...)
		}
		return nil
	})
	if err != nil || last == nil {
		return time.Time{}, err
	}
	l, err := Parse(last)
	if err != nil {
		return time.Time{}, fmt.Errorf("read %s: line %d: %w; `roomaudit verify` says more", f.Path, l.Line, err)
	}
	return l.Stored, nil
}

// A gone is what verify knows of files that are missing before the first one.
type gone struct {
	from, to int    // their numbers
	line     uint64 // the first line behind them
	previous string // the hash that it names
	records  []int  // the files with a line that says that they were removed
}

// recorded reports whether a line puts on record that these files were removed. If
// it names more than are missing, a crash has kept the rest, and the chain leads
// through them to what the line names.
func (g gone) recorded(l Line) bool {
	return l.File > g.to || l.File == g.to && l.To == g.line-1 && l.Last == g.previous
}
