package trail

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomwatch/publisher/events"
)

// An index that hides a line is told of by verify.
func TestVerifyIndex(t *testing.T) {
	f := newForger(t)
	must(t, Index(t.Context(), f.dir))
	if _, faults := check(t, Check{Dir: f.dir}); len(faults) > 0 {
		t.Fatal(faults)
	}
	x, ok := f.files[1].index()
	if !ok {
		t.Fatal("no index")
	}
	for name, forge := range map[string]func(x *index){
		"times": func(x *index) { x.Last = x.First.Add(-time.Hour) },
		"types": func(x *index) { x.Types = nil },
		"rooms": func(x *index) { x.rooms.ClearAll() },
	} {
		forged, _ := f.files[1].index()
		forge(&forged)
		must(t, f.files[1].writeIndex(forged))
		if _, faults := check(t, Check{Dir: f.dir}); len(faults) != 1 || !strings.Contains(faults[0], "its index hides line 14") {
			t.Errorf("%s: %q", name, faults)
		}
	}
	must(t, f.files[1].writeIndex(x))
	// Index removes what belongs to no file.
	must(t, os.Remove(f.files[1].Path))
	must(t, Index(t.Context(), f.dir))
	if _, err := os.Stat(f.files[1].indexPath()); err == nil {
		t.Error("the index of a file that is gone is left")
	}
}

// A bloated or spoiled index does no harm.
func FuzzIndex(f *testing.F) {
	x := index{Size: 7, Types: []events.Type{events.RoomCreated}}
	dir := f.TempDir()
	crowd(f, dir, 20)
	files, err := Files(dir)
	if err == nil {
		x, err = files[0].makeIndex(f.Context())
	}
	if err != nil {
		f.Fatal(err)
	}
	b, err := x.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("{}\n"))
	f.Add([]byte(`{"format":1,"hashes":3,"check":3523407757}` + "\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if x, ok := decodeIndex(b); ok {
			_ = Search{Room: "r", Owner: "o"}.mayHave(x)
			again, err := x.encode()
			must(t, err)
			if y, ok := decodeIndex(again); !ok || !y.rooms.Equal(x.rooms) {
				t.Error("it is not what was written")
			}
		}
	})
}

// BenchmarkFind is `query --room R` over files of which one has the room.
func BenchmarkFind(b *testing.B) {
	dir := b.TempDir()
	w, err := Open(Options{Dir: dir, MaxFileBytes: 1 << 20, Refuse: func(kind, _ string) error { return undelayed(kind) }})
	if err != nil {
		b.Fatal(err)
	}
	for seq := uint64(1); seq <= 30000; seq += 500 {
		if err := w.Append(noon, messages(seq, seq+499, noon)); err != nil {
			b.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), Index(b.Context(), dir)); err != nil {
		b.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*.gz"))
	for _, room := range []string{"r<17>", "nobody", ""} {
		b.Run(fmt.Sprintf("%q in %d files", room, len(files)), func(b *testing.B) {
			for b.Loop() {
				if _, err := Find(b.Context(), dir, Search{Room: room}, func(Found) error { return nil }); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
