package state

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"roomwatch/diff"
)

const testApp = 88888888

// second is a moment of the tests: so many seconds after noon.
func second(n float64) time.Time {
	return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Add(time.Duration(n * float64(time.Second)))
}

// newPath returns where a test has its state file.
func newPath(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "state.db")
}

// open opens a state that is checked and closed when the test ends.
func open(t *testing.T, path string, policy ...diff.Policy) *Store {
	t.Helper()
	c := Config{Path: path, SDKAppID: testApp, Policy: diff.DefaultPolicy()}
	if len(policy) > 0 {
		c.Policy = policy[0]
	}
	s, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	s.db.NoSync = true // only the power could fail, and it does not in a test
	t.Cleanup(func() {
		if s.db.Path() == "" {
			return // the test has closed or killed it
		}
		checked(t, s)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func checked(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Check(); err != nil {
		t.Errorf("Check: %v", err)
	}
}

// reopen closes s and opens its file again.
func reopen(t *testing.T, s *Store) *Store {
	t.Helper()
	checked(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, s.path, s.policy)
}

// kill lets the process of s die: the file stays as it is.
func kill(t *testing.T, s *Store) *Store {
	t.Helper()
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	return open(t, s.path, s.policy)
}

// page parses "a@1=5 b@9=0/title": RoomID, CreateTime, ViewCount and, after a
// slash, RoomName. It was read n seconds after noon,
// in a sweep that began a second before.
func page(t *testing.T, n float64, s string) diff.Page {
	t.Helper()
	p := diff.Page{At: second(n), Begin: second(n - 1)}
	for _, f := range strings.Fields(s) {
		f, name, _ := strings.Cut(f, "/")
		id, rest, ok1 := strings.Cut(f, "@")
		at, views, ok2 := strings.Cut(rest, "=")
		created, err1 := strconv.ParseInt(at, 10, 64)
		count, err2 := strconv.ParseInt(views, 10, 64)
		if !ok1 || !ok2 || err1 != nil || err2 != nil {
			t.Fatalf("room %q is not like a@1=5/title", f)
		}
		p.Rooms = append(p.Rooms, diff.Room{RoomID: id, CreateTime: created, ViewCount: count, RoomName: name})
	}
	return p
}

// sweep commits one page and ends the sweep, which began at n seconds, read the
// page at n+1 and ended at n+2.
func sweep(t *testing.T, s *Store, n float64, rooms string) (again bool) {
	t.Helper()
	p := page(t, n+1, rooms)
	commit(t, s, p)
	again, err := s.EndSweep(ended(n, p))
	if err != nil {
		t.Fatal(err)
	}
	return again
}

func commit(t *testing.T, s *Store, pages ...diff.Page) {
	t.Helper()
	if err := s.Commit(pages...); err != nil {
		t.Fatal(err)
	}
}

// ended is the end of a complete sweep with these pages.
func ended(n float64, pages ...diff.Page) diff.Sweep {
	seen := diff.NewSeen()
	for _, p := range pages {
		for _, r := range p.Rooms {
			seen.Add(r.Key())
		}
	}
	return diff.Sweep{Begin: second(n), End: second(n + 2), Complete: true, Seen: seen}
}

// show prints an event: "3 +a@1=5" created ("*a@1=5" in the baseline), "-a@1"
// ended, "a@1:5→7" viewcount.changed, "a@1/" room.updated, after its sequence number.
func show(e diff.Event) string {
	life := fmt.Sprintf("%s@%d", e.Room.RoomID, e.Room.CreateTime)
	switch {
	case e.Type == diff.RoomCreated && e.Baseline:
		life = fmt.Sprintf("*%s=%d", life, e.Room.ViewCount)
	case e.Type == diff.RoomCreated:
		life = fmt.Sprintf("+%s=%d", life, e.Room.ViewCount)
	case e.Type == diff.RoomEnded:
		life = "-" + life
	case e.Type == diff.ViewCountChanged:
		life = fmt.Sprintf("%s:%d→%d", life, *e.Previous.ViewCount, e.Room.ViewCount)
	case e.Type == diff.RoomUpdated:
		life += "/"
	}
	return fmt.Sprintf("%d %s", e.Seq, life)
}

// waiting prints the events after one.
func waiting(t *testing.T, s *Store, after uint64) string {
	t.Helper()
	var out []string
	for {
		events, err := s.Events(after, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			return strings.Join(out, ", ")
		}
		for _, e := range events {
			out = append(out, show(e))
		}
		after = events[len(events)-1].Seq
	}
}

func wantWaiting(t *testing.T, s *Store, after uint64, want string) {
	t.Helper()
	if got := waiting(t, s, after); got != want {
		t.Errorf("events after %d: %q, want %q", after, got, want)
	}
}

// position prints what Position returns but for the epoch.
func position(s *Store) string {
	_, stored, assigned := s.Position()
	return fmt.Sprintf("%d of %d", stored, assigned)
}

func wantPosition(t *testing.T, s *Store, want string) {
	t.Helper()
	if got := position(s); got != want {
		t.Errorf("stored %s, want %s", got, want)
	}
}

func hash(t *testing.T, path string) [32]byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}
