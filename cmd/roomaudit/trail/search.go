package trail

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"roomwatch/publisher/events"
)

// A Search says which events are wanted. What is empty or zero wants all.
type Search struct {
	From, To    time.Time // when the stream stored them, To not included
	Types       []events.Type
	Room, Owner string
	// Scan reads every file, whatever its index says: an index proves nothing.
	Scan bool
	Copy Copy // of the sealed files; nil: there is none
}

// A Found is an event that was searched for.
type Found struct {
	Line  Line
	Text  []byte // of the line
	Event events.Event
}

// matches reports whether an event is wanted.
func (s Search) matches(l Line, e events.Event) bool {
	room := e.Data.Room
	return (s.From.IsZero() || !l.Stored.Before(s.From)) && (s.To.IsZero() || l.Stored.Before(s.To)) &&
		(s.Room == "" || room.RoomID == s.Room) && (s.Owner == "" || room.OwnerAccount == s.Owner) &&
		(len(s.Types) == 0 || slices.Contains(s.Types, e.Type))
}

// found returns what a line has of what is wanted.
func (s Search) found(l Line, text []byte) (Found, bool, error) {
	if l.Kind != Event || !s.mayMatch(text) {
		return Found{}, false, nil
	}
	var e events.Event
	if err := json.Unmarshal(l.Event, &e); err != nil {
		return Found{}, false, fmt.Errorf("line %d: %w", l.Line, err)
	}
	if !s.matches(l, e) {
		return Found{}, false, nil
	}
	return Found{Line: l, Text: bytes.Clone(text), Event: e}, true, nil
}

// mayMatch reports whether a line can be of an event that is wanted, without
// reading it as JSON: a string of JSON stands there as it is, or has a backslash.
func (s Search) mayMatch(text []byte) bool {
	if bytes.IndexByte(text, '\\') >= 0 {
		return true
	}
	typed := len(s.Types) == 0 || slices.ContainsFunc(s.Types, func(t events.Type) bool { return bytes.Contains(text, []byte(t)) })
	return typed && bytes.Contains(text, []byte(s.Room)) && bytes.Contains(text, []byte(s.Owner))
}

// mayHave reports whether a file with this index can have an event that is wanted.
func (s Search) mayHave(x index) bool {
	switch {
	case x.First.IsZero(), !s.From.IsZero() && x.Last.Before(s.From), !s.To.IsZero() && !x.First.Before(s.To):
		return false
	case s.Room != "" && !x.rooms.TestString(roomKey(s.Room)), s.Owner != "" && !x.rooms.TestString(ownerKey(s.Owner)):
		return false
	}
	return len(s.Types) == 0 || slices.ContainsFunc(s.Types, func(t events.Type) bool { return slices.Contains(x.Types, t) })
}

// touches reports whether something that is wanted may be missing in a hole.
func (s Search) touches(h Hole) bool {
	return (s.From.IsZero() || h.Before.IsZero() || !h.Before.Before(s.From)) && (s.To.IsZero() || h.After.IsZero() || h.After.Before(s.To))
}

// ErrEnough ends a search, and is no error of it.
var ErrEnough = errors.New("enough was found")

// Find calls take with each event that is wanted, in the order of the trail, and
// returns the holes in which others may be missing, up to the last event that was
// taken. Files that cannot have one are not read, the others side by side. It does not check the chain. It ends when ctx
// does, or when take returns [ErrEnough].
func Find(ctx context.Context, dir string, s Search, take func(Found) error) ([]Hole, error) {
	files, err := listed(dir)
	if err != nil {
		return nil, fmt.Errorf("search audit trail: %w", err)
	}
	var seam seam
	all, err := find(ctx, files, s, take, &seam)
	return append(all, s.touched(seam.open, math.MaxUint64)...), err
}

// touched returns the holes, up to a line, that touch what is wanted.
func (s Search) touched(holes []Hole, last uint64) []Hole {
	return slices.DeleteFunc(slices.Clone(holes), func(h Hole) bool { return h.Line > last || !s.touches(h) })
}

// find is Find in some files. What was read of the trail before is joined to them.
func find(ctx context.Context, files []File, s Search, take func(Found) error, seam *seam) (all []Hole, err error) {
	ctx, cancel := context.WithCancel(ctx)
	queue := make(chan *scan, runtime.GOMAXPROCS(0)) // in the order of the files; as many are read ahead
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		defer close(queue)
		for _, f := range files {
			one := &scan{file: f, search: s, out: make(chan []Found, 4)}
			select {
			case queue <- one:
				wg.Go(func() { one.run(ctx) })
			case <-ctx.Done():
				return
			}
		}
	})
	for one := range queue {
		for batch := range one.out {
			for _, f := range batch {
				if err = take(f); err == nil {
					continue
				}
				cancel()
				for range one.out { // until it has ended
				}
				all = append(all, s.touched(seam.join(one.holes), f.Line.Line)...)
				seam.open = nil // they are behind it
				if errors.Is(err, ErrEnough) {
					err = nil
				}
				return all, err
			}
		}
		if one.err != nil {
			return all, one.err
		}
		all = append(all, s.touched(seam.join(one.holes), math.MaxUint64)...)
	}
	return all, ctx.Err()
}

// A scan searches one file.
type scan struct {
	file   File
	search Search
	out    chan []Found // closed when it is done; then the fields below are set
	holes  holes
	err    error

	indexed bool   // the holes are known
	skipped []byte // the line before, if it was not read and they are not
	behind  uint64 // the events up to this line were taken from the copy
	batch   []Found
}

// foundTogether is how many are handed over at once.
const foundTogether = 256

func (s *scan) run(ctx context.Context) {
	defer close(s.out)
	x, ok := s.file.index()
	ok = ok && !s.search.Scan
	if !ok && s.file.Compressed && !s.search.Scan {
		var err error
		if x, err = s.file.makeIndex(ctx); err == nil { // else reading the file says what is wrong
			ok = true
			_ = s.file.writeIndex(x) // a directory that may only be read is searched, too
		}
	}
	if ok {
		s.holes.all, s.holes.first, s.holes.last = x.Holes, x.Begin, x.End
		if !s.search.mayHave(x) {
			return
		}
	}
	s.indexed = ok
	var err error
	if !ok || !s.copied(ctx, x.Seal) {
		err = s.read(ctx)
	}
	if err == nil || errors.Is(err, errTorn) {
		err = s.hand(ctx)
	}
	switch {
	case ctx.Err() != nil:
		s.err = ctx.Err()
	case errors.Is(err, os.ErrNotExist): // removed for its age since the files were listed
	case err != nil:
		s.err = fmt.Errorf("read %s: %w", s.file.Path, err)
	}
}

// read reads the file.
func (s *scan) read(ctx context.Context) error {
	row := 0
	err := s.file.lines(func(text []byte) error {
		row++
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := s.line(ctx, text); err != nil {
			return fmt.Errorf("row %d: %w", row, err)
		}
		return nil
	})
	s.before()
	return err
}

func (s *scan) line(ctx context.Context, text []byte) error {
	event := bytes.Contains(text[:min(len(text), 64)], []byte(`"kind":"event"`))
	if event && s.holes.open == 0 && !s.holes.first.IsZero() && !s.search.mayMatch(text) {
		if !s.indexed {
			s.skipped = append(s.skipped[:0], text...)
		}
		return nil
	}
	l, err := Parse(text)
	if err != nil {
		return fmt.Errorf("%w; `roomaudit verify` says more", err)
	}
	if !s.indexed {
		s.before()
		s.holes.see(l)
	}
	f, ok, err := s.search.found(l, text)
	if err != nil || !ok || l.Line <= s.behind {
		return err
	}
	return s.add(ctx, f)
}

func (s *scan) add(ctx context.Context, f Found) error {
	if s.batch = append(s.batch, f); len(s.batch) == foundTogether {
		return s.hand(ctx)
	}
	return nil
}

// before sees the line that was skipped before this one: it may be the one before a hole.
func (s *scan) before() {
	if len(s.skipped) == 0 {
		return
	}
	if l, err := Parse(s.skipped); err == nil {
		s.holes.see(l)
	}
	s.skipped = s.skipped[:0]
}

func (s *scan) hand(ctx context.Context) error {
	if len(s.batch) == 0 {
		return nil
	}
	select {
	case s.out <- s.batch:
		s.batch = nil
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
