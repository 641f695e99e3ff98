package poller

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetryAfterForms(t *testing.T) {
	now := time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC)
	tests := []struct {
		after, date string
		want        time.Duration
	}{
		{"", "", 0},
		{"7", "", 7 * time.Second},
		{" 1.5 ", "", 1500 * time.Millisecond},
		{"0", "", 0},
		{"-3", "", 0},
		{"NaN", "", 0},
		{"Inf", "", longestHold},
		{"99999999999999999999", "", longestHold},
		{"soon", "", 0},
		{"Sun, 29 Nov 2026 08:00:30 GMT", "", 30 * time.Second},
		{"Sun, 29 Nov 2026 08:00:30 GMT", "Sun, 29 Nov 2026 08:00:10 GMT", 20 * time.Second},
		{"Sunday, 29-Nov-26 08:00:30 GMT", "", 30 * time.Second},
		{"Sun, 29 Nov 2026 07:00:30 GMT", "", 0},
		{"Mon, 29 Nov 2027 08:00:30 GMT", "", longestHold},
	}
	for _, tt := range tests {
		h := http.Header{"Retry-After": {tt.after}, "Date": {tt.date}}
		if got := retryAfter(h, now); got != tt.want {
			t.Errorf("retryAfter(%q, Date %q) = %v, want %v", tt.after, tt.date, got, tt.want)
		}
	}
}

// No request leaves before the time that the service asked for, whatever the
// status of the answer that asked.
func TestFetchWaitsAsRetryAfterAsks(t *testing.T) {
	tests := []struct {
		name, body string
		status     int
	}{
		{"429", "<html>", 429},
		{"503", "<html>", 503},
		{"200 with a throttle", fail(60007), 200},
		{"200 with an internal error", fail(100001), 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, func(c call) (int, string) {
					if c.n == 0 {
						return tt.status, tt.body
					}
					return 200, ok("", "a@1=5")
				})
				s.after = func(n int) string { return map[int]string{0: "12"}[n] }
				var n tally
				if _, err := s.newPoller(t, Config{}).fetch.page(context.Background(), "", &n); err != nil {
					t.Fatal(err)
				}
				calls := s.log()
				if d := calls[1].at - calls[0].at; d < 12*time.Second || d > 13*time.Second {
					t.Errorf("asked again after %v, want the 12s of Retry-After", d)
				}
			})
		})
	}
}

// A Retry-After beyond the budget of a page fails the sweep, and the next one
// keeps to it; one of a year is cut to the bound.
func TestNextSweepKeepsToRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, func(c call) (int, string) {
			if c.n == 0 {
				return 503, ""
			}
			return 200, ok("", "a@1=5")
		})
		s.after = func(n int) string { return map[int]string{0: "31536000"}[n] }
		p := s.newPoller(t, Config{})
		var n tally
		_, err := p.fetch.page(context.Background(), "", &n)
		if err == nil || !strings.Contains(err.Error(), "no request for 2m0s, as Retry-After asks") {
			t.Errorf("page = %v", err)
		}
		if _, err := p.fetch.page(context.Background(), "", &n); err != nil {
			t.Fatal(err)
		}
		calls := s.log()
		if d := calls[1].at - calls[0].at; d < longestHold || d > longestHold+time.Second {
			t.Errorf("asked again after %v, want %v", d, longestHold)
		}
	})
}
