package publisher

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"roomwatch/diff"
)

type metrics struct {
	events   *prometheus.CounterVec
	batches  *prometheus.CounterVec
	duration prometheus.Histogram
	lag      prometheus.Histogram
	rebuilds prometheus.Counter
	claims   prometheus.Counter
	madeAnew prometheus.Counter

	takeovers *prometheus.CounterVec
}

// Values of the label of takeovers_total.
const (
	sameHost    = "same_host"
	anotherHost = "another_host"
)

// watch registers the gauges that are read where they are kept.
func (p *Publisher) watch(r prometheus.Registerer) {
	gauge := func(name, help string, on func() bool) {
		promauto.With(r).NewGaugeFunc(prometheus.GaugeOpts{Namespace: "roomwatch", Subsystem: "publisher", Name: name, Help: help}, func() float64 {
			if on() {
				return 1
			}
			return 0
		})
	}
	gauge("connected", "1 while the connection to NATS is up. 0: check that NATS runs and can be reached; events wait on disk.", func() bool { return p.conn.IsConnected() })
	gauge("failing", "1 while events cannot be stored although NATS may be there. The log and /readyz say why.", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.status.LastError != nil
	})
	promauto.With(r).NewGaugeFunc(prometheus.GaugeOpts{Namespace: "roomwatch", Subsystem: "publisher", Name: "behind_messages",
		Help: "Of a standby: messages of the stream that it has still to read. 0 for the writer."}, func() float64 {
		p.mu.Lock()
		defer p.mu.Unlock()
		return float64(p.status.Following.Behind)
	})
}

func newMetrics(r prometheus.Registerer) *metrics {
	f := promauto.With(r)
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: "roomwatch", Subsystem: "publisher", Name: name, Help: help}
	}
	histogram := func(name, help string, buckets []float64) prometheus.HistogramOpts {
		return prometheus.HistogramOpts{Namespace: "roomwatch", Subsystem: "publisher", Name: name, Help: help, Buckets: buckets}
	}
	m := &metrics{
		events:  f.NewCounterVec(counter("events_total", "Events that the stream has acknowledged."), []string{"type"}),
		batches: f.NewCounterVec(counter("batches_total", "Publishes by outcome. refused: the stream says no, see the log. unknown: connection or server in trouble. fenced: a second writer, or a claim that the stream has let go with its oldest messages."), []string{"outcome"}),
		duration: f.NewHistogram(histogram("publish_duration_seconds", "Time until a publish was acknowledged or given up. High values: NATS or its disk is slow.",
			prometheus.ExponentialBuckets(0.0005, 2, 15))),
		lag: f.NewHistogram(histogram("detection_lag_seconds", "From the arrival of the page that shows a change to the stream's acknowledgement of its event. High values: news is late; look at commit and publish durations.",
			[]float64{0.001, 0.002, 0.003, 0.004, 0.005, 0.006, 0.008, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60})),
		rebuilds: f.NewCounter(counter("rebuilds_total", "Times that the stream knew more than the state. More than one after a restore: someone changes the stream.")),
		madeAnew: f.NewCounter(counter("streams_recreated_total", "Times that the stream was found to be a new one, without the events that the one before it had. Each: who removed it, and is there a backup?")),
		claims:   f.NewCounter(counter("claims_total", "Claims to be the writer: one at the start and one for each connection after it, one after each outcome that was unknown, and one when the newest is half as old as the stream keeps messages.")),
		takeovers: f.NewCounterVec(counter("takeovers_total", "Claims that took over from another process. One after a restart; "+
			"from another_host at every start, though nobody moved roomwatch: two run for one application and drive each other out."), []string{"from"}),
	}
	for _, from := range []string{sameHost, anotherHost} {
		m.takeovers.WithLabelValues(from)
	}
	for _, t := range diff.Types() {
		m.events.WithLabelValues(string(t)) // 0, not absent: a rate sees the first one too
	}
	for _, o := range []outcome{stored, refused, fenced, unknown} {
		m.batches.WithLabelValues(string(o))
	}
	return m
}

// tookOver notes that a claim replaced one of another process.
func (m *metrics) tookOver(theirs, ours string) {
	from := anotherHost
	if theirs == ours {
		from = sameHost
	}
	m.takeovers.WithLabelValues(from).Inc()
}

func (m *metrics) batch(o outcome, took time.Duration) {
	m.batches.WithLabelValues(string(o)).Inc()
	m.duration.Observe(took.Seconds())
}

func (m *metrics) stored(events []diff.Event) {
	for _, e := range events {
		m.events.WithLabelValues(string(e.Type)).Inc()
		m.lag.Observe(max(0, time.Since(e.Time).Seconds())) // a clock that was set back says nothing of it
	}
}
