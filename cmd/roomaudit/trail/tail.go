package trail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"

	"roomwatch/diff/retry"
)

const (
	lookEvery  = 200 * time.Millisecond // for what was written meanwhile
	spoiledMax = 50                     // looks at a line that cannot be read: it may be one that is cut off and rewritten
)

// Tail is [Find] that continues: it waits for what is recorded, until ctx is done,
// which is no error. It calls gap with each hole as it comes.
func Tail(ctx context.Context, dir string, s Search, take func(Found) error, gap func(Hole) error) error {
	list := listed
	var seam seam
	for next := 0; ctx.Err() == nil; list = Files {
		files, err := list(dir)
		if err != nil {
			return fmt.Errorf("follow audit trail: %w", err)
		}
		files = slices.DeleteFunc(files, func(f File) bool { return f.Number < next })
		open := slices.IndexFunc(files, func(f File) bool { return !f.Compressed })
		if open < 0 {
			open = len(files)
		}
		enough := false
		holes, err := find(ctx, files[:open], s, func(f Found) error {
			err := take(f)
			enough = errors.Is(err, ErrEnough)
			return err
		}, &seam)
		for _, h := range holes {
			err = errors.Join(err, gap(h))
		}
		if ctx.Err() != nil || err != nil || enough {
			return ending(ctx, err)
		}
		switch {
		case open < len(files):
			t := &tail{file: files[open], search: s, take: take, gap: gap, before: &seam}
			sealed, err := t.run(ctx)
			if err != nil {
				return ending(ctx, err)
			}
			if next = t.file.Number; sealed {
				next++
			}
		case open > 0:
			next = files[open-1].Number + 1
		default:
			_ = retry.Sleep(ctx, lookEvery)
		}
	}
	return nil
}

// ending is the error of a tail that ends: none if it was to end.
func ending(ctx context.Context, err error) error {
	if ctx.Err() != nil || errors.Is(err, ErrEnough) {
		return nil
	}
	return err
}

// A tail reads the file that is being written.
type tail struct {
	file   File
	search Search
	take   func(Found) error
	gap    func(Hole) error
	before *seam // the files before
	holes  holes
	told   int    // of the holes
	line   uint64 // the last one that was read
}

// run reads lines as they come. It returns whether the file was sealed; if not, it
// is gone, and what there is has to be looked at anew.
func (t *tail) run(ctx context.Context) (sealed bool, err error) {
	file, err := os.Open(t.file.Path)
	if errors.Is(err, os.ErrNotExist) { // it was compressed meanwhile
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("follow audit trail: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	t.holes.last = t.before.last
	offset, spoiled := int64(0), 0
	for ctx.Err() == nil {
		n, sealed, err := t.more(file, offset)
		if offset += n; n > 0 {
			spoiled = 0
		}
		switch {
		case errors.Is(err, errSpoiled):
			if spoiled++; spoiled == spoiledMax {
				return false, err
			}
		case err != nil || sealed:
			t.before.last = t.holes.last
			return true, err
		}
		if files, err := Files(filepath.Dir(t.file.Path)); err == nil && !slices.ContainsFunc(files, func(f File) bool { return f.Number == t.file.Number }) {
			return false, nil
		}
		_ = retry.Sleep(ctx, lookEvery)
	}
	return false, nil
}

// errSpoiled means that a line cannot be read.
var errSpoiled = errors.New("a line cannot be read")

// more reads the lines that are there from an offset on. It returns how many bytes
// they have, and whether the last one seals the file.
func (t *tail) more(file io.ReadSeeker, offset int64) (n int64, sealed bool, err error) {
	if _, err := file.Seek(offset, io.SeekStart); err != nil {
		return 0, false, fmt.Errorf("read %s: %w", t.file.Path, err)
	}
	r := newRows(file)
	for {
		text, err := r.next()
		if errors.Is(err, io.EOF) || errors.Is(err, errTorn) {
			return n, false, nil
		}
		if err != nil {
			return n, false, fmt.Errorf("read %s: %w", t.file.Path, err)
		}
		l, err := Parse(text)
		if err != nil {
			return n, false, fmt.Errorf("read %s: %w behind line %d: %w; `roomaudit verify` says more", t.file.Path, errSpoiled, t.line, err)
		}
		n, t.line = n+int64(len(text))+1, l.Line
		if err := t.see(l, text); err != nil || l.Kind == End {
			return n, true, err
		}
	}
}

func (t *tail) see(l Line, text []byte) error {
	t.holes.see(l)
	fresh := t.before.message(t.holes.first)
	fresh = append(fresh, t.holes.all[t.told:]...)
	t.told = len(t.holes.all)
	for _, h := range t.search.touched(fresh, math.MaxUint64) {
		if err := t.gap(h); err != nil {
			return err
		}
	}
	f, ok, err := t.search.found(l, text)
	if err != nil || !ok {
		return err
	}
	return t.take(f)
}
