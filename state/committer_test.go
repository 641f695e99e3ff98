package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"
	"go.opentelemetry.io/otel/trace/noop"

	"roomwatch/diff"
)

// committing returns a committer that is running, its store, and what stops it.
func committing(t *testing.T) (s *Store, c *Committer, stop func()) {
	s = open(t, newPath(t))
	c = s.NewCommitter(slog.New(slog.DiscardHandler), noop.Tracer{})
	done := make(chan struct{})
	go func() { c.Run(); close(done) }()
	return s, c, func() { c.Close(); <-done }
}

// A page that cannot be committed gives its sweep up, and only that: what comes
// after it is not committed, the sweep proves no absence and does not ask for the
// next one at once, and the next one is as good as any.
func TestCommitterGivesTheSweepUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := errors.New("disk")
		s, c, stop := committing(t)
		give := func(room string, want error) {
			t.Helper()
			if _, err := c.Page(context.Background(), page(t, 0, room)); !errors.Is(err, want) {
				t.Errorf("page of %s: %v, want %v", room, err, want)
			}
			time.Sleep(time.Second) // it is committed by then, or given up
			synctest.Wait()
		}
		end := func(rooms string, wantAgain bool, want error, wantComplete uint64) {
			t.Helper()
			again, err := c.End(context.Background(), ended(0, page(t, 0, rooms)))
			if again != wantAgain || !errors.Is(err, want) {
				t.Errorf("end = %t, %v, want %t, %v", again, err, wantAgain, want)
			}
			if n := s.counters().Complete; n != wantComplete {
				t.Errorf("%d complete sweeps, want %d", n, wantComplete)
			}
		}
		give("a@1=0", nil)
		s.commit = func(*bbolt.Tx) error { return disk }
		give("b@1=0", nil) // the poller reads ahead: it hears of it with the next page
		s.commit = (*bbolt.Tx).Commit
		c.queue <- work{page: page(t, 0, "c@1=0")} // was on its way
		time.Sleep(time.Second)
		synctest.Wait()
		give("d@1=0", disk)
		end("a@1=0 b@1=0 c@1=0 d@1=0", false, disk, 0)
		give("e@1=0", nil)
		end("e@1=0", true, nil, 1) // a is missing
		stop()
		wantWaiting(t, s, 0, "1 *a@1=0, 2 *e@1=0")
	})
}

// Pages as far apart as the vendor's quota has them are committed when they come.
// Those that follow each other faster share their commits, and the end of their
// sweep waits for nothing. Where commits take long, nothing else is waited for.
func TestCommitterSharesCommits(t *testing.T) {
	tests := []struct {
		name                string
		pages               int
		apart, takes        time.Duration
		wantLeast, wantMost int           // commits
		wantLargest         int           // of them, in pages
		wantWait            time.Duration // of a page, at most
	}{
		{"at the quota", 20, 100 * time.Millisecond, 2 * time.Millisecond, 20, 20, 1, 0},
		{"fast", 200, 2 * time.Millisecond, 2 * time.Millisecond, 1, 10, 30, linger + 2*time.Millisecond},
		{"very fast", 2000, 100 * time.Microsecond, 2 * time.Millisecond, 8, 12, MaxPages, linger},
		{"very fast, and as many as may wait before the end", MaxPages + 1, 100 * time.Microsecond, 2 * time.Millisecond, 2, 3, MaxPages, linger},
		{"fast, with long commits", 200, time.Millisecond, 25 * time.Millisecond, 1, 10, 26, 25 * time.Millisecond},
		{"very fast, with long commits", 1000, 100 * time.Microsecond, 50 * time.Millisecond, 4, 6, MaxPages, 150 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, c, stop := committing(t)
				type commit struct {
					began time.Time
					pages int
				}
				var commits []commit
				before := 0
				s.commit = func(tx *bbolt.Tx) error {
					// Each page shows one new room; the end of the sweep shows none and takes no time.
					rooms := 0
					err := tx.Bucket(roomsBucket).ForEach(func(_, _ []byte) error { rooms++; return nil })
					if err != nil {
						return err
					}
					if rooms > before {
						commits = append(commits, commit{time.Now(), rooms - before})
						before = rooms
						time.Sleep(tt.takes)
					}
					return tx.Commit()
				}
				begin := time.Now()
				seen := diff.NewSeen()
				for i := range tt.pages {
					p := page(t, 0, fmt.Sprintf("room%d@1=0", i))
					seen.Add(p.Rooms[0].Key())
					if _, err := c.Page(t.Context(), p); err != nil {
						t.Fatal(err)
					}
					time.Sleep(tt.apart)
				}
				last := time.Now()
				if _, err := c.End(t.Context(), diff.Sweep{Complete: true, Seen: seen}); err != nil {
					t.Fatal(err)
				}
				took := time.Since(last)
				stop()
				pages := 0
				for _, k := range commits {
					if wait := k.began.Sub(begin.Add(time.Duration(pages) * tt.apart)); wait > tt.wantWait {
						t.Errorf("page %d waited %v", pages, wait)
					}
					if k.pages > tt.wantLargest {
						t.Errorf("%d pages in one commit", k.pages)
					}
					pages += k.pages
					if k.began.After(last.Add(-tt.takes)) {
						took -= tt.takes
					}
				}
				if took > 0 {
					t.Errorf("the end waited %v for more than commits", took)
				}
				if n := len(commits); pages != tt.pages || n < tt.wantLeast || n > tt.wantMost {
					t.Errorf("%d pages in %d commits: %v", pages, n, commits)
				}
			})
		})
	}
}

// The end of a doubt says what became of the rooms.
func TestReportOfAMassEnd(t *testing.T) {
	for want, tt := range map[string]struct{ before, now Status }{
		`msg="mass end doubted" missing=40 rooms=41`:                             {Status{Rooms: 41}, Status{Rooms: 41, Missing: 40, Guarded: true}},
		`msg="mass end believed" ended=41 rooms=0`:                               {Status{Rooms: 41, Missing: 41, Guarded: true}, Status{}},
		`msg="mass end not confirmed: the list shows the rooms again" missing=1`: {Status{Rooms: 41, Missing: 40, Guarded: true}, Status{Rooms: 41, Missing: 1}},
	} {
		var log bytes.Buffer
		c := open(t, newPath(t)).NewCommitter(slog.New(slog.NewTextHandler(&log, nil)), noop.Tracer{})
		c.report(tt.before, tt.now)
		if !strings.Contains(log.String(), want) {
			t.Errorf("%s\nlacks %s", &log, want)
		}
	}
}

// Ends that reads have proved and that the guard holds back are reported once, and what became of them.
func TestReportOfAMassEndByReads(t *testing.T) {
	held := diff.HeldEnds{Proved: 30, Absent: 31, Known: 41}
	for want, now := range map[string]Status{
		`level=WARN msg="mass end by point reads believed" ended=30 rooms=11`:  {Rooms: 11},
		`level=INFO msg="mass end by point reads not confirmed" rooms=41`:      {Rooms: 41},
		`msg="mass end by point reads doubted" proved=30 absent=31 rooms=41 f`: {Rooms: 41, Held: held},
	} {
		var log bytes.Buffer
		c := open(t, newPath(t)).NewCommitter(slog.New(slog.NewTextHandler(&log, nil)), noop.Tracer{})
		c.reportHeld(Status{Rooms: 41})
		for range 2 {
			c.reportHeld(Status{Rooms: 41, Held: held})
		}
		c.reportHeld(now)
		c.reportHeld(now)
		if !strings.Contains(log.String(), want) || strings.Count(log.String(), "doubted") != 1 || strings.Count(log.String(), "\n") > 2 {
			t.Errorf("%s\nlacks %s", &log, want)
		}
	}
}
