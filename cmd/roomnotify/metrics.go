package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// A metrics counts what becomes of notifications. Its labels are names of targets,
// which are bounded and no secrets.
type metrics struct {
	registry                                             *prometheus.Registry
	sent, failed, throttled, held, dead, skipped, missed *prometheus.CounterVec
	delivery                                             *prometheus.HistogramVec
	accepted, loadedAt                                   prometheus.Gauge
}

func newMetrics(s *status) *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	count := func(name, help string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "roomnotify_" + name, Help: help}, []string{"target"})
		m.registry.MustRegister(v)
		return v
	}
	m.sent = count("notifications_sent_total", "Notifications and digests that the target accepted.")
	m.failed = count("requests_failed_total", "Requests that failed and are retried, because the target did not answer or had a problem of its own.")
	m.throttled = count("requests_throttled_total", "Requests that the target answered with having too many; they are retried when it asked for.")
	m.held = count("notifications_held_total", "Notifications that a limit or quiet hours hold back for a digest.")
	m.dead = count("notifications_dead_total", "Notifications that became dead letters: the target refuses them, or they failed while others were accepted.")
	m.skipped = count("events_late_total", "Events that were skipped because they were late.")
	m.missed = count("recipients_refused_total", "Recipients that an e-mail did not go to, because the mail server refused them while it accepted others.")
	m.delivery = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "roomnotify_delivery_seconds", Help: "Time from an event to the acceptance of its notification by the target, without digests.",
		Buckets: []float64{0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 6 * 3600},
	}, []string{"target"})
	m.accepted = prometheus.NewGauge(prometheus.GaugeOpts{Name: "roomnotify_rules_accepted", Help: "1 if the newest rule file is in force; 0 if it has a mistake, and the one before is."})
	m.loadedAt = prometheus.NewGauge(prometheus.GaugeOpts{Name: "roomnotify_rules_loaded_timestamp_seconds", Help: "When the rules that are in force were read."})
	m.loaded(nil)
	m.registry.MustRegister(m.accepted, m.loadedAt, m.delivery, s, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// nameInfo says which installation answers a scrape, so that one that has taken the place
// of another is known.
func nameInfo(name string) prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "roomnotify_name_info", Help: "1; the label is ROOMNOTIFY_NAME. Of several of one name one is active.",
		ConstLabels: prometheus.Labels{"name": name},
	})
	g.Set(1)
	return g
}

// loaded notes that the rule file was read, or why it cannot be used.
func (m *metrics) loaded(err error) {
	m.accepted.Set(oneIf(err == nil))
	if err == nil {
		m.loadedAt.SetToCurrentTime()
	}
}

// A tally is what is counted of one target.
type tally struct {
	sent, failed, throttled, held, dead, skipped prometheus.Counter
	delivery                                     prometheus.Observer
}

// of returns the counters of a target, which are 0 and not absent from now on.
func (m *metrics) of(target string) tally {
	m.missed.WithLabelValues(target)
	return tally{
		sent: m.sent.WithLabelValues(target), failed: m.failed.WithLabelValues(target), throttled: m.throttled.WithLabelValues(target),
		held: m.held.WithLabelValues(target), dead: m.dead.WithLabelValues(target), skipped: m.skipped.WithLabelValues(target),
		delivery: m.delivery.WithLabelValues(target),
	}
}

// What the status shows as metrics.
var (
	describeReading   = prometheus.NewDesc("roomnotify_target_reading", "1 if this process reads the events for the target; 0 if another one does, or none can.", []string{"target"}, nil)
	describeCondition = prometheus.NewDesc("roomnotify_target_condition", "1 for the condition of the target: up, throttled, refusing or down.", []string{"target", "condition"}, nil)
	describeStored    = prometheus.NewDesc("roomnotify_stored_notifications", "Notifications on roomnotify's stream: held, waiting or dead. The target _removed stands for those that are in no rule.", []string{"target", "state"}, nil)
	describeOldest    = prometheus.NewDesc("roomnotify_oldest_stored_seconds", "Age of the oldest of them; 0 if there is none.", []string{"target", "state"}, nil)
)

// Describe implements [prometheus.Collector].
func (s *status) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{describeReading, describeCondition, describeStored, describeOldest} {
		to <- d
	}
}

// Collect implements [prometheus.Collector].
func (s *status) Collect(to chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for name, t := range s.targets {
		gauge(describeReading, oneIf(t.reading), name)
		is := t.condition()
		for _, c := range []condition{up, throttled, refusing, down} {
			gauge(describeCondition, oneIf(is == c), name, string(c))
		}
	}
	for key, k := range s.stored {
		age := 0.0
		if !k.oldest.IsZero() {
			age = max(0, time.Since(k.oldest).Seconds())
		}
		gauge(describeStored, float64(k.count), key.target, key.part)
		gauge(describeOldest, age, key.target, key.part)
	}
}

func oneIf(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
