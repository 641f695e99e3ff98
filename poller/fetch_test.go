package poller

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// fetchFrom gets one page of a service that answers the first requests by
// replies and all others with success.
func fetchFrom(t *testing.T, next string, c Config, replies ...string) (s *service, p *Poller, n tally, err error) {
	t.Helper()
	s = newService(t, func(c call) (int, string) {
		switch {
		case c.n >= len(replies):
			return 200, ok("", "a@1=5")
		case strings.HasPrefix(replies[c.n], "{"):
			return 200, replies[c.n]
		}
		var status int
		_, _ = fmt.Sscanf(replies[c.n], "%d", &status) // "cut" is 0
		return status, "<html>"
	})
	p = s.newPoller(t, c)
	_, err = p.fetch.page(context.Background(), next, &n)
	return s, p, n, err
}

func repeat(s string, n int) []string {
	r := make([]string, n)
	for i := range r {
		r[i] = s
	}
	return r
}

func TestFetchRetries(t *testing.T) {
	tests := []struct {
		name    string
		replies []string
	}{
		{"internal error", []string{fail(100001), fail(60008)}},
		{"unknown code", []string{fail(61234), fail(-2)}},
		{"HTTP errors", []string{"502", "404"}},
		{"cut connection", []string{"cut", "cut"}},
		{"cut answer", []string{documented[:300], `{}`}},
		{"FAIL without a code", repeat(`{"ActionStatus":"FAIL","ErrorCode":0}`, 2)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, p, n, err := fetchFrom(t, "", Config{RequestsPerSecond: 10}, tt.replies...)
				if err != nil || n.requests != 3 || n.retries != 2 {
					t.Fatalf("page: %v after %d requests, %d retries", err, n.requests, n.retries)
				}
				calls := s.log()
				for i, limits := range [][2]time.Duration{{125, 376}, {250, 751}} {
					d := calls[i+1].at - calls[i].at
					if d < limits[0]*time.Millisecond || d > limits[1]*time.Millisecond {
						t.Errorf("retry %d after %v, want 250ms × 2ⁿ ± 50%%", i+1, d)
					}
				}
				if p.fetch.quota.rate() != 10 {
					t.Error("a retry lowered the rate")
				}
			})
		})
	}
}

func TestFetchGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, n, err := fetchFrom(t, "c", Config{}, repeat(fail(100001), 100)...)
		e, isAPI := errors.AsType[*APIError](err)
		if !isAPI || e.Code != 100001 || errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), "given up after") {
			t.Errorf("page = %v", err)
		}
		calls := s.log()
		first, last := calls[0].at, calls[len(calls)-1].at
		if d := last - first; d < 15*time.Second || d > 30*time.Second || time.Since(s.begin)-first > 30*time.Second {
			t.Errorf("tried for %v, given up after %v; want 30s at most and not much less", d, time.Since(s.begin)-first)
		}
		if n.requests != len(calls) || n.retries != len(calls)-1 || n.requests > 14 {
			t.Errorf("%d requests and %d retries counted, %d made", n.requests, n.retries, len(calls))
		}
	})
}

// The budget is that of failures: a request that hangs does not start it early,
// and each failure that is a time-out counts with all of its time.
func TestFetchGivesUpOnSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, func(call) (int, string) {
			time.Sleep(6 * time.Second)
			return 200, ok("")
		})
		p := s.newPoller(t, Config{})
		var n tally
		_, err := p.fetch.page(context.Background(), "", &n)
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(s.begin) > 41*time.Second {
			t.Errorf("page = %v after %v", err, time.Since(s.begin))
		}
	})
}

func TestFetchStopsWithItsContext(t *testing.T) {
	tests := []struct {
		name  string
		after time.Duration
	}{{"waiting for the quota", 50 * time.Millisecond}, {"in a request", 2 * time.Second}, {"in a pause", 4150 * time.Millisecond}}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			s := newService(t, func(call) (int, string) {
				time.Sleep(4 * time.Second)
				return 200, fail(100001)
			})
			p := s.newPoller(t, Config{})
			ctx, cancel := context.WithTimeout(context.Background(), tt.after)
			defer cancel()
			if _, err := p.fetch.page(ctx, "", new(tally)); err == nil || time.Since(s.begin) != tt.after {
				t.Errorf("%s: page = %v after %v, cancelled after %v", tt.name, err, time.Since(s.begin), tt.after)
			}
		})
	}
}

func TestFetchThrottled(t *testing.T) {
	for _, reply := range []string{fail(60007), fail(60011), "429"} {
		synctest.Test(t, func(t *testing.T) {
			s, p, n, err := fetchFrom(t, "", Config{RequestsPerSecond: 8}, reply, reply)
			if err != nil || n.requests != 3 {
				t.Fatalf("page: %v after %d requests", err, n.requests)
			}
			calls := s.log()
			for i := range 2 {
				if d := calls[i+1].at - calls[i].at; d < 2125*time.Millisecond || d > 2800*time.Millisecond {
					t.Errorf("retry %d after %v, want 2 s more than a retry", i+1, d)
				}
			}
			if r := p.fetch.quota.rate(); math.Abs(r-2) > 1e-9 {
				t.Errorf("rate %v after two throttles, want 2", r)
			}
		})
	}
}

// What a throttle adds to a pause counts too.
func TestFetchGivesUpOnThrottles(t *testing.T) {
	for range 20 { // the pauses are drawn by lot
		synctest.Test(t, func(t *testing.T) {
			s, _, _, err := fetchFrom(t, "", Config{}, repeat(fail(60007), 100)...)
			if d := time.Since(s.begin) - s.log()[0].at; err == nil || d > 30*time.Second {
				t.Errorf("page = %v after %v", err, d)
			}
		})
	}
}

func TestFetchSignsAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, func(c call) (int, string) {
			if c.n%2 == 0 {
				return 200, fail(70001)
			}
			return 200, ok("", "a@1=5")
		})
		p := s.newPoller(t, Config{RequestsPerSecond: 0.5})
		for range 2 { // a new signature may be refused as well, later
			var n tally
			if _, err := p.fetch.page(context.Background(), "", &n); err != nil || n.requests != 2 || n.retries != 1 {
				t.Fatalf("page: %v after %d requests", err, n.requests)
			}
		}
		calls := s.log()
		if calls[0].query.Get("usersig") == calls[1].query.Get("usersig") {
			t.Error("the refused signature was sent again")
		}
		if calls[1].query.Get("usersig") != calls[2].query.Get("usersig") {
			t.Error("an accepted signature was replaced")
		}
		if d := calls[1].at - calls[0].at; (d - 2*time.Second).Abs() > time.Microsecond {
			t.Errorf("second try after %v, want at once as the quota allows: 2s", d)
		}
	})
}

func TestFetchSignatureRefusedTwice(t *testing.T) {
	ready, err := ReadySigner(1, "admin", "ready")
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		code     int
		signer   *Signer
		requests int
		config   bool
	}{
		{"expired", 70001, nil, 2, true},
		{"illegal", 70003, nil, 2, true},
		{"ready one expired", 70001, ready, 1, true},
		{"account check, which may pass", 60004, nil, 5, false},
		{"account check with a ready one", 60005, ready, 5, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _, n, err := fetchFrom(t, "", Config{Signer: tt.signer}, repeat(fail(tt.code), 4)...)
				if errors.Is(err, ErrConfig) != tt.config || (err == nil) == tt.config {
					t.Errorf("page = %v", err)
				}
				if n.requests != tt.requests {
					t.Errorf("%d requests, want %d", n.requests, tt.requests)
				}
				if e, isAPI := errors.AsType[*APIError](err); tt.config && (!isAPI || e.Class != Fatal || e.Code != tt.code) {
					t.Errorf("page = %#v", err)
				}
				_ = s
			})
		})
	}
}

func TestFetchRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, _, n, err := fetchFrom(t, "", Config{}, fail(60026))
		want := `configuration refused: get_room_list http://live.test: code 60026 "the text of 60026": the domain name does not match ` +
			"the SDKAppID's region, use the endpoint of the region where the application was made (RequestId Id-60026)"
		if fmt.Sprint(err) != want || !errors.Is(err, ErrConfig) || n.requests != 1 {
			t.Errorf("page = %v after %d requests, want %s", err, n.requests, want)
		}
	})
}

// 70050 asks for a minute and a new signature.
func TestFetchVerifyTooOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, p, n, err := fetchFrom(t, "", Config{}, fail(70050))
		if !errors.Is(err, ErrConfig) || n.requests != 1 {
			t.Errorf("page = %v after %d requests", err, n.requests)
		}
		time.Sleep(time.Minute)
		if _, err := p.fetch.page(context.Background(), "", &n); err != nil {
			t.Fatal(err)
		}
		if calls := s.log(); calls[0].query.Get("usersig") == calls[1].query.Get("usersig") {
			t.Error("the probe had the old signature")
		}
	})
}

func TestFetchBadParameter(t *testing.T) {
	for next, want := range map[string]string{
		"":  "get_room_list http://live.test: code 100002",
		"c": `cursor "c" is stale: get_room_list`,
	} {
		synctest.Test(t, func(t *testing.T) {
			_, _, n, err := fetchFrom(t, next, Config{}, fail(100002))
			if err == nil || !strings.HasPrefix(err.Error(), want) || errors.Is(err, ErrConfig) || n.requests != 1 {
				t.Errorf("Next %q: %v after %d requests, want %s", next, err, n.requests, want)
			}
		})
	}
}

// Every try takes a token: a service that fails fast is not asked faster.
func TestFetchRetriesKeepTheQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, _, err := fetchFrom(t, "", Config{RequestsPerSecond: 0.2}, "502", fail(70001), fail(100001))
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range s.log() {
			if want := time.Duration(i+1) * 5 * time.Second; (c.at - want).Abs() > time.Microsecond {
				t.Errorf("request %d after %v, want %v", i, c.at, want)
			}
		}
	})
}
