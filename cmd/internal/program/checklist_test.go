package program

import (
	"errors"
	"strings"
	"testing"
)

func TestChecklist(t *testing.T) {
	var b strings.Builder
	l := Checklist{W: &b, Width: 6}
	l.Line("disk", nil, "%d %% free", 50)
	l.Warn("events", "%s is old", "one")
	if err := l.Err(); err != nil {
		t.Errorf("a warning is a failure: %v", err)
	}
	l.Line("nats", errors.New("no answer"), "unseen")
	l.Line("store", nil, "is there")
	if err := l.Err(); !errors.Is(err, ErrReported) {
		t.Errorf("after a failure: %v", err)
	}
	want := "disk   ok      50 % free\nevents WARN    one is old\nnats   FAILED  no answer\nstore  ok      is there\n"
	if b.String() != want {
		t.Errorf("printed\n%s, want\n%s", &b, want)
	}
}
