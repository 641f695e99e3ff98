package poller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"go.opentelemetry.io/otel/trace/noop"

	"roomwatch/diff"
)

// pages are a source whose pages do not come over the network.
type pages func(next string) (page, error)

func (f pages) page(_ context.Context, next string, t *tally) (answer, error) {
	t.requests++
	p, err := f(next)
	return answer{page: p, at: time.Now()}, err
}

// sweepOf returns a sweep of pages.
func sweepOf(sink Sink, f pages) *sweep {
	return newSweep(f, &health{log: slog.New(slog.DiscardHandler)}, newMetrics(nil), noop.Tracer{}, sink, nil)
}

// chain lays pages out one after the other: page i goes on at the cursor "i+1",
// the last at none. A page is a list of rooms as [room] reads them.
func chain(pages ...string) func(next string) (page, error) {
	return func(next string) (page, error) {
		i := 0
		if next != "" {
			if _, err := fmt.Sscan(next, &i); err != nil {
				return page{}, err
			}
		}
		var p page
		for _, s := range strings.Fields(pages[i]) {
			if s == "?" {
				p.unusable++
				p.why = "row 1: RoomId is missing"
				continue
			}
			p.rooms = append(p.rooms, room(s))
		}
		if i+1 < len(pages) {
			p.next = fmt.Sprint(i + 1)
		}
		return p, nil
	}
}

func TestSweep(t *testing.T) {
	broken := errors.New("broken")
	many := func(n int, rooms string) []string {
		pages := make([]string, n)
		for i := range pages {
			pages[i] = rooms
		}
		return pages
	}
	tests := []struct {
		name       string
		page       func(string) (page, error)
		want       string // the error; empty: complete
		pages      int
		rooms      int
		duplicates int
	}{
		{name: "empty list", page: chain(""), pages: 1},
		{name: "one page", page: chain("a@1=9 b@1=8"), pages: 1, rooms: 2},
		{name: "three pages", page: chain("a@1=9 b@1=8", "c@1=7", "d@1=1"), pages: 3, rooms: 4},
		{name: "empty last page", page: chain("a@1=9", ""), pages: 2, rooms: 1},
		{name: "a room slid", page: chain("a@1=9 b@1=8", "b@1=8 c@1=7"), pages: 2, rooms: 3, duplicates: 1},
		{name: "two lives", page: chain("a@1=9", "a@2=8"), pages: 2, rooms: 2},
		{name: "unusable row", page: chain("a@1=9", "? b@1=8", "c@1=7 ?"), want: "2 rows of 3 pages are unusable, the first on page 2, row 1: RoomId is missing", pages: 3, rooms: 3},
		{name: "cursor given before", pages: 3, rooms: 3, page: func(next string) (page, error) {
			p, err := chain("a@1=9", "b@1=8", "c@1=7", "")(next)
			if p.next == "3" {
				p.next = "1"
			}
			return p, err
		}, want: `page 3: cursor "1" was given before in this sweep`},
		{name: "cursor leads to itself", pages: 2, rooms: 1, duplicates: 1, page: func(string) (page, error) {
			return page{next: "x", rooms: []diff.Room{room("a@1=9")}}, nil
		}, want: `page 2: cursor "x" was given before`},
		{name: "49 barren pages", page: chain(append(many(50, "a@1=9"), "b@1=1")...), pages: 51, rooms: 2, duplicates: 49},
		{name: "50 barren pages and the end", page: chain(many(51, "a@1=9")...), pages: 51, rooms: 1, duplicates: 50},
		{name: "50 barren pages and more", page: chain(many(52, "a@1=9")...), want: "page 51: the list goes on after 50 pages without a new room", pages: 51, rooms: 1, duplicates: 50},
		{name: "50 empty pages and more", page: chain(many(52, "")...), want: "page 50: the list goes on after 50 pages without", pages: 50},
		{name: "barren pages between others", page: chain(append(append(many(40, "a@1=9"), "b@1=8"), many(45, "a@1=9")...)...), pages: 86, rooms: 2, duplicates: 84},
		{name: "first page fails", page: func(string) (page, error) { return page{}, broken }, want: "page 1: broken"},
		{name: "second page fails", pages: 1, rooms: 1, page: func(next string) (page, error) {
			if next != "" {
				return page{}, broken
			}
			return chain("a@1=9", "")(next)
		}, want: "page 2: broken"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sink := &recorder{}
			s := sweepOf(sink, tt.page)
			err := s.read(context.Background())
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tt.want)) {
				t.Errorf("read = %v, want %q", err, tt.want)
			}
			if len(sink.pages) != tt.pages || s.pages != tt.pages || s.seen.Len() != tt.rooms || s.duplicates != tt.duplicates {
				t.Errorf("%d pages delivered of %d, %d rooms, %d duplicates; want %d, %d, %d",
					len(sink.pages), s.pages, s.seen.Len(), s.duplicates, tt.pages, tt.rooms, tt.duplicates)
			}
		})
	}
}

func TestSweepWithoutEnd(t *testing.T) {
	n := 0
	s := sweepOf(&recorder{}, func(string) (page, error) {
		n++
		return page{next: fmt.Sprint(n), rooms: []diff.Room{{RoomID: fmt.Sprint(n), CreateTime: 1}}}, nil
	})
	err := s.read(context.Background())
	if want := "page 100000: the list goes on after 100000 pages"; fmt.Sprint(err) != want {
		t.Errorf("read = %v, want %s", err, want)
	}
}

func TestSweepStopsWhenTheSinkFails(t *testing.T) {
	n := 0
	sink := &recorder{pageErr: func() error {
		if n++; n == 2 {
			return errors.New("disk full")
		}
		return nil
	}}
	s := sweepOf(sink, chain("a@1=1", "b@1=1", "c@1=1"))
	if err := s.read(context.Background()); fmt.Sprint(err) != "page 2: commit: disk full" || s.requests != 2 {
		t.Errorf("read = %v after %d requests", err, s.requests)
	}
}

// A page and the answer of a point read can be compared though the wall clock was set:
// both have a reading of the monotonic clock.
func TestPagesHaveMonotonicTimes(t *testing.T) {
	var sink recorder
	if err := sweepOf(&sink, chain("a@1=1")).read(context.Background()); err != nil {
		t.Fatal(err)
	}
	if at := sink.pages[0].At; !strings.Contains(at.String(), " m=") {
		t.Errorf("page at %v has no monotonic time", at)
	}
}

// TestSweepLaw checks what must hold for any list that shifts while it is read:
// the set holds exactly the lives that were delivered, in order and unchanged,
// and the sweep is complete exactly if the list ended and every row was usable.
func TestSweepLaw(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := rapid.SliceOfN(rapid.SliceOfN(rapid.SampledFrom([]string{
			"a@1=1", "a@2=1", "b@1=1", "b@1=2", "c@1=1", "d@1=1", "e@1=1", "?",
		}), 0, 6), 1, 8).Draw(t, "pages")
		failing := rapid.IntRange(0, 3*len(rows)).Draw(t, "page that fails")
		layout := make([]string, len(rows))
		for i, r := range rows {
			layout[i] = strings.Join(r, " ")
		}
		asked := 0
		sink := &recorder{}
		s := sweepOf(sink, func(next string) (page, error) {
			if asked++; asked == failing {
				return page{}, errors.New("broken")
			}
			return chain(layout...)(next)
		})
		err := s.read(context.Background())

		lives, shown, unusable := map[diff.Key]bool{}, 0, 0
		for i, p := range sink.pages {
			want, _ := chain(layout...)(fmt.Sprint(i))
			if !reflect.DeepEqual(p.Rooms, want.rooms) {
				t.Fatalf("page %d delivered as %v, want %v", i, p.Rooms, want.rooms)
			}
			for _, r := range p.Rooms {
				lives[r.Key()] = true
				shown++
			}
			unusable += want.unusable
		}
		for k := range lives {
			if !s.seen.Has(k) {
				t.Fatalf("%v was delivered and not seen", k)
			}
		}
		if s.seen.Len() != len(lives) || s.duplicates != shown-len(lives) || s.unusable != unusable {
			t.Fatalf("%d lives, %d duplicates, %d unusable; delivered %d, %d, %d", s.seen.Len(), s.duplicates, s.unusable, len(lives), shown-len(lives), unusable)
		}
		whole := len(sink.pages) == len(layout) && unusable == 0
		if (err == nil) != whole {
			t.Fatalf("read = %v with %d of %d pages and %d unusable rows", err, len(sink.pages), len(layout), unusable)
		}
	})
}
