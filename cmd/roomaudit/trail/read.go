package trail

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Read calls take with each line of the trail, in order, of files whose day is
// from since to until (as 2006-01-02; empty: all). It does not check the chain. The
// text is the line's bytes, valid until take returns. It ends when ctx does.
func Read(ctx context.Context, dir, since, until string, take func(l Line, text []byte) error) error {
	files, err := Files(dir)
	if err == nil && len(files) == 0 || errors.Is(err, os.ErrNotExist) {
		err = none(dir)
	}
	if err != nil {
		return fmt.Errorf("read audit trail: %w", err)
	}
	for _, f := range files {
		if f.Day < since || until != "" && f.Day > until {
			continue
		}
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
	}
	return nil
}

// none says that a directory has no trail. It is an [os.ErrNotExist].
func none(dir string) error {
	return fmt.Errorf("there is no file of a trail in %s: %w; set ROOMAUDIT_DIR, or wait for the first event", dir, os.ErrNotExist)
}
