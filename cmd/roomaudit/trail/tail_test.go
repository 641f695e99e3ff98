package trail

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A line that stays unreadable is named with its file and what to do.
func TestTailOfBrokenFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newForger(t)
		f.rows(3, func(rows [][]byte) [][]byte {
			rows[1] = []byte(strings.Replace(string(rows[1]), "room.created", "room.cheated", 1))
			return rows
		})
		nothing := func(Hole) error { return nil }
		err := Tail(t.Context(), f.dir, Search{}, func(Found) error { return nil }, nothing)
		if !errors.Is(err, errChanged) || !strings.Contains(err.Error(), f.files[3].Path+": ") || !strings.Contains(err.Error(), "behind line 37") || !strings.Contains(err.Error(), "roomaudit verify") {
			t.Errorf("%v", err)
		}
		must(t, os.RemoveAll(f.dir))
		if err := Tail(t.Context(), f.dir, Search{}, nil, nothing); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "set ROOMAUDIT_DIR") {
			t.Errorf("no directory: %v", err)
		}
	})
}

// Tail hands over each event once, in order, while files are written, sealed and
// compressed.
func TestTail(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, Options{Dir: dir, MaxFileBytes: 2500})
	must(t, w.Append(noon, messages(1, 10, noon)))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	got := make(chan uint64, 100)
	gaps := make(chan Hole, 10)
	done := make(chan error, 1)
	go func() {
		done <- Tail(ctx, dir, Search{}, func(f Found) error {
			got <- f.Line.Seq
			if f.Line.Seq == 42 {
				return ErrEnough
			}
			return nil
		}, func(h Hole) error { gaps <- h; return nil })
	}()
	want := uint64(1)
	expect := func(last uint64) {
		for ; want <= last; want++ {
			if want == 25 {
				continue
			}
			if seq := <-got; seq != want {
				t.Fatalf("message %d where %d belongs", seq, want)
			}
		}
	}
	expect(10)
	for seq := uint64(11); seq < 42; seq += 3 {
		batch := slices.DeleteFunc(messages(seq, min(seq+2, 42), noon), func(m Message) bool { return m.Seq == 25 })
		must(t, w.Append(noon, batch))
		if seq%2 == 0 {
			expect(min(seq+2, 42))
		}
	}
	must(t, w.Append(noon, messages(42, 42, noon)))
	expect(42)
	must(t, <-done)
	if h := <-gaps; !strings.Contains(h.Text, "25 to 25") {
		t.Errorf("gap %v", h)
	}
}
