package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"

	"roomwatch/cmd/internal/serve"
)

// measured returns the metrics of the daemon that was started last.
func (r *rig) measured() map[string]float64 {
	r.t.Helper()
	families, err := r.daemon.metrics.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	if problems, err := promlint.NewWithMetricFamilies(families).Lint(); err != nil || len(problems) > 0 {
		r.t.Errorf("promlint: %v, %v", problems, err)
	}
	values := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			name := strings.TrimPrefix(f.GetName(), "roomnotify_")
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			values[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
			if f.GetType() == dto.MetricType_HISTOGRAM {
				values[name+" count"], values[name+" sum"] = float64(m.GetHistogram().GetSampleCount()), m.GetHistogram().GetSampleSum()
			}
		}
	}
	return values
}

func (r *rig) measures(want map[string]float64) {
	r.t.Helper()
	got := r.measured()
	for name, v := range want {
		if got[name] != v {
			r.t.Errorf("%s is %v, want %v", name, got[name], v)
		}
	}
}

// Each thing that can become of a notification is counted, by target, and what the
// store keeps is shown with its age. No secret is in it.
func TestMetrics(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", ", tries: 2")+hook("b", "")+"rules:\n  r: {"+all+", limit: 3, targets: [a]}\n  s: {"+all+", late_after: 1h, targets: [b]}\n", func(r *rig) {
		stop := r.start()
		r.to.answers(func(w http.ResponseWriter, q *http.Request) bool {
			switch {
			case q.Host == "b.example" && isEvent(q, 2):
				w.WriteHeader(http.StatusGone)
			case q.Host == "b.example" && isEvent(q, 3) && len(r.to.requests("b.example")) < 3:
				return busy(w, "20")
			default:
				return false
			}
			return true
		})
		r.put("1", "2", "3", "4")
		r.until("all are told to a", func() bool { return strings.Contains(r.to.taken(t, "a.example"), "4 created") })
		r.until("all are told to b", func() bool { return strings.Contains(r.to.taken(t, "b.example"), "4 created") })
		r.to.answers(with(500))
		r.put("5")
		r.until("a is down", func() bool { return strings.Contains(r.subjects(), "waiting.a.r 1") })
		began := time.Now()
		late := r.next("late")
		late.Time = late.Time.Add(-2 * time.Hour)
		r.publish(late)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		r.measures(map[string]float64{
			"notifications_sent_total a": 4, "notifications_held_total a": 1, "notifications_dead_total a": 0, "events_late_total a": 1,
			"notifications_sent_total b": 3, "notifications_held_total b": 0, "notifications_dead_total b": 1, "requests_throttled_total b": 1, "events_late_total b": 1,
			"target_reading a": 1, "target_condition down a": 1, "target_condition up a": 0,
			"stored_notifications waiting a": 1, "stored_notifications dead b": 1, "stored_notifications held a": 0, "stored_notifications waiting _removed": 0,
			"delivery_seconds a count": 4, "delivery_seconds b count": 3, "name_info notify": 1,
		})
		got := r.measured()
		if age := got["oldest_stored_seconds waiting a"]; age < time.Since(began).Seconds()-1 || got["requests_failed_total a"] < 2 {
			t.Errorf("the oldest is %v old; failed: %v", age, got["requests_failed_total a"])
		}
		if sum := got["delivery_seconds b sum"]; sum < 20 || sum > 60 {
			t.Errorf("it took %v in all", sum)
		}
		for name := range got {
			if strings.Contains(name, "hush") || strings.Contains(name, "example") {
				t.Errorf("a URL is in %s", name)
			}
		}
		stop()
	})
}

// Readiness is about NATS, the position of each target, and targets, in words.
func TestReadiness(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", ", tries: 1")+hook("b", ", tries: 1")+"rules:\n  r: {"+all+", targets: [a, b]}\n", func(r *rig) {
		says := func(reasons, warnings string) {
			t.Helper()
			synctest.Wait()
			why, look := r.daemon.status.readiness()
			if strings.Join(why, "; ") != reasons || strings.Join(look, "; ") != warnings {
				t.Errorf("reasons %q, warnings %q; want %q, %q", why, look, reasons, warnings)
			}
		}
		stop := r.start()
		time.Sleep(5 * time.Second)
		says("", "")
		r.to.answers(func(w http.ResponseWriter, q *http.Request) bool { return q.Host == "a.example" && with(500)(w, q) })
		r.put("x")
		time.Sleep(5 * time.Second)
		says("", "target a is down")
		r.to.answers(with(500))
		r.put("y")
		time.Sleep(5 * time.Second)
		says("all targets are down", "target a is down; target b is down")
		r.to.answers(nil)
		r.until("both are up", func() bool { _, look := r.daemon.status.readiness(); return len(look) == 0 })
		r.srv.Down()
		time.Sleep(time.Minute)
		if why, _ := r.daemon.status.readiness(); len(why) != 1 || !strings.HasPrefix(why[0], "NATS is disconnected: ") {
			t.Errorf("without NATS: %q", why)
		}
		r.srv.Up()
		r.until("it is ready again", func() bool { why, _ := r.daemon.status.readiness(); return len(why) == 0 })
		time.Sleep(time.Minute) // until it has asked for events again, which shows that it is there
		first := r.daemon
		stopSecond := r.start()
		time.Sleep(time.Minute)
		says("", "target a: another roomnotify sends to it, this one stands by; target b: another roomnotify sends to it, this one stands by")
		if got := r.measured()["target_reading a"]; got != 0 {
			t.Errorf("the one that stands by reads: %v", got)
		}
		stopSecond()
		r.daemon = first
		if err := r.js.DeleteStream(r.t.Context(), "LIVE"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if why, _ := r.daemon.status.readiness(); len(why) != 1 || !strings.HasPrefix(why[0], "stream LIVE cannot be used: ") {
			t.Errorf("without the stream: %q", why)
		}
		stop()
	})
}

// The daemon answers probes while NATS is away, and metrics only with the token.
func TestProbes(t *testing.T) {
	b := newBench(t, benchRules)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("hush-hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.run("check") // sets the variables
	l, err := serve.Settings{Addr: "127.0.0.1:0"}.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NATS_URL", "nats://127.0.0.1:1")
	t.Setenv("ROOMNOTIFY_HTTP_ADDR", addr)
	t.Setenv("ROOMNOTIFY_HTTP_TOKEN_FILE", token)
	ended := make(chan int, 1)
	var out strings.Builder
	ctx, stop := context.WithCancel(t.Context())
	go func() { ended <- run(ctx, []string{"run"}, io.Discard, &out) }()
	get := func(path, token string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0, err.Error()
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		return resp.StatusCode, string(body)
	}
	waitFor(t, "an answer", func() bool { status, _ := get("/healthz", ""); return status == 200 })
	for _, tt := range []struct {
		path, token, want string
		status            int
	}{
		{"/readyz", "", `{"ready":false}`, 503},
		{"/readyz", "hush-hush", "no events are read: ", 503},
		{"/metrics", "", "ROOMNOTIFY_HTTP_TOKEN", 401},
		{"/metrics", "hush-hush", "go_goroutines", 200},
		{"/x", "hush-hush", "there are /healthz, /readyz and /metrics", 404},
	} {
		if status, body := get(tt.path, tt.token); status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s with token %q: %d %s", tt.path, tt.token, status, body)
		}
	}
	var second strings.Builder
	if status := run(t.Context(), []string{"run"}, io.Discard, &second); status != 1 || !strings.Contains(second.String(), "set ROOMNOTIFY_HTTP_ADDR to a free address, or to off") {
		t.Errorf("a second one: %d %s", status, &second)
	}
	stop()
	if status := <-ended; status != 0 {
		t.Errorf("status %d: %s", status, &out)
	}
}
