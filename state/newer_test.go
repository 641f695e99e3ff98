package state

import (
	"fmt"
	"testing"

	"roomwatch/diff"
)

// A page that shows a newer life of a known room proposes it, and the read that shows it,
// too, ends the old life and creates the new one.
func TestNewerLifeIsRead(t *testing.T) {
	s, p := openReading(t)
	whole(t, s, 0, "a@1=0 b@1=0")
	whole(t, s, 10, "a@1=0 b@5=7")
	wantWaiting(t, s, 2, "")
	if got := p.take(); got != "missed:b shown_again:b" {
		t.Errorf("proposed %q", got)
	}
	heard(t, s, 12.5, diff.Live, diff.Room{RoomID: "b", CreateTime: 5, ViewCount: 7})
	wantWaiting(t, s, 2, "3 -b@1, 4 +b@5=7")
	if got := p.take(); got != "" {
		t.Errorf("the newer life is believed, proposed %q", got)
	}
	events, _ := s.Events(2, 2)
	if e := events[0]; e.Evidence.By != diff.ByInfo {
		t.Errorf("event %+v", e)
	}
	checked(t, s)
}

// A newer life that a read alone shows needs a second one, with no page in between
// that shows the old life.
func TestNewerLifeByReadsAlone(t *testing.T) {
	newer := diff.Room{RoomID: "b", CreateTime: 5}
	for _, contradicted := range []bool{false, true} {
		s, p := openReading(t)
		whole(t, s, 0, "a@1=0 b@1=0")
		heard(t, s, 3, diff.Live, newer)
		if got := p.take(); got != "asked_again:b" {
			t.Errorf("proposed %q", got)
		}
		want := "3 -b@1, 4 +b@5=0"
		if contradicted {
			see(t, s, page(t, 5, "a@1=0 b@1=0"))
			want = ""
		}
		heard(t, s, 6.5, diff.Live, newer)
		wantWaiting(t, s, 2, want)
		checked(t, s)
	}
}

// Newer lives of most rooms are a fault of the service until so many reads, an interval
// apart, have shown them that it is proved.
func TestNewerLivesInMass(t *testing.T) {
	s, p := openReading(t)
	all, newer := "", ""
	for i := range 40 {
		all += fmt.Sprintf("r%d@1=0 ", i)
		newer += fmt.Sprintf("r%d@5=0 ", i)
	}
	whole(t, s, 0, all)
	p.take()
	see(t, s, page(t, 11, newer))
	read := func(n float64, rooms int) {
		for i := range rooms {
			heard(t, s, n, diff.Live, diff.Room{RoomID: fmt.Sprint("r", i), CreateTime: 5})
		}
	}
	for _, n := range []float64{12, 15, 18, 21} {
		read(n, 40)
	}
	if got := s.counters().Seq; got != 40 {
		t.Fatalf("%d events: 40 of 40 rooms have ended within 10 s", got-40)
	}
	read(22.1, 20)
	if got := s.counters().Seq; got != 40 {
		t.Fatalf("%d events: 20 of 40 newer lives are proved", got-40)
	}
	read(22.1, 21)
	if got := s.counters().Seq; got != 120 {
		t.Errorf("%d events, want the ends and the beginnings of all: more than half are proved", got-40)
	}
	checked(t, s)
}

// Where reads are not answered, a page is believed.
func TestNewerLifeWithoutReads(t *testing.T) {
	s, _ := openReading(t)
	whole(t, s, 0, "a@1=0 b@1=0")
	s.reads.with((*diff.Witnesses).Refuse)
	see(t, s, page(t, 11, "a@1=0 b@5=0"))
	wantWaiting(t, s, 2, "3 -b@1, 4 +b@5=0")
}
