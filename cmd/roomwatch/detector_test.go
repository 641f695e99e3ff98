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
	broken error
	log    []string
}

func (s *faultyStore) Commit(pages ...diff.Page) error {
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
