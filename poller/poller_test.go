package poller

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"roomwatch/diff"
)

func TestRunDeliversSweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, func(c call) (int, string) {
			time.Sleep(100 * time.Millisecond)
			switch {
			case c.n == 4:
				return 200, fail(100002)
			case c.next == "":
				return 200, ok("c", "a@1=5", "b@1=4")
			default:
				return 200, ok("", "b@1=4", "c@1=3")
			}
		})
		sink := &recorder{}
		p := s.newPoller(t, Config{RequestsPerSecond: 2})
		begin := time.Now()
		stop := start(t, p, sink)
		time.Sleep(25 * time.Second)
		stop()

		sweeps := sink.ended()
		if len(sweeps) != 3 || !sweeps[0].Complete || !sweeps[1].Complete || sweeps[2].Complete {
			t.Fatalf("sweeps %+v, want two complete ones and one that failed", sweeps)
		}
		first := sweeps[0]
		if got, want := first.Begin.Sub(begin), time.Second; got != want {
			t.Errorf("began after %v, want %v: when the first request was sent", got, want)
		}
		if got, want := first.End.Sub(begin), 1600*time.Millisecond; got != want {
			t.Errorf("ended after %v, want %v: when the last answer was read", got, want)
		}
		if first.Seen.Len() != 3 || !first.Seen.Has(room("c@1=0").Key()) || first.Seen == sweeps[1].Seen {
			t.Errorf("seen %d rooms", first.Seen.Len())
		}
		if at := sink.pages[0].At; at.Sub(begin) != 1100*time.Millisecond {
			t.Errorf("first page at %v, want 1.1s", at.Sub(begin))
		}
		for i, want := range []diff.Sweep{sweeps[0], sweeps[0], sweeps[1], sweeps[1]} {
			if b := sink.pages[i].Begin; !b.Equal(want.Begin) {
				t.Errorf("page %d of a sweep that began at %v, want %v", i, b, want.Begin)
			}
		}
		if asked := sink.pages[0].Asked; !asked.Equal(begin.Add(1100 * time.Millisecond).Truncate(time.Second)) {
			t.Errorf("first page asked for at %v, want the Date of its answer", asked)
		}
		if got := len(sink.pages); got != 4 {
			t.Errorf("%d pages, want 4: none of the refused answer", got)
		}
		calls := s.log()
		if calls[1].next != "c" {
			t.Errorf("second request for %q, want the cursor of the first page", calls[1].next)
		}
		if s.dials != 1 {
			t.Errorf("%d connections, want 1", s.dials)
		}
	})
}

// A page is the sink's as soon as it is read; the list is not waited for.
func TestPagesAreDeliveredAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, func(c call) (int, string) {
			if c.n == 1 {
				time.Sleep(4 * time.Second)
			}
			return 200, ok(fmt.Sprint(c.n), fmt.Sprintf("r%d@1=1", c.n))
		})
		sink := &recorder{}
		p := s.newPoller(t, Config{RequestsPerSecond: 1})
		start(t, p, sink)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		sink.mu.Lock()
		got := len(sink.pages)
		sink.mu.Unlock()
		if got != 1 {
			t.Errorf("%d pages while the second is on its way, want 1", got)
		}
		st := p.Status()
		if st.Sweep == nil || st.Sweep.Pages != 1 || st.Sweep.Rooms != 1 || st.LastComplete != nil {
			t.Errorf("status %+v", st)
		}
	})
}

// End comes also for a sweep that is cut off, and has a while to live then.
func TestEndOutlivesRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, func(call) (int, string) { return 200, ok("c", "a@1=1") })
		var lived time.Duration
		sink := &recorder{onEnd: func(ctx context.Context) {
			begin := time.Now()
			<-ctx.Done()
			lived = time.Since(begin)
		}}
		p := s.newPoller(t, Config{RequestsPerSecond: 1})
		stop := start(t, p, sink)
		time.Sleep(1500 * time.Millisecond)
		begin := time.Now()
		stop()
		if lived != 5*time.Second || time.Since(begin) != 5*time.Second {
			t.Errorf("End lived for %v, Run for %v; want 5s after the cancel", lived, time.Since(begin))
		}
		sweeps := sink.ended()
		if len(sweeps) != 1 || sweeps[0].Complete || sweeps[0].End.Before(sweeps[0].Begin) {
			t.Errorf("sweeps %+v, want one that is not complete", sweeps)
		}
		if st := p.Status(); st.LastFailure.Err != nil || st.Sweep != nil {
			t.Errorf("status %+v: the end of the watch is no failure", st)
		}
	})
}

func TestRunEndsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, func(call) (int, string) { time.Sleep(4 * time.Second); return 200, ok("") })
		for _, after := range []time.Duration{0, 50 * time.Millisecond, time.Second, 6 * time.Second} {
			p := s.newPoller(t, Config{})
			begin := time.Now()
			stop := start(t, p, &recorder{})
			time.Sleep(after)
			stop()
			if d := time.Since(begin); d != after {
				t.Errorf("Run returned after %v, cancelled after %v", d, after)
			}
		}
	})
}

// A glance beside a running watch waits for its turn and breaks nothing.
func TestGlanceWhileRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, func(c call) (int, string) {
			time.Sleep(100 * time.Millisecond)
			if c.next == "9" {
				return 200, ok("")
			}
			return 200, ok(fmt.Sprint(len(c.next)+8), fmt.Sprintf("r%d@1=1", c.n))
		})
		sink := &recorder{}
		p := s.newPoller(t, Config{RequestsPerSecond: 10, Interval: time.Millisecond})
		start(t, p, sink)
		for range 20 {
			if _, err := p.Glance(context.Background()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(70 * time.Millisecond)
		}
		var arrived []time.Time
		for _, c := range s.log() {
			arrived = append(arrived, s.begin.Add(c.at))
		}
		if n := crowd(arrived); n > 10 {
			t.Errorf("%d requests within a second", n)
		}
		for _, sweep := range sink.ended() {
			if !sweep.Complete {
				t.Error("a glance broke a sweep")
			}
		}
	})
}

func TestNewRefuses(t *testing.T) {
	signer := newTestSigner(t)
	parse := func(s string) Endpoint {
		e, err := ParseEndpoint(s)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	tests := []struct {
		name string
		c    Config
		want string // empty: accepted
	}{
		{"defaults", Config{Signer: signer}, ""},
		{"ten a second", Config{Signer: signer, RequestsPerSecond: 10}, ""},
		{"eleven a second elsewhere", Config{Signer: signer, RequestsPerSecond: 11, Endpoint: parse("http://127.0.0.1:9000")}, ""},
		{"no signer", Config{}, "signer: missing"},
		{"more than ten a second", Config{Signer: signer, RequestsPerSecond: 10.01}, "requests per second 10.01: https://console.tim.qq.com allows 10, the vendor's limit"},
		{"more in a region", Config{Signer: signer, RequestsPerSecond: 11, Endpoint: parse("seoul")}, "adminapikr.im.qcloud.com allows 10"},
		{"more at a vendor's domain", Config{Signer: signer, RequestsPerSecond: 11, Endpoint: parse("https://adminapiksa.my-imcloud.com:443")}, "allows 10"},
		{"negative rate", Config{Signer: signer, RequestsPerSecond: -1}, "requests per second -1: not a positive number"},
		{"rate NaN", Config{Signer: signer, RequestsPerSecond: math.NaN()}, "NaN: not a positive number"},
		{"rate Inf", Config{Signer: signer, RequestsPerSecond: math.Inf(1), Endpoint: parse("http://h")}, "Inf: not a positive number"},
		{"negative interval", Config{Signer: signer, Interval: -1}, "interval -1ns: negative"},
		{"negative time-out", Config{Signer: signer, RequestTimeout: -1}, "request time-out -1ns: negative"},
		{"several", Config{Interval: -1, RequestTimeout: -1, RequestsPerSecond: -1}, "signer: missing\nrequests per second"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(tt.c)
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("New = %v, want %q", err, tt.want)
			}
		})
	}
	p, err := New(Config{Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	if p.interval != 10*time.Second || p.fetch.client.timeout != 5*time.Second || p.fetch.quota.full != 9.5 {
		t.Errorf("defaults %v, %v, %v", p.interval, p.fetch.client.timeout, p.fetch.quota.full)
	}
	if want := (Status{RequestsPerSecond: 9.5}); !reflect.DeepEqual(p.Status(), want) {
		t.Errorf("status before Run %+v", p.Status())
	}
}
