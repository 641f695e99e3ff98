package trail

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// golden is the text of a sealed file, the same in each process that fuzzes.
func golden(t testing.TB) []byte {
	t.Helper()
	position := Position{Name: "LIVE", Created: noon}
	lines := []Line{{Kind: Begin, Format: format, Trail: "01KAS8Z1Q2R3", File: 1, Stream: &position}}
	for _, m := range []Message{message(1, noon), message(3, noon.Add(time.Minute)), {Seq: 4, Stored: noon, Body: []byte("\x00")}} {
		if m.Seq == 3 {
			lines = append(lines, Line{Kind: Gap, From: 2, To: 2, Reason: "the stream no longer had them"})
		}
		lines = append(lines, record(m))
	}
	text, _, err := chain{hash: noHash}.extend(append(lines, Line{Kind: End}), nil)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func zipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err := z.Write(b)
	if err = errors.Join(err, z.Close()); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// firstFile is the first file of a trail in a directory.
func firstFile(dir string, compressed bool) File {
	path := filepath.Join(dir, nameOf(1, "2026-11-23")+plain)
	if compressed {
		path = filepath.Join(dir, nameOf(1, "2026-11-23")+packed)
	}
	return File{Number: 1, Day: "2026-11-23", Path: path, Compressed: compressed}
}

// seen is what a search finds, and what it cannot.
func seen(t *testing.T, dir string, s Search) (lines []string, holes []Hole, err error) {
	t.Helper()
	holes, err = Find(t.Context(), dir, s, func(f Found) error { lines = append(lines, string(f.Text)); return nil })
	return lines, holes, err
}

// Whatever the file of a trail is, reading it does no harm. Verify accepts nothing but what was
// written, and what it accepts is searched and continued.
func FuzzFile(f *testing.F) {
	text := golden(f)
	whole := zipped(f, text)
	f.Add(whole, true)
	f.Add(whole[:len(whole)/2], true)
	f.Add(append(bytes.Clone(whole), whole...), true)
	f.Add(append(bytes.Clone(whole), zipped(f, nil)...), true)
	f.Add(append(bytes.Clone(whole), "garbage"...), true)
	f.Add(zipped(f, text[:len(text)-1]), true)
	f.Add(zipped(f, text[:bytes.LastIndexByte(text[:len(text)-1], '\n')+1]), true)
	f.Add(zipped(f, nil), true)
	f.Add(zipped(f, make([]byte, 1<<20)), true)
	f.Add(text, true)
	f.Add([]byte{}, true)
	f.Add(text, false)
	f.Add(text[:len(text)-9], false)
	f.Add(text[:bytes.LastIndexByte(text[:len(text)-1], '\n')+1], false)
	f.Add(bytes.Replace(text, []byte("\n"), []byte("\r\n"), 1), false)
	f.Add(bytes.ToUpper(text), false)
	forged := bytes.Replace(text, []byte(`"ViewCount":7`), []byte(`"ViewCount":8`), 1)
	f.Add(forged, false)
	f.Add(zipped(f, forged), true)
	f.Add([]byte("\n\n"), false)
	f.Fuzz(func(t *testing.T, b []byte, compressed bool) {
		dir := t.TempDir()
		file := firstFile(dir, compressed)
		must(t, os.WriteFile(file.Path, b, 0o600))
		s, faults := check(t, Check{Dir: dir})
		found, holes, err := seen(t, dir, Search{Scan: true})
		indexed, indexedHoles, indexedErr := seen(t, dir, Search{})
		_, _ = Spans(t.Context(), dir, false)
		_ = Index(t.Context(), dir) // of what cannot be read there is none
		if len(faults) > 0 {
			_, err := Open(Options{Dir: dir})
			if compressed && err == nil {
				t.Errorf("it is continued, and has faults: %q", faults)
			}
			return
		}
		if got := unpack(t, file); !bytes.Equal(got, text) && (!s.Open || !startsAsWritten(got, text)) {
			t.Errorf("no fault was found in %q", got)
		}
		if err != nil || indexedErr != nil || !slices.Equal(found, indexed) || len(holes) != len(indexedHoles) {
			t.Errorf("with an index %q, %v, %v; without %q, %v, %v", indexed, indexedHoles, indexedErr, found, holes, err)
		}
		w := mustOpen(t, Options{Dir: dir})
		last := w.Position().Last
		must(t, w.Append(noon, messages(last+1, last+1, noon)))
		must(t, w.Close())
		if _, faults := check(t, Check{Dir: dir}); len(faults) > 0 {
			t.Errorf("continued: %q", faults)
		}
	})
}

// startsAsWritten reports whether whole lines of a file that is being written are the
// first ones of another.
func startsAsWritten(b, text []byte) bool {
	return bytes.HasPrefix(text, b[:bytes.LastIndexByte(b, '\n')+1])
}

// Whatever lies beside a file as its index, a search does not fail by it, and where it
// misleads one, verify names it.
func FuzzIndexBeside(f *testing.F) {
	whole := zipped(f, golden(f))
	dir := f.TempDir()
	file := firstFile(dir, true)
	err := os.WriteFile(file.Path, whole, 0o600)
	var x index
	if err == nil {
		x, err = file.makeIndex(f.Context())
	}
	if err != nil {
		f.Fatal(err)
	}
	for _, forge := range []func(x *index){
		func(*index) {}, func(x *index) { x.Types = nil }, func(x *index) { x.Last = x.First.Add(-time.Hour) }, func(x *index) { x.Holes = nil },
		func(x *index) { x.Seal = noHash }, func(x *index) { x.Size++ }, func(x *index) { x.Tail = "" }, func(x *index) { x.rooms.ClearAll() }, func(x *index) { x.Apps = nil },
	} {
		forged := x
		forged.rooms = x.rooms.Copy()
		forge(&forged)
		b, err := forged.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)-8])
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		dir := t.TempDir()
		file := firstFile(dir, true)
		must(t, os.WriteFile(file.Path, whole, 0o600))
		must(t, os.WriteFile(file.indexPath(), b, 0o600))
		_, faults := check(t, Check{Dir: dir})
		for _, s := range []Search{{}, {Room: "r<3>"}, {Room: "nobody"}, {From: noon.Add(time.Second)}} {
			got, holes, err := seen(t, dir, s)
			s.Scan = true
			want, wantHoles, wantErr := seen(t, dir, s)
			if err != nil || wantErr != nil {
				t.Fatal(err, wantErr)
			}
			if len(faults) == 0 && (!slices.Equal(got, want) || !slices.Equal(holes, wantHoles)) {
				t.Errorf("%q, %v; want %q, %v, and no fault was found", got, holes, want, wantHoles)
			}
		}
		if _, err := Spans(t.Context(), dir, false); err != nil {
			t.Error(err)
		}
		must(t, Index(t.Context(), dir))
	})
}

// Whatever trail.json is, it is refused, or the record continues as one.
func FuzzLabel(f *testing.F) {
	text := golden(f)
	good := `{"trail":"01KAS8Z1Q2R3","file":1,"line":6,"hash":"` + strings.Repeat("a", 64) + `","stream":{"name":"LIVE","created":"2026-11-23T12:00:00Z","last":4}`
	for _, files := range []bool{false, true} {
		for _, s := range []string{good + "}", good + `,"copied":1}`, good + `,"copied":2}`, good + `,"copied":-1}`, good + `,"continued":{"line":3,"hash":"\""}}`, strings.ReplaceAll(good, "aa", `\"`) + "}",
			strings.Replace(good, `"file":1`, `"file":9223372036854775807`, 1) + "}", strings.Replace(good, `"file":1`, `"file":-3`, 1) + "}", strings.Replace(good, `"line":6`, `"line":18446744073709551615`, 1) + "}",
			strings.Replace(good, `"last":4`, `"last":18446744073709551615`, 1) + "}", "{}", "null", "", `{"trail":"\n\"","file":3}`, strings.Repeat("[", 20000)} {
			f.Add([]byte(s), files)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, files bool) {
		dir := t.TempDir()
		var l label
		o := Options{Dir: dir}
		if err := json.Unmarshal(b, &l); err == nil && !files && l.File > 0 {
			o.Continue = &Place{max(l.Line, 1), noHash}
			if l.Line > 0 {
				o.Continue.Hash = l.Hash
			}
		}
		if files {
			must(t, os.WriteFile(firstFile(dir, true).Path, zipped(t, text), 0o600))
		}
		must(t, os.WriteFile(filepath.Join(dir, labelName), b, 0o600))
		o.Refuse = func(step, _ string) error { return undelayed(step) }
		w, err := Open(o)
		if errors.Is(err, ErrBroken) {
			return
		}
		must(t, err)
		defer func() { must(t, w.Close()) }()
		last := w.Position().Last
		if last > 1<<62 {
			return // such a number the stream never has
		}
		must(t, w.Append(noon, messages(last+1, last+2, noon)))
		must(t, w.Seal())
		got, err := Files(dir)
		must(t, err)
		if len(got) == 0 {
			t.Fatal("nothing is recorded")
		}
		if s, faults := check(t, Check{Dir: dir, First: got[0].Number}); len(faults) > 0 || s.Stream.Last != last+2 {
			t.Errorf("message %d is the last: %q", s.Stream.Last, faults)
		}
		if err := w.RemoveOld(noon); err != nil {
			t.Error(err)
		}
	})
}

// A small file that unpacks to a huge line fills no memory, and is a fault.
func TestBomb(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes long")
	}
	for _, compressed := range []bool{true, false} {
		dir := t.TempDir()
		file := firstFile(dir, compressed)
		must(t, os.WriteFile(file.Path, bytes.Repeat(zipped(t, make([]byte, 10<<20)), 100), 0o600)) // 1000 MiB in 1 MiB
		if !compressed {
			must(t, os.Truncate(file.Path, 0))
			must(t, os.Truncate(file.Path, 1000<<20))
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, faults := check(t, Check{Dir: dir})
		if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > 1000<<20 {
			t.Errorf("compressed %t: %d MiB were allocated", compressed, (after.TotalAlloc-before.TotalAlloc)>>20)
		}
		if len(faults) == 0 || !strings.Contains(faults[0], errLong.Error()) {
			t.Errorf("compressed %t: %q", compressed, faults)
		}
	}
}

// Lines are read whatever their length is, up to what no trail has.
func TestRows(t *testing.T) {
	long := strings.Repeat("x", 200<<10)
	r := newRows(strings.NewReader("a\n\n" + long + "\nb\n" + long))
	for _, want := range []string{"a", "", long, "b"} {
		if got, err := r.next(); err != nil || string(got) != want {
			t.Errorf("%d bytes, %v; want %d", len(got), err, len(want))
		}
	}
	if _, err := r.next(); !errors.Is(err, errTorn) {
		t.Errorf("%v", err)
	}
	if _, err := newRows(strings.NewReader("")).next(); !errors.Is(err, io.EOF) {
		t.Errorf("%v", err)
	}
}
