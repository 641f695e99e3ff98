package simulator_test

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"roomwatch/poller/simulator"
)

// lively is a world in which everything happens.
func lively() simulator.Config {
	return simulator.Config{Seed: 1, Rooms: 60, Opens: 2, Enters: 50, Recreates: 1, Hides: 0.5, Quota: -1}
}

// W1: looking at the world does not change it, and a second process takes it
// up where the first one is, whatever has been forgotten.
func TestEqualWorlds(t *testing.T) {
	for _, forget := range []time.Duration{0, 20 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			c := lively()
			c.Start = time.Now()
			c.Forget = forget
			read, unread := start(t, c), start(t, c)
			for range 70 {
				sweep(t, read, 20, 300*time.Millisecond)
				read.Truth()
			}
			a, b, again := read.Truth(), unread.Truth(), start(t, c).Truth()
			if !reflect.DeepEqual(a, b) {
				t.Errorf("Forget %v: reading changed the world", forget)
			}
			if !reflect.DeepEqual(a, again) {
				t.Errorf("Forget %v: a second process has another world", forget)
			}
			if len(a.Lives)+a.Forgotten < 150 || (a.Forgotten > 0) != (forget > 0) {
				t.Errorf("Forget %v: %d lives and %d forgotten", forget, len(a.Lives), a.Forgotten)
			}
			c.Seed++
			if reflect.DeepEqual(a, start(t, c).Truth()) {
				t.Error("another seed, and the same world")
			}
		})
	}
}

// W2, and the rates of everything else, after a day that is caught up at once.
// Bounds are five times the standard deviation.
func TestDay(t *testing.T) {
	c := simulator.Config{
		Seed: 3, Start: time.Now().Add(-24 * time.Hour),
		Rooms: 400, Opens: 0.5, Enters: 8, Recreates: 0.2,
	}
	began := time.Now()
	s := start(t, c)
	s.Freeze()
	truth := s.Truth()
	t.Logf("a day in %v", time.Since(began))

	var reborn, views float64
	before := make(map[string]simulator.Life)
	for _, l := range truth.Lives {
		if b, ok := before[l.RoomID]; ok {
			reborn++
			if !l.Opened.Equal(b.Ended) || l.CreateTime <= b.CreateTime {
				t.Fatalf("%q: %v follows %v", l.RoomID, l, b)
			}
		}
		before[l.RoomID] = l
		views += float64(l.ViewCount)
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 5*math.Sqrt(want) {
			t.Errorf("%s: %v, want about %v", what, got, want)
		}
	}
	const day = 86400
	near("live rooms", float64(len(truth.Live())), 400)
	near("rooms opened", float64(len(before)-400), 0.5*day)
	near("rooms re-created", reborn, 0.2*day)
	if views < 8*day-5*math.Sqrt(8*day) || views > 8*day+20_000 { // the first rooms bring some thousands
		t.Errorf("people entered %v times, want some more than %v", views, 8*day)
	}
}

// A few rooms draw most people, but not always the same ones.
func TestHeavyTail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := lively()
		c.Rooms, c.Enters = 100, 1000
		s := start(t, c)
		first := s.Truth().Live()[0].RoomID
		time.Sleep(10 * time.Minute)
		live := s.Truth().Live()
		var top, all int64
		for i, l := range live {
			all += l.ViewCount
			if i < len(live)/5 {
				top += l.ViewCount
			}
		}
		if 3*top < 2*all { // rooms equally known would have half, by their ages
			t.Errorf("the top fifth has %d of %d views", top, all)
		}
		if live[0].RoomID == first {
			t.Errorf("%q is still on top", first)
		}
	})
}

func TestFreeze(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, lively())
		time.Sleep(time.Minute)
		s.Freeze()
		before := s.Truth()
		time.Sleep(time.Hour)
		after := s.Truth()
		if !reflect.DeepEqual(before.Lives, after.Lives) {
			t.Error("a frozen world went on")
		}
		must(t, s.Open("by hand"))
		if n := len(s.Truth().Lives); n != len(before.Lives)+1 {
			t.Errorf("%d lives after opening one of %d by hand", n, len(before.Lives))
		}
	})
}

// The truth is a copy: nobody's writing into it is seen by others.
func TestTruthIsACopy(t *testing.T) {
	s := start(t, simulator.Config{Rooms: 30})
	want := lines(s.Truth().Lives, showLife)
	for _, l := range s.Truth().Lives {
		for i := range l.Category {
			l.Category[i] = -1
		}
	}
	if got := lines(s.Truth().Lives, showLife); got != want {
		t.Errorf("truth after writing into a copy of it:\n%s\nwant\n%s", got, want)
	}
}

func TestHandOperations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, simulator.Config{})
		now := time.Now()
		must(t, s.Open("a"))
		must(t, s.Enter("a", 7))
		must(t, s.Recreate("a")) // within one second: W4
		must(t, s.Close("a"))
		must(t, s.Open("a"))
		must(t, s.Edit("a", func(r *simulator.Room) {
			r.RoomID, r.CreateTime = "b", 1 // stay as they are
			r.RoomName, r.ViewCount, r.Category = "A", 3, []int64{9}
		}))
		lives := s.Truth().Lives
		if len(lives) != 3 {
			t.Fatalf("lives %v, want 3", lives)
		}
		for i, want := range []struct {
			views int64
			name  string
		}{{7, "Alice live, no. 1"}, {0, "Alice live, no. 1"}, {3, "A"}} {
			l := lives[i]
			if l.RoomID != "a" || l.CreateTime != now.Unix()+int64(i) || l.ViewCount != want.views || l.RoomName != want.name {
				t.Errorf("life %d is %s", i, showLife(l))
			}
			if !l.Opened.Equal(now) || l.Ended.IsZero() != (i == 2) {
				t.Errorf("life %d from %v to %v", i, l.Opened, l.Ended)
			}
		}
	})
}

// W4 holds for a life that is forgotten, even where its CreateTime was ahead of
// the clock.
func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, simulator.Config{Forget: time.Second})
		created := time.Now().Unix()
		must(t, s.Open("a"))
		for range 4 {
			must(t, s.Recreate("a"))
		}
		must(t, s.Close("a")) // its CreateTime is four seconds ahead
		total := 5
		for second, want := range []int{0, 0, 2, 3, 4, 5, 6} {
			if truth := s.Truth(); truth.Forgotten != want || len(truth.Lives) != total-want {
				t.Errorf("after %d s: %d forgotten and %d lives, want %d", second, truth.Forgotten, len(truth.Lives), want)
			}
			if second == 3 {
				must(t, s.Open("a"))
				if l := s.Truth().Live()[0]; l.CreateTime != created+5 {
					t.Errorf("CreateTime %d, want %d", l.CreateTime, created+5)
				}
				must(t, s.Close("a"))
				total++
			}
			time.Sleep(time.Second)
		}
	})
}

func TestHandOperationsRefuse(t *testing.T) {
	s := start(t, simulator.Config{})
	must(t, s.Open("a"))
	must(t, s.Open("gone"))
	must(t, s.Close("gone"))
	tests := []struct {
		name string
		err  error
	}{
		{"open a live room", s.Open("a")},
		{"open nothing", s.Open("")},
		{"open 49 bytes", s.Open(strings.Repeat("x", 49))},
		{"open no UTF-8", s.Open("\xff")},
		{"close", s.Close("gone")},
		{"enter", s.Enter("gone", 1)},
		{"nobody enters", s.Enter("a", 0)},
		{"recreate", s.Recreate("gone")},
		{"edit", s.Edit("gone", func(*simulator.Room) { t.Error("edited a room that is gone") })},
	}
	for _, tt := range tests {
		if tt.err == nil {
			t.Errorf("%s: no error", tt.name)
		}
	}
	if live := s.Truth().Live(); len(live) != 1 || live[0].RoomID != "a" {
		t.Errorf("live %v, want a alone", live)
	}
}

// BenchmarkDay catches up a day of a demo: about ten events a second.
func BenchmarkDay(b *testing.B) {
	c := simulator.Config{Rooms: 300, Opens: 0.3, Enters: 9, Recreates: 0.05, Forget: time.Hour}
	for b.Loop() {
		c.Start = time.Now().Add(-24 * time.Hour)
		start(b, c).Truth()
	}
}

// BenchmarkBig is a second of the largest list worth simulating.
func BenchmarkBig(b *testing.B) {
	c := simulator.Config{Rooms: 10_000, Opens: 5, Enters: 2000}
	c.Start = time.Now().Add(-time.Duration(b.N) * time.Second)
	s := start(b, c)
	b.ResetTimer()
	s.Freeze()
}
