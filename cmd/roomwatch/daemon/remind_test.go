package daemon

import (
	"log/slog"
	"strings"
	"testing"

	"roomwatch/cmd/roomwatch/web"
	"roomwatch/diff/logtest"
)

// What is wrong for long is logged again, with its fix; what is new, over, or
// repeated elsewhere is not.
func TestProblemsPersist(t *testing.T) {
	var log logtest.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	of := func(list ...string) (all []web.Condition) {
		for _, about := range list {
			all = append(all, web.Condition{Level: web.Failing, About: about, Text: about + " is wrong", Fix: "fix " + about})
		}
		return all
	}
	var before map[string]bool
	for _, tt := range []struct {
		now  []web.Condition
		want string // about these
	}{
		{of("source", "nats", "history"), ""},
		{of("source", "nats", "history", "clock"), "source"},
		{of("clock"), "clock"},
		{nil, ""},
		{of("clock"), ""},
	} {
		old := len(log.String())
		before = persisting(t.Context(), logger, tt.now, before)
		lines := log.String()[old:]
		if tt.want == "" && lines != "" || tt.want != "" && (strings.Count(lines, "\n") != 1 || !strings.Contains(lines, `level=ERROR msg="problem persists" about=`+tt.want+` error="`+tt.want+` is wrong" fix="fix `+tt.want+`"`)) {
			t.Errorf("%v: logged %q, want one line about %q", tt.now, lines, tt.want)
		}
	}
}

// Where the error itself has the fix, none is logged beside it.
func TestProblemWithoutAFix(t *testing.T) {
	var log logtest.Buffer
	now := []web.Condition{{Level: web.Degraded, About: "stream", Text: "full; make room"}}
	persisting(t.Context(), slog.New(slog.NewTextHandler(&log, nil)), now, map[string]bool{"stream": true})
	if said := log.String(); !strings.Contains(said, "make room") || strings.Contains(said, "fix=") {
		t.Errorf("logged %q", said)
	}
}
