package trail

import (
	"context"
	"errors"
	"fmt"
	"sort"
)

// Read calls take with each line of the trail, in order, of the file that has
// line from, and of those behind it; 0: of all files. It does not check the chain.
// The text is the line's bytes, valid until take returns. It ends when ctx does.
func Read(ctx context.Context, dir string, from uint64, take func(l Line, text []byte) error) error {
	files, err := listed(dir)
	if err == nil && from > 0 {
		files, err = since(files, from)
	}
	if err != nil {
		return fmt.Errorf("read audit trail: %w", err)
	}
	for _, f := range files {
		if err := f.read(ctx, take); err != nil {
			return err
		}
	}
	return nil
}

// since returns the files from the one that has a line on.
func since(files []File, line uint64) ([]File, error) {
	var failed error
	behind := sort.Search(len(files), func(i int) bool {
		first, err := files[i].begin()
		if errors.Is(err, errTorn) && i == len(files)-1 {
			return true // it is being begun
		}
		failed = errors.Join(failed, err)
		return first.Line > line
	})
	return files[max(0, behind-1):], failed
}

// End returns the last line of a sealed file, or nil if the file is open.
func (f File) End(ctx context.Context) (*Line, error) {
	var last Line
	err := f.read(ctx, func(l Line, _ []byte) error {
		last = l
		return nil
	})
	if err != nil || last.Kind != End {
		return nil, err
	}
	return &last, nil
}

// read calls take with each line of one file.
func (f File) read(ctx context.Context, take func(l Line, text []byte) error) error {
	row := 0
	err := f.lines(func(text []byte) error {
		row++
		if err := ctx.Err(); err != nil {
			return err
		}
		l, err := Parse(text)
		if err != nil {
			return fmt.Errorf("row %d: %w; `roomaudit verify` says more", row, err)
		}
		return take(l, text)
	})
	if err != nil && !errors.Is(err, errTorn) {
		return fmt.Errorf("read %s: %w", f.Path, err)
	}
	return nil
}
