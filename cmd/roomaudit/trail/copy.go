package trail

import (
	"context"
	"errors"
	"fmt"
)

// A Copy has the events of sealed files in another place, where they are found
// faster. It is no evidence: [Search.Scan] does without.
type Copy interface {
	// Events calls take with the events of a file that are wanted, and perhaps with
	// others, in their order. The file is the one whose last line has this hash. It
	// returns false if the copy does not have the whole file; take was not called then. After
	// an error the file is read instead, behind the last event that was taken.
	Events(ctx context.Context, last string, s Search, take func(Line) error) (whole bool, err error)
}

// errCopy means that a line of a copy is not the one of the trail.
var errCopy = errors.New("it has a line that is not as it was recorded")

// text returns the bytes of a line of a copy, which has the fields of an event. They
// have the hash that the line names, or the line is not returned.
func (l Line) text() ([]byte, error) {
	hash := l.Hash
	b, err := l.encode(nil, nil)
	if err == nil && l.Hash != hash {
		err = fmt.Errorf("line %d: %w", l.Line, errCopy)
	}
	if err != nil {
		return nil, err
	}
	return b[:len(b)-1], nil
}

// copied takes what is wanted of the file from the copy. It returns false if the
// file has to be read, behind what was taken.
func (s *scan) copied(ctx context.Context, last string) bool {
	if s.search.Copy == nil || last == "" {
		return false
	}
	whole, err := s.search.Copy.Events(ctx, last, s.search, func(l Line) error {
		text, err := l.text()
		if err != nil {
			return err
		}
		f, ok, err := s.search.found(l, text)
		if err != nil {
			return err
		}
		s.behind = l.Line
		if !ok {
			return nil
		}
		return s.add(ctx, f)
	})
	return whole && err == nil // the copy tells what is wrong with it
}
