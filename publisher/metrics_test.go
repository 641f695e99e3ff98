package publisher

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"roomwatch/publisher/natsconn"
)

// dialed is a connection to a server of its own.
func dialed(t *testing.T) *natsconn.Conn {
	t.Helper()
	conn, err := natsconn.Dial(t.Context(), natsconn.Config{URL: serve(t, nil).ClientURL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

func TestMetricsLint(t *testing.T) {
	registry := prometheus.NewRegistry()
	conn := dialed(t)
	p, err := New(Config{Conn: conn, Outbox: newBox("E1"), Stream: live, SDKAppID: app, Metrics: registry})
	if err != nil {
		t.Fatal(err)
	}
	m := p.metrics
	m.tookOver("a", "b")
	m.batch(stored, time.Second)
	m.stored(wind("E1", 0, 1).events)
	problems, err := testutil.GatherAndLint(registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// Who drove whom out is in the metrics: two that run on two hosts for one
// application look different from a restart.
func TestTakeoversAreCounted(t *testing.T) {
	for from, host := range map[string]string{sameHost: "", anotherHost: "elsewhere"} {
		conn := dialed(t)
		registry := prometheus.NewRegistry()
		run := func(host string, r prometheus.Registerer) {
			p, err := New(Config{Conn: conn, Outbox: newBox("E1"), Stream: live, SDKAppID: app, Metrics: r})
			if err != nil {
				t.Fatal(err)
			}
			if host != "" {
				p.me.Host = host
			}
			ctx, stop := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- p.Run(ctx, 0) }()
			<-p.Recovered()
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		run(host, nil)
		run("", registry)
		want := `
# HELP roomwatch_publisher_connected 1 while the connection to NATS is up. 0: check that NATS runs and can be reached; events wait on disk.
# TYPE roomwatch_publisher_connected gauge
roomwatch_publisher_connected 1
# HELP roomwatch_publisher_failing 1 while events cannot be stored although NATS may be there. The log and /readyz say why.
# TYPE roomwatch_publisher_failing gauge
roomwatch_publisher_failing 0
# HELP roomwatch_publisher_takeovers_total Claims that took over from another process. One after a restart; from another_host at every start, though nobody moved roomwatch: two run for one application and drive each other out.
# TYPE roomwatch_publisher_takeovers_total counter
`
		for _, f := range []string{anotherHost, sameHost} {
			n := 0
			if f == from {
				n = 1
			}
			want += fmt.Sprintf("roomwatch_publisher_takeovers_total{from=%q} %d\n", f, n)
		}
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want),
			"roomwatch_publisher_connected", "roomwatch_publisher_failing", "roomwatch_publisher_takeovers_total"); err != nil {
			t.Errorf("after a claim of %s: %v", from, err)
		}
	}
}
