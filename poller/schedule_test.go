package poller

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// firstPages returns when each sweep asked for its first page, in the order of
// the service's clock.
func firstPages(s *service) string {
	var at []string
	for _, c := range s.log() {
		if c.next == "" {
			at = append(at, c.at.Round(time.Millisecond).String())
		}
	}
	return strings.Join(at, " ")
}

// The first request of all waits for one spacing of the quota (1 s here); the
// others find a token, as the sweeps are further apart.
func TestSchedule(t *testing.T) {
	tests := []struct {
		name     string
		interval time.Duration
		reply    func(c call) (int, string)
		sink     *recorder
		run      time.Duration
		want     string
	}{
		{
			name: "keeps the interval", interval: 10 * time.Second, run: 45 * time.Second,
			reply: func(call) (int, string) { time.Sleep(3 * time.Second); return 200, ok("") },
			want:  "1s 10s 20s 30s 40s",
		},
		{
			name: "a sweep longer than the interval", interval: 2 * time.Second, run: 16 * time.Second,
			reply: func(call) (int, string) { time.Sleep(4 * time.Second); return 200, ok("") },
			want:  "1s 5s 9s 13s",
		},
		{
			name: "at once where End says so", interval: 10 * time.Second, run: 35 * time.Second,
			reply: func(call) (int, string) { time.Sleep(3 * time.Second); return 200, ok("") },
			sink:  &recorder{again: func(n int) bool { return n < 2 }},
			// The second begins when the first is over, the third likewise; the
			// interval counts from the third.
			want: "1s 4s 7s 17s 27s",
		},
		{
			name: "not at once after a failure", interval: 10 * time.Second, run: 35 * time.Second,
			reply: func(call) (int, string) { return 200, fail(100002) },
			sink:  &recorder{again: func(int) bool { return true }},
			want:  "1s 10s 20s 30s",
		},
		{
			name: "a second after a long failure", interval: 2 * time.Second, run: 12 * time.Second,
			reply: func(call) (int, string) { time.Sleep(4 * time.Second); return 200, fail(100002) },
			want:  "1s 6s 11s",
		},
		{
			name: "an interval after a failure if it is short", interval: 500 * time.Millisecond, run: 11 * time.Second,
			reply: func(call) (int, string) { time.Sleep(4 * time.Second); return 200, fail(100002) },
			want:  "1s 5.5s 10s",
		},
		{
			name: "a minute after a refused configuration", interval: 10 * time.Second, run: 3 * time.Minute,
			reply: func(c call) (int, string) {
				if c.n < 2 {
					return 200, fail(60026)
				}
				return 200, ok("")
			},
			sink: &recorder{again: func(n int) bool { return n < 2 }},
			want: "1s 1m1s 2m1s 2m11s 2m21s 2m31s 2m41s 2m51s",
		},
		{
			name: "an unusable row is a failure", interval: 10 * time.Second, run: 25 * time.Second,
			reply: func(call) (int, string) { return 200, strings.Replace(ok("", "a@1=1"), `"a"`, `7`, 1) },
			sink:  &recorder{again: func(int) bool { return true }},
			want:  "1s 10s 20s",
		},
		{
			name: "a sink that fails at the end", interval: 10 * time.Second, run: 25 * time.Second,
			reply: func(call) (int, string) { return 200, ok("") },
			sink:  &recorder{endErr: func() error { return errors.New("disk full") }},
			want:  "1s 10s 20s",
		},
		{
			name: "a stale cursor", interval: 10 * time.Second, run: 25 * time.Second,
			reply: func(c call) (int, string) {
				if c.next != "" {
					return 200, fail(100002)
				}
				return 200, ok("old", "a@1=1")
			},
			want: "1s 10s 20s",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, tt.reply)
				sink := tt.sink
				if sink == nil {
					sink = &recorder{}
				}
				p := s.newPoller(t, Config{RequestsPerSecond: 1, Interval: tt.interval})
				stop := start(t, p, sink)
				time.Sleep(tt.run)
				stop()
				if got := firstPages(s); got != tt.want {
					t.Errorf("sweeps at %s, want %s", got, tt.want)
				}
			})
		})
	}
}
