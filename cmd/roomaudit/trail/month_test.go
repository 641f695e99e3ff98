package trail

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"
)

// monthRooms is how many rooms a busy application has; rare is one more, with
// rareLives messages in the whole month.
const (
	monthRooms = 20_000
	rareLives  = 5
)

// BenchmarkMonth asks for one room in a month of a busy application. It has 200,000
// lines, or as many as ROOMAUDIT_BENCH_LINES says; nearly all of the time is the making
// of the trail. One that is in ROOMAUDIT_BENCH_DIR already is asked as it is.
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
	end := noon.Add(720 * time.Hour)
	if files, err := Files(dir); err != nil || len(files) == 0 {
		began := time.Now()
		month(b, dir, lines)
		b.Logf("recorded %d lines, %.0f a second", lines, float64(lines)/time.Since(began).Seconds())
		began = time.Now()
		if err := Index(b.Context(), dir); err != nil {
			b.Fatal(err)
		}
		b.Logf("indexed in %s", time.Since(began).Round(time.Second))
	}
	files, err := Files(dir)
	if err != nil {
		b.Fatal(err)
	}
	ask := func(b *testing.B, s Search) (found []uint64) {
		if _, err := Find(b.Context(), dir, s, func(f Found) error {
			found = append(found, f.Line.Line)
			return nil
		}); err != nil {
			b.Fatal(err)
		}
		return found
	}
	rare := Search{Room: "rare", From: end.Add(-720 * time.Hour)}
	var found []uint64
	for name, s := range map[string]Search{"rare": rare, "nobody": {Room: "nobody"}, "an hour": {From: end.Add(-time.Hour), Room: "r<7>"}} {
		b.Run(fmt.Sprintf("%s in %d files", name, len(files)), func(b *testing.B) {
			for b.Loop() {
				if got := ask(b, s); name == "rare" {
					found = got
				}
			}
		})
	}
	b.Run("without indexes", func(b *testing.B) {
		rare.Scan = true
		for b.Loop() {
			if full := ask(b, rare); len(full) != rareLives || found != nil && !slices.Equal(found, full) {
				b.Fatalf("%d events, with indexes %d", len(full), len(found))
			}
		}
	})
}

// month records a month.
func month(b *testing.B, dir string, lines uint64) {
	b.Helper()
	w, err := Open(Options{Dir: dir, Refuse: func(kind, _ string) error { return undelayed(kind) }})
	if err != nil {
		b.Fatal(err)
	}
	step := 720 * time.Hour / time.Duration(lines)
	batch := make([]Message, 0, 500)
	for seq := uint64(1); seq <= lines; seq++ {
		at := noon.Add(time.Duration(seq) * step)
		m := message(seq%monthRooms+1, at)
		if seq%(lines/rareLives) == 0 {
			m.Body = bytes.ReplaceAll(m.Body, fmt.Appendf(nil, `"r<%d>"`, seq%monthRooms+1), []byte(`"rare"`))
		}
		m.Seq = seq
		if batch = append(batch, m); len(batch) == cap(batch) || seq == lines {
			if err := w.Append(at, batch); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
	if err := w.Close(); err != nil {
		b.Fatal(err)
	}
}
