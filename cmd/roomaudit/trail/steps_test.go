package trail

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A moment is what a kill between two steps leaves: the files, and what was known
// outside of the trail by then.
type moment struct {
	step         string // the one that follows
	files        map[string][]byte
	acknowledged uint64  // the last message
	witness      []Place // what the command has written
}

// contents reads a directory, without the lock.
func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	all := map[string][]byte{}
	for _, e := range entries {
		if e.Name() == "lock" {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		must(t, err)
		all[e.Name()] = b
	}
	return all
}

// A stepper records a week in small files, signed, indexed, copied and removed for
// their age, and keeps what each step finds.
type stepper struct {
	t       *testing.T
	dir     string
	key     ed25519.PrivateKey
	moments []moment
	now     moment
}

func (s *stepper) options(refuse func(step, path string) error) Options {
	return Options{Dir: s.dir, MaxFileBytes: 2000, Key: signedBy(s.key), Keep: 2 * dayLong, Copies: true, Refuse: refuse}
}

// look keeps what is there. Of what was written since the last look, half may have been
// there alone, or all but the last byte.
func (s *stepper) look(step string) {
	m := s.now
	m.step, m.files, m.witness = step, contents(s.t, s.dir), slices.Clone(s.now.witness)
	if n := len(s.moments); n > 0 {
		before := s.moments[n-1]
		for name, b := range m.files {
			old := before.files[name]
			if len(b) < len(old)+2 || !bytes.HasPrefix(b, old) {
				continue
			}
			for _, size := range []int{(len(old) + len(b)) / 2, len(b) - 1} {
				switch filepath.Ext(name) {
				case plain, unsafe:
					s.part(before, name, b[:size])
				case indexed: // is written beside; after a power cut its name may be there before its bytes
					s.part(before, name+".x"+unsafe, b[:size])
					s.part(before, name, b[:size])
				}
			}
		}
	}
	s.moments = append(s.moments, m)
}

// part keeps what was there before with one file besides.
func (s *stepper) part(m moment, name string, b []byte) {
	m.step = fmt.Sprintf("%s, with %d bytes of %s", m.step, len(b), name)
	m.files = maps.Clone(m.files)
	m.files[name] = b
	s.moments = append(s.moments, m)
}

func (s *stepper) week() {
	w := mustOpen(s.t, s.options(func(step, path string) error {
		if strings.HasSuffix(path, "lock") {
			return nil
		}
		s.look(step + " of " + filepath.Base(path))
		return undelayed(step)
	}))
	must(s.t, w.Follow(Position{Name: "LIVE", Created: noon}, noon, ""))
	for n := range 5 {
		at := noon.Add(time.Duration(n) * dayLong)
		first := s.now.acknowledged + 1
		must(s.t, w.Append(at, messages(first, first+4, at)))
		s.now.acknowledged = first + 4
		s.look("index")
		must(s.t, Index(s.t.Context(), s.dir))
		for {
			f, last, found, err := w.NextCopy(s.t.Context())
			must(s.t, err)
			if !found {
				break
			}
			s.now.witness = append(s.now.witness, last)
			must(s.t, w.RecordCopy(at, f, last))
		}
		must(s.t, w.RemoveOld(at))
	}
	s.look("close")
	must(s.t, w.Close())
	s.look("end")
}

// The process is killed between any two steps, or amid a write: verify accepts what it
// leaves, with the key and the witness, a search with indexes finds what one without
// does, all that was acknowledged is there, and the next start continues it.
func TestKilledAtEveryStep(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	s := &stepper{t: t, dir: t.TempDir(), key: key}
	s.week()
	removed := 0
	for i, m := range s.moments {
		if testing.Short() && i%7 != 0 && i != len(s.moments)-1 {
			continue
		}
		dir := t.TempDir()
		for name, b := range m.files {
			must(t, os.WriteFile(filepath.Join(dir, name), b, fileMode))
		}
		what := fmt.Sprintf("moment %d, before %s", i, m.step)
		wantWhole(t, what, dir, key, m)
		o := s.options(nil)
		o.Dir = dir
		w := mustOpen(t, o)
		last := w.Position().Last
		at := noon.Add(5 * dayLong)
		if last == 0 {
			must(t, w.Follow(Position{Name: "LIVE", Created: noon}, at, ""))
		}
		must(t, w.Append(at, messages(last+1, last+2, at)))
		m.acknowledged = last + 2
		must(t, w.RemoveOld(at))
		must(t, w.Seal())
		must(t, w.Close())
		if wantWhole(t, what+", continued", dir, key, m) > 1 {
			removed++
		}
		if left, err := named(dir, unsafe); err != nil || len(left) > 0 {
			t.Errorf("%s: %q is left, %v", what, left, err)
		}
	}
	t.Logf("%d moments, in %d of them files were removed", len(s.moments), removed)
	if len(s.moments) < 250 || removed < 10 {
		t.Errorf("only %d moments, in %d of them files were removed", len(s.moments), removed)
	}
}

// wantWhole wants a sound trail that has each message once, from its first file to
// the one that was acknowledged at least, and returns the number of that file.
func wantWhole(t *testing.T, what, dir string, key ed25519.PrivateKey, m moment) (first int) {
	t.Helper()
	files, err := Files(dir)
	must(t, err)
	if len(files) == 0 {
		if m.acknowledged > 0 {
			t.Fatalf("%s: no file is there", what)
		}
		return 1
	}
	c := Check{Dir: dir, Noted: m.witness}
	if slices.ContainsFunc(files, func(f File) bool { return f.Compressed }) {
		c.Keys = keys(key)
	}
	if _, faults := check(t, c); len(faults) > 0 {
		t.Errorf("%s: %q", what, faults)
	}
	next := uint64(0)
	var lines []string
	must(t, Read(t.Context(), dir, 0, func(l Line, text []byte) error {
		if l.Seq == 0 {
			return nil
		}
		if want := message(l.Seq, l.Stored); next > 0 && l.Seq != next || string(l.Event) != string(want.Body) {
			t.Errorf("%s: message %d where %d belongs: %s", what, l.Seq, next, l.Event)
		}
		next = l.Seq + 1
		lines = append(lines, string(text))
		return nil
	}))
	if m.acknowledged > 0 && next <= m.acknowledged {
		t.Errorf("%s: message %d was acknowledged, and %d is the next", what, m.acknowledged, next)
	}
	for _, scan := range []bool{true, false} { // the latter makes the indexes that lack
		var found []string
		holes, err := Find(t.Context(), dir, Search{Scan: scan}, func(f Found) error { found = append(found, string(f.Text)); return nil })
		if err != nil || len(holes) > 0 || !slices.Equal(found, lines) {
			t.Errorf("%s: scan %t: %d of %d events, holes %v, %v", what, scan, len(found), len(lines), holes, err)
		}
	}
	return files[0].Number
}
