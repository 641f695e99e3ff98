package trail

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"roomwatch/publisher/events"
)

// monthRooms is how many rooms a busy application has; rare is one more, with
// rareLives messages in the whole month.
const (
	monthRooms = 20_000
	rareLives  = 5
)

var monthEnd = noon.Add(720 * time.Hour) //nolint:gochecknoglobals // a constant that the language cannot say

// questions are asked of a month, with its indexes and without.
func questions() map[string]Search {
	return map[string]Search{"rare": {Room: "rare", From: noon}, "nobody": {Room: "nobody"}, "an hour": {From: monthEnd.Add(-time.Hour), Room: "r<7>"}}
}

// asked returns the text of what is found, line by line.
func asked(t testing.TB, dir string, s Search) (found []string) {
	t.Helper()
	if _, err := Find(t.Context(), dir, s, func(f Found) error { found = append(found, string(f.Text)); return nil }); err != nil {
		t.Fatal(err)
	}
	return found
}

// BenchmarkMonth asks for one room in a month of a busy application. It has 200,000
// lines, or as many as ROOMAUDIT_BENCH_LINES says. One that is in ROOMAUDIT_BENCH_DIR already is asked as it is.
func BenchmarkMonth(b *testing.B) {
	lines := uint64(200_000)
	if text := os.Getenv("ROOMAUDIT_BENCH_LINES"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		lines = n
	}
	dir := os.Getenv("ROOMAUDIT_BENCH_DIR")
	if dir == "" {
		dir = b.TempDir()
	}
	if files, err := Files(dir); err != nil || len(files) == 0 {
		began := time.Now()
		month(b, dir, lines, 64<<20)
		b.Logf("recorded %d lines, %.0f a second", lines, float64(lines)/time.Since(began).Seconds())
	}
	files, err := Files(dir)
	if err != nil {
		b.Fatal(err)
	}
	var rare []string
	for name, s := range questions() {
		b.Run(fmt.Sprintf("%s in %d files", name, len(files)), func(b *testing.B) {
			for b.Loop() {
				if got := asked(b, dir, s); name == "rare" {
					rare = got
				}
			}
		})
	}
	b.Run("without indexes", func(b *testing.B) {
		s := questions()["rare"]
		s.Scan = true
		for b.Loop() {
			if full := asked(b, dir, s); len(full) != rareLives || rare != nil && !slices.Equal(rare, full) {
				b.Fatalf("%d events, with indexes %d", len(full), len(rare))
			}
		}
	})
}

// A month of few lines: the generator makes a trail that verify accepts with its
// indexes and that is continued, and each question has the answer of the full scan.
func TestMonth(t *testing.T) {
	dir := t.TempDir()
	month(t, dir, 2500, 50<<10)
	s, faults := check(t, Check{Dir: dir})
	if len(faults) > 0 || s.Stream.Last != 2500 || s.Files < 31 {
		t.Errorf("message %d of %d files is the last: %q", s.Stream.Last, s.Files, faults)
	}
	files, err := Files(dir)
	must(t, err)
	for _, f := range files {
		if _, ok := f.index(); !ok {
			t.Errorf("%s has no index", f.Path)
		}
	}
	for name, s := range questions() {
		indexed := asked(t, dir, s)
		s.Scan = true
		if full := asked(t, dir, s); !slices.Equal(indexed, full) || name == "rare" && len(full) != rareLives {
			t.Errorf("%s: %q with indexes, %q without", name, indexed, full)
		}
	}
	w := mustOpen(t, Options{Dir: dir})
	must(t, w.Append(monthEnd, messages(2501, 2502, monthEnd)))
	must(t, w.Close())
	if s, faults := check(t, Check{Dir: dir}); len(faults) > 0 || s.Stream.Last != 2502 {
		t.Errorf("continued, message %d is the last: %q", s.Stream.Last, faults)
	}
}

// A generator writes a trail faster than a [Writer]: it makes each file in memory, line
// behind line by the same code, and compresses it and makes its index meanwhile.
type generator struct {
	dir    string
	end    chain
	number int
	text   []byte
	rooms  map[string]struct{}
	span   Span
	done   chan finished
	free   chan []byte // buffers
}

// finished is a file with all its lines.
type finished struct {
	file  File
	text  []byte
	index *collector
}

// month makes the record of a month, in files of about so many bytes.
func month(t testing.TB, dir string, lines uint64, fileBytes int) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	g := &generator{dir: dir, end: chain{hash: noHash, position: Position{Name: "LIVE", Created: noon}}, done: make(chan finished, 1), free: make(chan []byte, 3)}
	group.Go(func() error {
		defer close(g.done)
		return g.write(ctx, lines, fileBytes)
	})
	group.Go(func() error {
		for f := range g.done {
			if err := f.compress(); err != nil {
				return err
			}
			select {
			case g.free <- f.text[:0]:
			default:
			}
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	w, err := Open(Options{Dir: dir, Refuse: func(kind, _ string) error { return undelayed(kind) }}) // which makes the label
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (g *generator) write(ctx context.Context, lines uint64, fileBytes int) error {
	const together = 500
	step := 720 * time.Hour / time.Duration(lines)
	var batch []Line
	today := ""
	for seq := uint64(1); seq <= lines; seq++ {
		at := noon.Add(time.Duration(seq) * step)
		if day(at) != today || len(g.text) >= fileBytes {
			if err := errors.Join(g.add(batch), g.seal(ctx, today)); err != nil {
				return err
			}
			batch, today = batch[:0], day(at)
			if err := g.begin(); err != nil {
				return err
			}
		}
		room := seq%monthRooms + 1
		m, name := message(room, at), fmt.Sprintf("r<%d>", room)
		if seq%(lines/rareLives) == 0 {
			m.Body, name = bytes.ReplaceAll(m.Body, fmt.Appendf(nil, `"%s"`, name), []byte(`"rare"`)), "rare"
		}
		g.rooms[roomKey(name)] = struct{}{}
		g.span = g.span.with(at)
		if batch = append(batch, Line{Kind: Event, Seq: seq, Stored: at, Subject: m.Subject, Event: m.Body}); len(batch) == together {
			if err := g.add(batch); err != nil {
				return err
			}
			batch = batch[:0]
		}
	}
	return errors.Join(g.add(batch), g.seal(ctx, today))
}

func (g *generator) add(lines []Line) error {
	text, end, err := g.end.extend(lines, nil)
	g.text, g.end = append(g.text, text...), end
	return err
}

func (g *generator) begin() error {
	select {
	case g.text = <-g.free:
	default:
		g.text = nil
	}
	g.number++
	g.rooms, g.span = map[string]struct{}{ownerKey("o"): {}}, Span{}
	position := g.end.position
	return g.add([]Line{{Kind: Begin, Format: format, Trail: "01KAS8Z1Q2R3", File: g.number, Stream: &position}})
}

// seal ends the file that is made, if there is one, and hands it over.
func (g *generator) seal(ctx context.Context, today string) error {
	if g.number == 0 {
		return nil
	}
	if err := g.add([]Line{{Kind: End}}); err != nil {
		return err
	}
	c := newCollector()
	c.keys, c.holes.first, c.holes.last = g.rooms, g.span.First, g.span.Last
	c.x = index{Seal: g.end.hash, First: g.span.First, Last: g.span.Last, Types: []events.Type{events.RoomCreated}, Apps: map[int]Span{1400000000: g.span}}
	f := File{Number: g.number, Day: today, Path: filepath.Join(g.dir, nameOf(g.number, today)+packed), Compressed: true}
	select {
	case g.done <- finished{f, g.text, c}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f finished) compress() error {
	out, err := os.OpenFile(f.file.Path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	z, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err == nil {
		_, err = z.Write(f.text)
		err = errors.Join(err, z.Close())
	}
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	size, tail, err := f.file.tail()
	if err != nil {
		return err
	}
	return f.file.writeIndex(f.index.index(size, tail))
}
