package trail

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// A Span is the time from the earliest to the latest of some messages, by when the
// stream stored them. It is zero if there are none.
type Span struct {
	First time.Time `json:"first"`
	Last  time.Time `json:"last"`
}

func (s Span) with(t time.Time) Span {
	if s.First.IsZero() || t.Before(s.First) {
		s.First = t
	}
	if t.After(s.Last) {
		s.Last = t
	}
	return s
}

// and returns the span of both.
func (s Span) and(o Span) Span {
	if o.First.IsZero() {
		return s
	}
	return s.with(o.First).with(o.Last)
}

// Spans returns the span of what is on record of each application; 0: of messages
// that are of none. A file with an index is not read, unless scan says so.
func Spans(ctx context.Context, dir string, scan bool) (map[int]Span, error) {
	files, err := listed(dir)
	if err != nil {
		return nil, fmt.Errorf("read audit trail: %w", err)
	}
	all := map[int]Span{}
	for _, f := range files {
		x, ok := f.index()
		if !ok || scan {
			if x.Apps, err = f.spans(ctx); errors.Is(err, os.ErrNotExist) { // removed for its age since the files were listed
				continue
			}
			if err != nil {
				return nil, err
			}
		}
		for app, s := range x.Apps {
			all[app] = all[app].and(s)
		}
	}
	return all, nil
}

// spans is what an index would say of a file. It does not read events as JSON: the
// head of their lines is as [Line.encode] writes it.
func (f File) spans(ctx context.Context) (map[int]Span, error) {
	all := map[int]Span{}
	row := 0
	err := f.lines(func(text []byte) error {
		row++
		if err := ctx.Err(); err != nil {
			return err
		}
		app, stored, ok := glance(text)
		if !ok {
			l, err := Parse(text)
			if err != nil || l.Stream != nil || l.Seq == 0 {
				return err
			}
			app, stored = appOf(l), l.Stored
		}
		all[app] = all[app].with(stored)
		return nil
	})
	if err != nil && !errors.Is(err, errTorn) {
		return nil, fmt.Errorf("read %s: row %d: %w; `roomaudit verify` says more", f.Path, row, err)
	}
	return all, nil
}

// glance returns of which application an event is and when it was stored, where the
// line says so in the usual way.
func glance(text []byte) (app int, stored time.Time, ok bool) {
	const source = `"source":"/live/`
	head, body, _ := bytes.Cut(text, []byte(`,"event":`))
	if !bytes.Contains(head, []byte(`"kind":"event"`)) {
		return 0, stored, false
	}
	i, j := bytes.Index(body, []byte(source)), bytes.Index(head, []byte(`"stored":"`))
	if i < 0 || j < 0 {
		return 0, stored, false
	}
	digits, _, _ := bytes.Cut(body[i+len(source):], []byte(`"`))
	at, _, _ := bytes.Cut(head[j+len(`"stored":"`):], []byte(`"`))
	app, err := strconv.Atoi(string(digits))
	if err == nil {
		stored, err = time.Parse(time.RFC3339Nano, string(at))
	}
	return app, stored, err == nil
}
