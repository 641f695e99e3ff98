package trail

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	lookEvery  = 200 * time.Millisecond // for what was written meanwhile
	spoiledMax = 50                     // looks at a line that cannot be read: it may be one that is cut off and written anew
)

// Tail is [Find] that goes on: it waits for what is recorded, until ctx is done,
// which is no error. It calls gap with each hole as it comes.
func Tail(ctx context.Context, dir string, s Search, take func(Found) error, gap func(Hole) error) error {
	for next := 0; ctx.Err() == nil; {
		files, err := Files(dir)
		if err == nil && len(files) == 0 && next == 0 {
			err = none(dir)
		}
		if err != nil {
			return err
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
		})
		for _, h := range holes {
			if err := gap(h); err != nil {
				return err
			}
		}
		if ctx.Err() != nil || err != nil || enough {
			return ending(ctx, err)
		}
		switch {
		case open < len(files):
			t := &tail{file: files[open], search: s, take: take, gap: gap}
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
			sleep(ctx, lookEvery)
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

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// A tail reads the file that is being written.
type tail struct {
	file   File
	search Search
	take   func(Found) error
	gap    func(Hole) error
	holes  holes
	told   int // of the holes
}

// run reads lines as they come. It returns whether the file was sealed; if not, it
// is gone, and what there is has to be looked at anew.
func (t *tail) run(ctx context.Context) (sealed bool, err error) {
	file, err := os.Open(t.file.Path)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) { // it was compressed meanwhile
			return false, nil
		}
		return false, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	offset, spoiled := int64(0), 0
	for ctx.Err() == nil {
		if _, err := file.Seek(offset, io.SeekStart); err != nil {
			return false, err
		}
		r := bufio.NewReaderSize(file, 64<<10)
		for {
			text, err := r.ReadBytes('\n')
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return false, err
			}
			l, err := Parse(text[:len(text)-1])
			if err != nil {
				if spoiled++; spoiled == spoiledMax {
					return false, err
				}
				break
			}
			offset, spoiled = offset+int64(len(text)), 0
			if err := t.line(l, text[:len(text)-1]); err != nil || l.Kind == End {
				return true, err
			}
		}
		if files, err := Files(filepath.Dir(t.file.Path)); err == nil && !slices.ContainsFunc(files, func(f File) bool { return f.Number == t.file.Number }) {
			return false, nil
		}
		sleep(ctx, lookEvery)
	}
	return false, nil
}

func (t *tail) line(l Line, text []byte) error {
	t.holes.see(l)
	for ; t.told < len(t.holes.all); t.told++ {
		if h := t.holes.all[t.told]; t.search.touches(h) {
			if err := t.gap(h); err != nil {
				return err
			}
		}
	}
	f, ok, err := t.search.found(l, text)
	if err != nil || !ok {
		return err
	}
	return t.take(f)
}
