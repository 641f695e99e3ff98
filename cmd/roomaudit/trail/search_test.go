package trail

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"roomwatch/publisher/events"
)

// crowd writes a trail of many small files, with rooms whose names JSON writes in
// more than one way, times that are out of order, and gaps. It is deterministic.
func crowd(t testing.TB, dir string, n int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	rooms := []string{"plain", "a\"b", "a\\b", "é房", "x<y>", "tab\there", "\u2028", "rare"}
	w, err := Open(Options{Dir: dir, MaxFileBytes: 4000, Refuse: func(kind, _ string) error { return undelayed(kind) }})
	if err != nil {
		t.Fatal(err)
	}
	for seq := uint64(1); seq <= uint64(n); seq++ {
		if rng.IntN(40) == 0 {
			seq++ // a message that the stream no longer has
		}
		room := rooms[rng.IntN(len(rooms)-1)]
		if rng.IntN(100) == 0 {
			room = "rare"
		}
		m := message(seq, noon.Add(time.Duration(seq)*time.Minute+time.Duration(rng.IntN(600))*time.Second))
		var e events.Event
		if err := json.Unmarshal(m.Body, &e); err != nil {
			t.Fatal(err)
		}
		e.Subject, e.Data.Room.RoomID, e.Data.Room.OwnerAccount = room, room, fmt.Sprintf("owner%d", rng.IntN(3))
		if rng.IntN(2) == 0 {
			e.Type, e.Data.Version = events.RoomEnded, 2
		}
		if m.Body, err = json.Marshal(e); err != nil {
			t.Fatal(err)
		}
		if rng.IntN(2) == 0 { // as another encoder would write it
			m.Body = []byte(strings.ReplaceAll(string(m.Body), "plain", "\\u0070lain"))
		}
		if err := w.Append(noon, []Message{m}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

// scanned is a full scan.
func scanned(t *testing.T, dir string) (all []Found) {
	t.Helper()
	must(t, Read(t.Context(), dir, 0, func(l Line, _ []byte) error {
		if l.Kind != Event {
			return nil
		}
		f := Found{Line: l}
		must(t, json.Unmarshal(l.Event, &f.Event))
		all = append(all, f)
		return nil
	}))
	return all
}

// Whatever is asked, and whatever the indexes are like, the answer is that of a
// full scan, in the same order.
func TestFindIsFullScan(t *testing.T) {
	dir := t.TempDir()
	crowd(t, dir, 300)
	files, err := Files(dir)
	must(t, err)
	full := scanned(t, dir)
	rng := rand.New(rand.NewPCG(3, 4))
	at := func() time.Time {
		if rng.IntN(2) == 0 {
			return time.Time{}
		}
		return noon.Add(time.Duration(rng.IntN(350)) * time.Minute)
	}
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	some, skipped := 0, 0
	for round := range 60 {
		if round%10 == 0 { // spoil what is there
			for i, f := range files {
				switch path := f.indexPath(); rng.IntN(5) {
				case 0:
					_ = os.Remove(path)
				case 1:
					must(t, os.WriteFile(path, []byte("{}\n"), 0o600))
				case 2:
					if b, err := os.ReadFile(path); err == nil {
						must(t, os.WriteFile(path, b[:rng.IntN(len(b))], 0o600))
					}
				case 3:
					if b, err := os.ReadFile(files[(i+1)%len(files)].indexPath()); err == nil { // of another file
						must(t, os.WriteFile(path, b, 0o600))
					}
				}
			}
		}
		s := Search{Scan: round%7 == 0, From: at(), To: at(), Room: pick("", "plain", "a\"b", "a\\b", "é房", "x<y>", "tab\there", "\u2028", "rare", "nobody", "lai"), Owner: pick("", "", "owner1", "owner")}
		if rng.IntN(2) == 0 {
			s.Types = []events.Type{events.RoomEnded}
		}
		var got []uint64
		_, err := Find(t.Context(), dir, s, func(f Found) error { got = append(got, f.Line.Line); return nil })
		must(t, err)
		var want []uint64
		for _, f := range full {
			if s.matches(f.Line, f.Event) {
				want = append(want, f.Line.Line)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%+v: %d events, a full scan has %d", s, len(got), len(want))
		}
		some += len(got)
		for _, f := range files {
			if x, ok := f.index(); ok && !s.mayHave(x) {
				skipped++
			}
		}
	}
	if len(files) < 40 || some < 300 || skipped < 300 {
		t.Errorf("%d files, %d events found, %d files not read: too little was tried", len(files), some, skipped)
	}
}

// Gaps in what was asked for are told, also those of files that are not read.
func TestFindTellsHoles(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, Options{Dir: dir, MaxFileBytes: 1500})
	for _, seq := range []uint64{1, 2, 5, 6, 7, 8, 12, 13} {
		must(t, w.Append(noon, messages(seq, seq, noon.Add(time.Duration(seq)*time.Hour))))
	}
	must(t, w.Close())
	for range 2 { // without indexes, and with them
		for _, tt := range []struct {
			from, to time.Duration
			want     []string
		}{
			{0, 100, []string{"3 to 4", "9 to 11"}}, {0, 2, nil}, {6, 8, nil}, {3, 4, []string{"3 to 4"}}, {10, 10, []string{"9 to 11"}}, {8, 9, []string{"9 to 11"}}, {13, 20, nil},
		} {
			holes, err := Find(t.Context(), dir, Search{From: noon.Add(tt.from * time.Hour), To: noon.Add(tt.to * time.Hour), Room: "r<1>"}, func(Found) error { return nil })
			must(t, err)
			for _, want := range tt.want {
				if !slices.ContainsFunc(holes, func(h Hole) bool { return strings.Contains(h.Text, want) }) {
					t.Errorf("%d to %d: %v, without %s", tt.from, tt.to, holes, want)
				}
			}
			if len(holes) > len(tt.want) {
				t.Errorf("%d to %d: %v", tt.from, tt.to, holes)
			}
		}
	}
}

// A hole at the end of a file ends where the next message is, in another file.
func TestHoleAtEndOfFile(t *testing.T) { synctest.Test(t, holeAtEndOfFile) }

func holeAtEndOfFile(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, Options{Dir: dir})
	must(t, w.Follow(Position{Name: "LIVE", Created: noon}, noon, ""))
	hour := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Hour) }
	must(t, w.Append(hour(1), messages(1, 1, hour(1))))
	must(t, w.Follow(Position{Name: "LIVE", Created: hour(1)}, hour(1), "the stream was recreated"))
	must(t, w.Seal())
	must(t, w.Append(hour(5), messages(1, 2, hour(5))))
	must(t, w.Follow(Position{Name: "LIVE", Created: hour(5)}, hour(5), "the stream was recreated"))
	must(t, w.Seal())
	must(t, w.Append(hour(9), messages(1, 1, hour(9)))) // in an open file
	asked := func(from, to int) Search { return Search{From: hour(from), To: hour(to), Room: "r<9>"} }
	for name, find := range map[string]func(s Search) []Hole{
		"Find": func(s Search) []Hole {
			holes, err := Find(t.Context(), dir, s, func(Found) error { return nil })
			must(t, err)
			return holes
		},
		"Tail": func(s Search) (holes []Hole) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*lookEvery)
			defer cancel()
			must(t, Tail(ctx, dir, s, func(Found) error { return nil }, func(h Hole) error { holes = append(holes, h); return nil }))
			return holes
		},
	} {
		for _, scan := range []bool{true, false, false} { // then without indexes, and with them
			for _, tt := range []struct{ from, to, want int }{{2, 3, 1}, {6, 8, 1}, {10, 20, 0}, {0, 1, 0}, {0, 20, 2}} {
				s := asked(tt.from, tt.to)
				s.Scan = scan
				holes := find(s)
				if len(holes) != tt.want {
					t.Errorf("%s: from %d to %d: %v", name, tt.from, tt.to, holes)
				}
				for _, h := range holes {
					if (!h.After.Equal(hour(1)) || !h.Before.Equal(hour(5))) && (!h.After.Equal(hour(5)) || !h.Before.Equal(hour(9))) {
						t.Errorf("%s: hole from %s to %s", name, h.After, h.Before)
					}
				}
			}
		}
	}
	// One at the end of the trail is still open.
	must(t, w.Follow(Position{Name: "LIVE", Created: hour(9)}, hour(9), "the stream was recreated"))
	must(t, w.Seal())
	holes, err := Find(t.Context(), dir, asked(50, 60), func(Found) error { return nil })
	if err != nil || len(holes) != 1 || !holes[0].After.Equal(hour(9)) || !holes[0].Before.IsZero() {
		t.Errorf("%v, %v", holes, err)
	}
	// Who has enough is told none behind it.
	holes, err = Find(t.Context(), dir, Search{From: hour(8)}, func(Found) error { return ErrEnough })
	if err != nil || len(holes) != 1 {
		t.Errorf("%v, %v", holes, err)
	}
}

// Who takes only the first events is told the gaps before and among them, and no others.
func TestEnoughTellsHoles(t *testing.T) {
	dir := t.TempDir()
	w := mustOpen(t, Options{Dir: dir, MaxFileBytes: 4000})
	for _, seq := range []uint64{3, 4, 6, 7, 8, 9, 10, 12, 13, 15} {
		must(t, w.Append(noon, messages(seq, seq, noon)))
	}
	must(t, w.Close())
	for _, scan := range []bool{true, false, false} {
		for take, want := range map[int]string{1: "1-2", 2: "1-2", 3: "1-2 5-5", 7: "1-2 5-5", 8: "1-2 5-5 11-11", 10: "1-2 5-5 11-11 14-14"} {
			n := 0
			holes, err := Find(t.Context(), dir, Search{Scan: scan}, func(Found) error {
				if n++; n == take {
					return ErrEnough
				}
				return nil
			})
			must(t, err)
			var got []string
			for _, h := range holes {
				var from, to int
				_, err := fmt.Sscanf(h.Text, "messages %d to %d", &from, &to)
				must(t, err)
				got = append(got, fmt.Sprintf("%d-%d", from, to))
			}
			if strings.Join(got, " ") != want {
				t.Errorf("scan %t, %d events: holes %q, want %s", scan, take, got, want)
			}
		}
	}
}

// What is on record of each application is found with indexes and without.
func TestSpans(t *testing.T) {
	dir := t.TempDir()
	crowd(t, dir, 100)
	w := mustOpen(t, Options{Dir: dir})
	other := message(1000, noon.Add(-time.Hour))
	other.Body = []byte(strings.Replace(string(other.Body), "/live/1400000000", "/live/7", 1))
	late := Message{Seq: 1001, Stored: noon.Add(1000 * time.Hour), Body: []byte(`{"type":"watch.alive","source":"/live/7"}`)}
	must(t, w.Append(noon, []Message{other, late, {Seq: 1002, Stored: noon, Body: []byte("x")}}))
	want := map[int]Span{}
	must(t, Read(t.Context(), dir, 0, func(l Line, _ []byte) error {
		if l.Seq > 0 {
			app := 1400000000
			switch l.Seq {
			case 1000, 1001:
				app = 7
			case 1002:
				app = 0
			}
			want[app] = want[app].with(l.Stored)
		}
		return nil
	}))
	if want[7] != (Span{other.Stored, late.Stored}) {
		t.Fatalf("%v", want)
	}
	for _, indexes := range []bool{false, true, true} {
		for _, scan := range []bool{false, true} {
			if got, err := Spans(t.Context(), dir, scan); err != nil || !maps.Equal(got, want) {
				t.Errorf("indexes %t, scan %t: %v, %v, want %v", indexes, scan, got, err, want)
			}
		}
		must(t, w.Seal())
		must(t, Index(t.Context(), dir))
	}
}

// A search can be ended, and ends with its context; nothing of it is left behind.
func TestFindEnds(t *testing.T) {
	dir := t.TempDir()
	crowd(t, dir, 200)
	n := 0
	_, err := Find(t.Context(), dir, Search{}, func(Found) error {
		if n++; n == 7 {
			return ErrEnough
		}
		return nil
	})
	if n != 7 || err != nil {
		t.Errorf("%d events, %v", n, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if _, err := Find(ctx, dir, Search{}, func(Found) error { cancel(); return nil }); err == nil {
		t.Error("a search that was ended has an answer")
	}
}
