package poller

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What Retry-After asks of point reads is kept to by all of them, and bounded; the list,
// which has a quota of its own, goes on. The read that was answered so says nothing of its
// room, and those that waited are made afterwards.
func TestPointReadsKeepToRetryAfter(t *testing.T) {
	tests := []struct {
		name, body string
		status     int
		after      string
		want       time.Duration
		first      string // what the read says that was answered so
	}{
		{"429", "<html>", 429, "12", 12 * time.Second, "first:no_answer"},
		{"503", "<html>", 503, "12", 12 * time.Second, "first:no_answer"},
		{"a throttle", fail(60011), 200, "12", 12 * time.Second, "first:no_answer"},
		{"within the budget", "<html>", 503, "1", time.Second, "first:gone"},
		{"a year", "<html>", 429, "31536000", longestHold, "first:no_answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, func(call) (int, string) { return 200, ok("") })
				s.info = func(c call) (int, string) {
					if c.n == 0 {
						return tt.status, tt.body
					}
					return 200, fail(100004)
				}
				s.after = func(n int) string { return map[int]string{0: tt.after}[n] }
				p := s.newPoller(t, Config{PointReadsPerSecond: 50})
				var sink answers
				r := startReader(t, p, &sink)
				time.Sleep(2 * time.Second)
				r.ask("first")
				time.Sleep(100 * time.Millisecond)
				for i := range 30 { // more than there are workers
					r.ask(fmt.Sprint("r", i))
				}
				var n tally
				if _, err := p.fetch.page(t.Context(), "", &n); err != nil {
					t.Errorf("the list: %v", err)
				}
				time.Sleep(tt.want + 10*time.Second)
				synctest.Wait()
				calls := s.log()
				if len(calls) < 3 {
					t.Fatalf("%d requests", len(calls))
				}
				if list := calls[1]; list.next != "" || list.at-calls[0].at > time.Second {
					t.Errorf("the second request is of room %q, %v after the answer, want the list at once", list.next, list.at-calls[0].at)
				}
				if d := calls[2].at - calls[0].at; d < tt.want || d > tt.want+2*time.Second {
					t.Errorf("the next read comes after %v, want the %v of Retry-After", d, tt.want)
				}
				got := sink.take()
				if !strings.Contains(got+" ", tt.first+" ") || strings.Count(got, "gone") < 30 || strings.Count(got, "no_answer") > 1 {
					t.Errorf("read %s, want %s and all that waited", got, tt.first)
				}
			})
		})
	}
}
