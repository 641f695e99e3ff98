package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/trace/noop"

	"roomwatch/diff"
	"roomwatch/state"
)

// A faultyStore notes what it is told. Commits fail while it is broken.
type faultyStore struct {
	broken  error
	log     []string
	takes   time.Duration // a commit
	commits []commit
}

type commit struct {
	began time.Time
	pages int
}

func (s *faultyStore) Commit(pages ...diff.Page) error {
	s.commits = append(s.commits, commit{time.Now(), len(pages)})
	time.Sleep(s.takes)
	if s.broken != nil {
		return s.broken
	}
	for _, p := range pages {
		s.log = append(s.log, p.Trace)
	}
	return nil
}

func (s *faultyStore) EndSweep(sw diff.Sweep) (bool, error) {
	s.log = append(s.log, fmt.Sprintf("end, complete %t", sw.Complete))
	return true, nil
}

func (s *faultyStore) Status() state.Status { return state.Status{} }

// A page that cannot be committed gives its sweep up, and only that: what comes
// after it is not committed, the sweep proves no absence and does not ask for the
// next one at once, and the next one is as good as any.
func TestDetectorGivesTheSweepUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := errors.New("disk")
		s := &faultyStore{}
		d := newDetector(s, nil, slog.New(slog.DiscardHandler), noop.Tracer{})
		done := make(chan struct{})
		go func() { d.Run(); close(done) }()
		page := func(name string, want error) {
			t.Helper()
			if err := d.Page(context.Background(), diff.Page{Trace: name}); !errors.Is(err, want) {
				t.Errorf("page %s: %v, want %v", name, err, want)
			}
			time.Sleep(time.Second) // it is committed by then, or given up
			synctest.Wait()
		}
		end := func(wantAgain bool, want error) {
			t.Helper()
			again, err := d.End(context.Background(), diff.Sweep{Complete: true})
			if again != wantAgain || !errors.Is(err, want) {
				t.Errorf("end = %t, %v, want %t, %v", again, err, wantAgain, want)
			}
		}
		page("a", nil)
		s.broken = disk
		page("b", nil) // the poller reads ahead: it hears of it with the next page
		s.broken = nil
		d.queue <- work{page: diff.Page{Trace: "c"}} // was on its way
		time.Sleep(time.Second)
		synctest.Wait()
		page("d", disk)
		end(false, disk)
		page("e", nil)
		end(true, nil)
		close(d.queue)
		<-done
		if want := []string{"a", "end, complete false", "e", "end, complete true"}; !slices.Equal(s.log, want) {
			t.Errorf("the store was told %q, want %q", s.log, want)
		}
	})
}

// Pages as far apart as the vendor's quota has them are committed when they come.
// Those that follow each other faster share their commits, and the end of their
// sweep waits for nothing. Where commits take long, nothing else is waited for.
func TestDetectorSharesCommits(t *testing.T) {
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
		{"very fast", 2000, 100 * time.Microsecond, 2 * time.Millisecond, 8, 12, waitingPages, linger},
		{"very fast, and as many as may wait before the end", waitingPages + 1, 100 * time.Microsecond, 2 * time.Millisecond, 2, 3, waitingPages, linger},
		{"fast, with long commits", 200, time.Millisecond, 25 * time.Millisecond, 1, 10, 26, 25 * time.Millisecond},
		{"very fast, with long commits", 1000, 100 * time.Microsecond, 50 * time.Millisecond, 4, 6, waitingPages, 150 * time.Millisecond},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &faultyStore{takes: tt.takes}
				d := newDetector(s, nil, slog.New(slog.DiscardHandler), noop.Tracer{})
				done := make(chan struct{})
				go func() { d.Run(); close(done) }()
				begin := time.Now()
				for range tt.pages {
					if err := d.Page(t.Context(), diff.Page{}); err != nil {
						t.Fatal(err)
					}
					time.Sleep(tt.apart)
				}
				last := time.Now()
				if _, err := d.End(t.Context(), diff.Sweep{Complete: true}); err != nil {
					t.Fatal(err)
				}
				took := time.Since(last)
				close(d.queue)
				<-done
				pages := 0
				for _, c := range s.commits {
					if wait := c.began.Sub(begin.Add(time.Duration(pages) * tt.apart)); wait > tt.wantWait {
						t.Errorf("page %d waited %v", pages, wait)
					}
					if c.pages > tt.wantLargest {
						t.Errorf("%d pages in one commit", c.pages)
					}
					pages += c.pages
					if c.began.After(last.Add(-tt.takes)) {
						took -= tt.takes
					}
				}
				if took > 0 {
					t.Errorf("the end waited %v for more than commits", took)
				}
				if n := len(s.commits); pages != tt.pages || n < tt.wantLeast || n > tt.wantMost {
					t.Errorf("%d pages in %d commits: %v", pages, n, s.commits)
				}
			})
		})
	}
}
