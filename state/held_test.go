package state

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.opentelemetry.io/otel/trace/noop"

	"roomwatch/diff"
)

// Reads do not find most of the rooms: their ends are held back, which is seen, until
// the rooms are shown again or their reads are far enough apart.
func TestReadsHoldAMassBack(t *testing.T) {
	for _, lives := range []bool{true, false} {
		registry := prometheus.NewRegistry()
		s, err := Open(Config{Path: newPath(t), SDKAppID: testApp, Policy: diff.DefaultPolicy(), Metrics: registry, Propose: func(diff.Proposal) {}})
		if err != nil {
			t.Fatal(err)
		}
		var log bytes.Buffer
		c := s.NewCommitter(slog.New(slog.NewTextHandler(&log, nil)), noop.Tracer{})
		var all strings.Builder
		for i := range 30 {
			fmt.Fprintf(&all, "r%d@1=0 ", i)
		}
		whole(t, s, 0, all.String()+"x@1=0 y@1=0 z@1=0")
		gone := func(n float64) {
			see(t, s, page(t, n, "x@1=0 y@1=0 z@1=0"))
			for i := range 30 {
				answer(t, s, n, fmt.Sprintf("r%d-", i))
			}
			control(t, s, n+0.1)
			c.reportHeld(s.Status())
		}
		wantHeld := func(want int) {
			t.Helper()
			if h := s.Status().Held; h.Proved != want {
				t.Errorf("held back %+v, want %d", h, want)
			}
			metric := fmt.Sprintf("# HELP roomwatch_state_read_ends_held Ends that point reads have proved and that are held back because most rooms would end at once. "+
				"Above 0: look at what the service answers.\n# TYPE roomwatch_state_read_ends_held gauge\nroomwatch_state_read_ends_held %d\n", want)
			if err := testutil.GatherAndCompare(registry, strings.NewReader(metric), "roomwatch_state_read_ends_held"); err != nil {
				t.Error(err)
			}
		}
		gone(2)
		wantHeld(0)
		gone(6)
		wantHeld(30)
		end := "believed"
		if lives {
			end = "not confirmed"
			see(t, s, page(t, 7, all.String()))
			c.reportHeld(s.Status())
		} else {
			gone(13)
		}
		wantHeld(0)
		if n := s.Status().Rooms; (n == 33) != lives {
			t.Errorf("%d rooms", n)
		}
		if strings.Count(log.String(), "\n") != 2 || !strings.Contains(log.String(), "doubted") || !strings.Contains(log.String(), end) {
			t.Errorf("log: %s", &log)
		}
		checked(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
