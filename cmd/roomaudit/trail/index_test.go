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

// An index that hides a line is reported by verify.
func TestVerifyIndex(t *testing.T) {
	f := newForger(t)
	w := mustOpen(t, Options{Dir: f.dir})
	must(t, w.Append(noon, messages(35, 36, noon))) // behind a gap
	must(t, w.Seal())
	must(t, w.Close())
	files, err := Files(f.dir)
	must(t, err)
	f.files = files
	must(t, Index(t.Context(), f.dir))
	if _, faults := check(t, Check{Dir: f.dir}); len(faults) > 0 {
		t.Fatal(faults)
	}
	x, ok := f.files[3].index()
	if !ok {
		t.Fatal("no index")
	}
	for name, forge := range map[string]func(x *index){
		"times":            func(x *index) { x.Last = x.First.Add(-time.Hour) },
		"types":            func(x *index) { x.Types = nil },
		"rooms":            func(x *index) { x.rooms.ClearAll() },
		"holes":            func(x *index) { x.Holes = nil },
		"a hole elsewhere": func(x *index) { x.Holes[0].After, x.Holes[0].Before = noon.Add(-2*time.Hour), noon.Add(-time.Hour) },
		"the last message": func(x *index) { x.End = x.End.Add(-time.Hour) },
		"the last line":    func(x *index) { x.Seal = noHash }, // by which a copy is found
		"another file": func(x *index) {
			other, err := f.files[2].makeIndex(t.Context())
			must(t, err)
			other.Size, other.Tail = x.Size, x.Tail
			*x = other
		},
		"an application": func(x *index) { x.Apps[7] = Span{noon, noon} },
	} {
		must(t, f.files[3].writeIndex(x))
		forged, _ := f.files[3].index()
		forge(&forged)
		must(t, f.files[3].writeIndex(forged))
		if _, faults := check(t, Check{Dir: f.dir}); len(faults) != 1 || !strings.Contains(faults[0], "its index is not what is made from it") {
			t.Errorf("%s: %q", name, faults)
		}
		// Who asks without indexes is not misled.
		found := 0
		got, err := Find(t.Context(), f.dir, Search{Scan: true, Room: "r<36>", From: noon}, func(Found) error { found++; return nil })
		if err != nil || found != 1 || len(got) != 1 {
			t.Errorf("%s: %d events, holes %v, %v", name, found, got, err)
		}
		spans, err := Spans(t.Context(), f.dir, true)
		if err != nil || len(spans) != 1 || spans[1400000000] != (Span{noon, noon}) {
			t.Errorf("%s: spans %v, %v", name, spans, err)
		}
	}
	must(t, f.files[3].writeIndex(x))
	// Index removes what belongs to no file.
	must(t, os.Remove(f.files[3].Path))
	must(t, Index(t.Context(), f.dir))
	if _, err := os.Stat(f.files[3].indexPath()); err == nil {
		t.Error("the index of a file that is gone is left")
	}
}

// All files of a trail have one mode, so that who may read it finds nothing that he
// may not; and the name of its directory is not mistaken for a pattern.
func TestModesAndOddDirectory(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a[b*")
	crowd(t, dir, 30)
	must(t, Index(t.Context(), dir))
	left := filepath.Join(dir, "audit-00000001-2026-11-23"+indexed+".x"+unsafe)
	must(t, os.WriteFile(left, nil, 0o600))
	gone := filepath.Join(dir, "audit-00000999-2026-11-23"+indexed)
	must(t, os.WriteFile(gone, nil, 0o600))
	must(t, mustOpen(t, Options{Dir: dir}).Close())
	must(t, Index(t.Context(), dir))
	entries, err := os.ReadDir(dir)
	must(t, err)
	kinds := map[string]int{}
	for _, e := range entries {
		info, err := e.Info()
		must(t, err)
		if kinds[filepath.Ext(e.Name())]++; info.Mode().Perm() != fileMode&^umask(t) {
			t.Errorf("%s has mode %o", e.Name(), info.Mode().Perm())
		}
	}
	if kinds[indexed] == 0 || kinds[".gz"] == 0 || kinds[unsafe] > 0 {
		t.Errorf("in the directory are %v", kinds)
	}
	if _, err := os.Stat(gone); err == nil {
		t.Error("the index of a file that is gone is left")
	}
}

// umask is what this process takes from the mode of a new file.
func umask(t *testing.T) os.FileMode {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x")
	f, err := os.OpenFile(path, os.O_CREATE, 0o777)
	must(t, err)
	must(t, f.Close())
	info, err := os.Stat(path)
	must(t, err)
	return 0o777 &^ info.Mode().Perm()
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
