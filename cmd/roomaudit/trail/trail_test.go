package trail

import (
	"compress/gzip"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant that the language cannot say

// message makes an event that roomwatch could have written.
func message(seq uint64, at time.Time) Message {
	body := fmt.Sprintf(`{"specversion":"1.0","id":"01KAS8Z1Q2R3-%016d","source":"/live/1400000000","type":"room.created","subject":"r<%d>","time":"2026-11-23T12:00:00Z",`+
		`"sequence":"%016d","datacontenttype":"application/json","data":{"room":{"RoomId":"r<%d>","RoomName":"é 房","Owner_Account":"o","CoverURL":"","Category":[1],"CreateTime":1,`+
		`"ActivityStatus":1,"ViewCount":7},"version":1,"sweep":1}}`, seq, seq, seq, seq)
	return Message{Seq: seq, Stored: at, Subject: "live.room.created.1400000000.x", Body: []byte(body)}
}

func messages(from, to uint64, at time.Time) []Message {
	var all []Message
	for seq := from; seq <= to; seq++ {
		all = append(all, message(seq, at))
	}
	return all
}

func mustOpen(t *testing.T, o Options) *Writer {
	t.Helper()
	if o.Refuse == nil {
		o.Refuse = func(kind, _ string) error { return undelayed(kind) }
	}
	w, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Close() })
	return w
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// check verifies a trail and returns what is wrong with it.
func check(t *testing.T, c Check) (Summary, []string) {
	t.Helper()
	var faults []string
	s, err := Verify(t.Context(), c, func(f Fault) error { faults = append(faults, f.String()); return nil })
	must(t, err)
	if s.Faults != len(faults) {
		t.Errorf("%d faults in the summary, %d told", s.Faults, len(faults))
	}
	return s, faults
}

// wantMessages fails unless the trail is sound and has the messages 1 … last, once each.
func wantMessages(t *testing.T, dir string, last uint64) {
	t.Helper()
	if _, faults := check(t, Check{Dir: dir}); len(faults) > 0 {
		t.Fatalf("faults: %q", faults)
	}
	next := uint64(1)
	must(t, Read(t.Context(), dir, 0, func(l Line, _ []byte) error {
		if l.Seq == 0 {
			return nil
		}
		if want := message(l.Seq, l.Stored); l.Seq != next || string(l.Event) != string(want.Body) {
			return fmt.Errorf("message %d where %d belongs: %s", l.Seq, next, l.Event)
		}
		next++
		return nil
	}))
	if next != last+1 {
		t.Fatalf("%d messages, want %d", next-1, last)
	}
}

// Files are sealed by size and by day, compressed, and read as one trail.
func TestRotation(t *testing.T) {
	dir := t.TempDir()
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	w := mustOpen(t, Options{Dir: dir, MaxFileBytes: 3000, Key: signedBy(key)})
	must(t, w.Follow(Position{Name: "LIVE", Created: noon}, noon, ""))
	must(t, w.Append(noon, messages(1, 20, noon)))
	must(t, w.Append(noon.Add(24*time.Hour), messages(15, 24, noon.Add(24*time.Hour)))) // some are on record already
	must(t, w.Append(noon.Add(24*time.Hour), append(messages(25, 25, noon.Add(24*time.Hour)), messages(19, 25, noon)...)))
	must(t, w.Close())
	w = mustOpen(t, Options{Dir: dir, MaxFileBytes: 3000, Key: signedBy(key)})
	must(t, w.Append(noon.Add(24*time.Hour), messages(26, 27, noon.Add(24*time.Hour))))
	must(t, w.Tick(noon.Add(25*time.Hour)))
	if w.file == nil {
		t.Error("the file is sealed before its day is over")
	}
	must(t, w.Tick(noon.Add(48*time.Hour)))
	must(t, w.Append(noon.Add(48*time.Hour), messages(28, 28, noon)))
	must(t, w.Close())
	wantMessages(t, dir, 28)
	s, faults := check(t, Check{Dir: dir, Keys: keys(key)})
	if len(faults) > 0 || s.Signed != s.Files-1 || !s.Open || s.Stream.Name != "LIVE" {
		t.Errorf("%+v: %q", s, faults)
	}
	files, err := Files(dir)
	must(t, err)
	var days []string
	for i, f := range files {
		if f.Compressed != (i < len(files)-1) {
			t.Errorf("%s: compressed: %t", f.Path, f.Compressed)
		}
		days = append(days, f.Day)
	}
	if days = slices.Compact(days); !slices.Equal(days, []string{"2026-11-23", "2026-11-24", "2026-11-25"}) {
		t.Errorf("days %v", days)
	}
}

// What is no event, what lacks, and another stream are on record as such.
func TestRecord(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, Options{Dir: dir})
	must(t, w.Follow(Position{Name: "LIVE", Created: noon}, noon, ""))
	lines := strings.ReplaceAll(string(message(5, noon).Body), ",", ",\n")
	must(t, w.Append(noon, []Message{
		message(3, noon), {Seq: 4, Stored: noon, Subject: "live.x", Body: []byte{0xff, '\n', '"'}}, {Seq: 5, Stored: noon, Body: []byte(lines)},
		{Seq: 6, Stored: noon, Body: []byte(`{"a":1}`)}, {Seq: 9, Stored: noon, Body: []byte(`{"type":"writer.claimed"}`)},
	}))
	must(t, w.Follow(Position{Name: "LIVE", Created: noon.Add(time.Hour)}, noon, "the stream was recreated"))
	must(t, w.Append(noon, messages(1, 1, noon)))
	var got []string
	must(t, Read(t.Context(), dir, 0, func(l Line, _ []byte) error {
		what := fmt.Sprintf("%s %d", l.Kind, l.Seq)
		switch l.Kind {
		case Gap:
			what = fmt.Sprintf("gap %d-%d", l.From, l.To)
		case Other:
			what += fmt.Sprintf(" %q", l.Raw[:min(len(l.Raw), 3)])
		}
		got = append(got, what)
		return nil
	}))
	want := []string{"begin 0", "gap 1-2", "event 3", `other 4 "\xff\n\""`, `other 5 "{\"s"`, `other 6 "{\"a"`, "gap 7-8", "claim 9", "stream 0", "event 1"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if _, faults := check(t, Check{Dir: dir}); len(faults) > 0 {
		t.Errorf("faults: %q", faults)
	}
}

func TestOnlyOneWriter(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, Options{Dir: dir})
	if _, err := Open(Options{Dir: dir}); !errors.Is(err, ErrLocked) {
		t.Errorf("a second writer: %v", err)
	}
}

// undelayed lets a step be done without the wait for a disk.
func undelayed(kind string) error {
	if kind == "sync" {
		return errNoDelay
	}
	return nil
}

// Power is cut at every step, before it or with half of it done. What was
// acknowledged is there, all that follows is written once, and the chain holds.
func TestPowerCutAtEveryStep(t *testing.T) {
	cut := errors.New("power cut")
	for _, half := range []bool{false, true} {
		for step := 1; ; step++ {
			dir := t.TempDir()
			n := 0
			refuse := func(kind, _ string) error {
				if n++; n < step {
					return undelayed(kind)
				}
				if n == step && kind == "write" && half {
					return errHalf
				}
				return cut
			}
			o := Options{Dir: dir, MaxFileBytes: 2500}
			acknowledged := uint64(0)
			w, err := Open(Options{Dir: dir, MaxFileBytes: 2500, Refuse: refuse})
			for seq := uint64(1); err == nil && seq <= 12; seq += 4 {
				err = w.Append(noon.Add(time.Duration(seq)*3*time.Hour), messages(seq, seq+3, noon.Add(time.Duration(seq)*3*time.Hour)))
				if err == nil {
					acknowledged = seq + 3
				}
			}
			if w != nil {
				_ = w.Close()
			}
			if n < step {
				if step < 40 {
					t.Errorf("only %d steps: nothing was sealed", step)
				}
				break
			}
			w = mustOpen(t, o)
			if last := w.Position().Last; last < acknowledged {
				t.Fatalf("step %d: %d messages were acknowledged, %d are there", step, acknowledged, last)
			}
			for seq := uint64(1); seq <= 12; seq += 3 {
				must(t, w.Append(noon.Add(60*time.Hour), messages(seq, seq+2, noon.Add(60*time.Hour))))
			}
			must(t, w.Close())
			wantMessages(t, dir, 12)
			left, err := filepath.Glob(filepath.Join(dir, "*"+unsafe))
			if err != nil || len(left) > 0 {
				t.Errorf("step %d: %v is left, %v", step, left, err)
			}
		}
	}
}

// A disk that is full refuses single steps, in whole or in half. The writer goes
// on by itself when it no longer does.
func TestDiskFull(t *testing.T) {
	full := errors.New("no space left on device")
	for _, half := range []bool{false, true} {
		for step := 1; ; step++ {
			dir := t.TempDir()
			n, refused := 0, 0
			refuse := func(kind, _ string) error {
				if n++; n < step || n > step+5 || kind == "remove" {
					return undelayed(kind)
				}
				refused++
				if kind == "write" && half {
					return errHalf
				}
				return full
			}
			w, err := Open(Options{Dir: dir, MaxFileBytes: 2500, Refuse: refuse})
			if err != nil {
				continue // nothing was begun
			}
			for seq := uint64(1); seq <= 12; seq += 4 {
				at := noon.Add(time.Duration(seq) * 3 * time.Hour)
				for try := 0; w.Append(at, messages(seq, seq+3, at)) != nil; try++ {
					if try == 20 {
						t.Fatalf("step %d: it does not go on", step)
					}
				}
			}
			must(t, w.Close())
			wantMessages(t, dir, 12)
			if refused == 0 {
				break
			}
		}
	}
}

// unpack reads a whole file of a trail.
func unpack(t *testing.T, f File) []byte {
	t.Helper()
	file, err := os.Open(f.Path)
	must(t, err)
	defer func() { _ = file.Close() }()
	var in io.Reader = file
	if f.Compressed {
		in, err = gzip.NewReader(file)
		must(t, err)
	}
	b, err := io.ReadAll(in)
	must(t, err)
	return b
}

// repack writes a whole file of a trail.
func repack(t *testing.T, f File, b []byte) {
	t.Helper()
	file, err := os.Create(f.Path)
	must(t, err)
	defer func() { _ = file.Close() }()
	if !f.Compressed {
		_, err := file.Write(b)
		must(t, err)
		return
	}
	z := gzip.NewWriter(file)
	_, err = z.Write(b)
	must(t, errors.Join(err, z.Close()))
}
