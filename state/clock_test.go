package state

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"roomwatch/diff"
)

// A clock that was two hours ahead and is set right: times stand still until it has
// caught up, and it is told of once, when it was set back and when it has caught up.
func TestClockIsToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		s, err := Open(Config{Path: filepath.Join(t.TempDir(), "state.db"), SDKAppID: 1, Policy: diff.DefaultPolicy(), Log: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}()
		sweep := func(ahead time.Duration, room string, want time.Duration) {
			t.Helper()
			at := time.Now().Add(ahead)
			if err := s.Commit(diff.Page{At: at, Rooms: []diff.Room{{RoomID: room, CreateTime: 5}}}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.EndSweep(diff.Sweep{}); err != nil {
				t.Fatal(err)
			}
			if got := s.Status().Ahead; got != want {
				t.Errorf("%s: %v ahead, want %v", room, got, want)
			}
		}
		sweep(0, "a", 0)
		sweep(time.Second, "b", time.Second) // as NTP does
		if log.Len() > 0 {
			t.Errorf("told of a second:\n%s", &log)
		}
		time.Sleep(time.Second)
		sweep(2*time.Hour, "c", 2*time.Hour)
		time.Sleep(time.Hour)
		sweep(0, "d", time.Hour)
		time.Sleep(time.Hour)
		sweep(0, "e", 0)
		if n := strings.Count(log.String(), "clock was set back"); n != 1 || strings.Count(log.String(), `msg="clock has caught up"`) != 1 {
			t.Errorf("log:\n%s", &log)
		}
		events, err := s.Events(0, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) != 5 {
			t.Fatalf("%d events, want 5", len(events))
		}
		for i, e := range events[1:] {
			if e.Time.Before(events[i].Time) {
				t.Errorf("%s is before the event before it", e.ID)
			}
		}
	})
}
