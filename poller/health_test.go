package poller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// lines returns what was logged, without its times.
func (l *logBuffer) lines() []string {
	var out []string
	for line := range strings.Lines(l.String()) {
		_, rest, _ := strings.Cut(line, " ")
		out = append(out, strings.TrimSpace(rest))
	}
	return out
}

// expectLog checks that there is one line for each of want, which begins so.
func expectLog(t *testing.T, l *logBuffer, want ...string) {
	t.Helper()
	got := l.lines()
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || !strings.HasPrefix(got[i], want[i]) {
			t.Fatalf("logged\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

// An outage is told once, and so is its end.
func TestOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		down := func(at time.Duration) bool { return at > 15*time.Second && at < 5*time.Minute }
		s := newService(t, func(c call) (int, string) {
			if down(c.at) {
				return 200, fail(100001)
			}
			return 200, ok("", "a@1=1")
		})
		p := s.newPoller(t, Config{Log: log.logger(slog.LevelInfo), RequestsPerSecond: 1})
		start(t, p, &recorder{})

		time.Sleep(15 * time.Second)
		st := p.Status()
		if st.LastComplete == nil || st.LastComplete.Rooms != 1 || st.LastComplete.Requests != 1 || st.LastComplete.End.IsZero() ||
			st.LastFailure.Err != nil || !st.FailingSince.IsZero() {
			t.Errorf("while all is well: %+v", st)
		}
		last := st.LastComplete
		time.Sleep(18 * time.Second) // the page is still being tried again
		st = p.Status()
		if st.Sweep == nil || st.Sweep.Requests < 3 || st.Sweep.Retries != st.Sweep.Requests-1 || st.FailingSince.IsZero() {
			t.Errorf("in the first seconds of the outage: %+v, sweep %+v", st, st.Sweep)
		}
		expectLog(t, &log,
			`level=INFO msg="first sweep complete"`,
			`level=WARN msg="sweeps fail" error="get_room_list http://live.test: code 100001`)
		time.Sleep(4 * time.Minute)
		st = p.Status()
		var api *APIError
		if st.LastComplete != last || !errors.As(st.LastFailure.Err, &api) || st.FailingSince.IsZero() || st.Refused.Err != nil {
			t.Errorf("in the outage: %+v", st)
		}
		if st.LastFailure.At.Before(st.FailingSince) || st.LastFailure.At.Equal(st.FailingSince) {
			t.Errorf("newest failure at %v, failing since %v", st.LastFailure.At, st.FailingSince)
		}
		time.Sleep(4 * time.Minute)
		st = p.Status()
		if st.LastComplete == last || st.LastFailure.Err == nil || !st.FailingSince.IsZero() {
			t.Errorf("after the outage: %+v", st)
		}
		expectLog(t, &log,
			`level=INFO msg="first sweep complete" took=0s pages=1 rooms=1`,
			`level=WARN msg="sweeps fail" error="get_room_list http://live.test: code 100001`,
			`level=INFO msg="sweeps recovered" after=4m`)
		if !strings.Contains(log.String(), "request_id=Id-100001") {
			t.Errorf("no request id in %s", log.String())
		}
	})
}

func TestRefusedConfiguration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		s := newService(t, func(c call) (int, string) {
			switch {
			case c.n < 3:
				return 200, fail(60020)
			case c.n == 3: // the account is in order again, the list is not
				return 200, ok("c", "a@1=1")
			case c.n == 4:
				return 200, fail(100002)
			}
			return 200, ok("", "a@1=1")
		})
		p := s.newPoller(t, Config{Log: log.logger(slog.LevelInfo), RequestsPerSecond: 1})
		start(t, p, &recorder{})
		time.Sleep(2*time.Minute + 30*time.Second)
		st := p.Status()
		if !errors.Is(st.Refused.Err, ErrConfig) || time.Since(st.Refused.At) != 149*time.Second || st.LastComplete != nil {
			t.Errorf("while refused: %+v", st)
		}
		time.Sleep(2 * time.Minute)
		st = p.Status()
		if st.Refused.Err != nil || st.LastComplete == nil || !st.FailingSince.IsZero() {
			t.Errorf("after it was fixed: %+v", st)
		}
		expectLog(t, &log,
			`level=ERROR msg="configuration refused" error="page 1: configuration refused: get_room_list http://live.test: code 60020`,
			`level=INFO msg="configuration accepted" after=3m0s`,
			`level=INFO msg="sweeps recovered" after=3m`,
			`level=INFO msg="first sweep complete" took=0s pages=1 rooms=1`)
		if !strings.Contains(log.String(), "buy or renew it in the console") || !strings.Contains(log.String(), `fix="correct what the error names`) {
			t.Errorf("the log does not say what to do: %s", log.String())
		}
	})
}

func TestThrottledIsToldOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		s := newService(t, func(c call) (int, string) {
			if c.n == 1 || c.n == 3 || c.n == 5 { // the first try of each of three sweeps
				return 200, fail(60011)
			}
			return 200, ok("", "a@1=1")
		})
		p := s.newPoller(t, Config{Log: log.logger(slog.LevelInfo)})
		start(t, p, &recorder{})
		time.Sleep(30 * time.Second)
		if r := p.Status().RequestsPerSecond; r > 4 {
			t.Errorf("rate %v after throttles", r)
		}
		time.Sleep(6 * time.Minute)
		if r := p.Status().RequestsPerSecond; r != 9.5 {
			t.Errorf("rate %v long after the last throttle", r)
		}
		expectLog(t, &log,
			`level=INFO msg="first sweep complete"`,
			`level=WARN msg="throttled by the service" rate=4.75 error="get_room_list http://live.test: code 60011`,
			`level=INFO msg="full rate restored" rate=9.5`)
	})
}

func TestSinkFailureIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		s := newService(t, func(call) (int, string) { return 200, ok("c", "a@1=1") })
		full := errors.New("disk full")
		sink := &recorder{pageErr: func() error { return full }, endErr: func() error { return full }}
		p := s.newPoller(t, Config{Log: log.logger(slog.LevelInfo)})
		start(t, p, sink)
		time.Sleep(25 * time.Second)
		if got, want := fmt.Sprint(p.Status().LastFailure.Err), "page 1: commit: disk full; end of sweep: commit: disk full"; got != want {
			t.Errorf("last failure %q, want %q", got, want)
		}
		expectLog(t, &log, `level=WARN msg="state file cannot be written" error="page 1: commit: disk full`)
		if n := len(sink.ended()); n != 3 || sink.ended()[0].Complete {
			t.Errorf("%d sweeps ended, want 3 that failed", n)
		}
	})
}

func TestSweepLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		s := newService(t, func(c call) (int, string) {
			switch c.n {
			case 0:
				return 502, ""
			case 1:
				return 200, ok("c", "a@1=1", "b@1=1")
			}
			return 200, ok("", "b@1=1")
		})
		p := s.newPoller(t, Config{Log: log.logger(slog.LevelDebug), RequestsPerSecond: 0.5})
		start(t, p, &recorder{})
		time.Sleep(8 * time.Second)
		expectLog(t, &log, `level=INFO msg="first sweep complete" took=`, "level=DEBUG msg=\"sweep ended\" complete=true took=")
		if want := " pages=2 rooms=2 requests=3 retries=1 duplicates=1 unusable_rows=0\n"; !strings.HasSuffix(log.String(), want) {
			t.Errorf("logged %s, want %s", log.String(), want)
		}
	})
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, func(c call) (int, string) {
			switch c.n {
			case 0:
				return 502, ""
			case 1:
				return 200, fail(100001)
			case 2:
				return 200, fail(60018)
			case 3:
				return 200, fail(70001)
			case 4:
				return 200, ok("c", "a@1=1", "a@1=1")
			case 5:
				return 200, ok("", "a@1=1")
			case 6:
				return 200, strings.Replace(ok("", "a@1=1"), `"a"`, `7`, 1)
			case 7:
				return 200, fail(100002)
			}
			return 200, fail(60026)
		})
		p := s.newPoller(t, Config{Metrics: reg, RequestsPerSecond: 10})
		stop := start(t, p, &recorder{})
		time.Sleep(time.Minute)
		stop()
		if _, err := New(Config{Signer: newTestSigner(t), Metrics: reg}); err == nil {
			t.Error("New registered its metrics beside those of another poller")
		}
	})
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := make(map[string]float64)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := strings.TrimPrefix(f.GetName(), "roomwatch_poller_")
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	want := map[string]float64{
		"requests_total ok": 3, "requests_total retry": 1, "requests_total throttle": 1, "requests_total resign": 1,
		"requests_total fatal": 1, "requests_total bug": 1, "requests_total transport": 1,
		"request_duration_seconds": 9, "sweeps_total complete": 1, "sweeps_total failed": 3, "sweep_duration_seconds": 1,
		"duplicate_rows_total": 2, "unusable_rows_total": 1, "request_rate_limit": got["request_rate_limit"],
		"request_rate_configured": 10, "interval_seconds": 10, "configuration_refused": 1, "pages_total": 3,
		"last_complete_sweep_timestamp_seconds": got["last_complete_sweep_timestamp_seconds"],
		"last_complete_sweep_duration_seconds":  got["last_complete_sweep_duration_seconds"],
		"usersig_expiry_timestamp_seconds here": got["usersig_expiry_timestamp_seconds here"],
	}
	year2000 := float64(946684800) // when time begins in the bubble
	if end := got["last_complete_sweep_timestamp_seconds"]; end < year2000 || end > year2000+60 {
		t.Errorf("last complete sweep at %v", end)
	}
	if took := got["last_complete_sweep_duration_seconds"]; took <= 0 || took > 60 {
		t.Errorf("last complete sweep took %v", took)
	}
	if end := got["usersig_expiry_timestamp_seconds here"]; end < year2000+24*3600 || end > year2000+24*3600+60 {
		t.Errorf("the UserSig ends at %v", end)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("metrics\n%v, want\n%v", got, want)
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
}

// Status is read by others while Run writes it; the race detector watches.
func TestStatusWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, func(c call) (int, string) {
			if c.n%10 == 9 {
				return 200, fail(100002)
			}
			return 200, ok(strings.Repeat("c", (len(c.next)+1)%3), "a@1=1")
		})
		p := s.newPoller(t, Config{RequestsPerSecond: 1000, Interval: time.Millisecond})
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		done := make(chan error)
		go func() { done <- p.Run(ctx, &recorder{}) }()
		for ctx.Err() == nil {
			if st := p.Status(); st.Sweep != nil && st.Sweep.Pages > 3 {
				t.Errorf("status %+v", st)
			}
			time.Sleep(700 * time.Microsecond)
		}
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
