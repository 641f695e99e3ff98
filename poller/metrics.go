package poller

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

const (
	namespace = "roomwatch"
	subsystem = "poller"
)

// outcomes are the values of the label of requests_total.
var outcomes = [...]string{"ok", "retry", "throttle", "resign", "fatal", "bug", "transport"}

// metrics are the numbers by which an operator judges the source.
type metrics struct {
	requests     *prometheus.CounterVec
	requestTime  prometheus.Histogram
	sweeps       *prometheus.CounterVec
	sweepTime    prometheus.Histogram
	pages        prometheus.Counter
	duplicates   prometheus.Counter
	unusableRows prometheus.Counter
	lastEnd      prometheus.Gauge
	lastTime     prometheus.Gauge
	state        []prometheus.Collector
}

func newMetrics(state []prometheus.Collector) *metrics {
	counter := func(name, help string) prometheus.CounterOpts {
		return prometheus.CounterOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help})
	}
	m := &metrics{
		state: state,
		requests: prometheus.NewCounterVec(counter("requests_total",
			"Requests to get_room_list by outcome; every try counts. Anything but ok is trouble: transport is the network or an answer that is not the API's, "+
				"throttle means that the quota is used by others too, fatal needs someone to fix the configuration."), []string{"outcome"}),
		requestTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "request_duration_seconds",
			Help:    "Time from sending a request to the end of its answer. Above 0.05 it slows the sweeps down; near the request time-out, requests fail.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
		sweeps: prometheus.NewCounterVec(counter("sweeps_total",
			"Sweeps of the list by outcome. While none is complete, no end of a room is reported."), []string{"outcome"}),
		sweepTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "sweep_duration_seconds",
			Help:    "Time that complete sweeps took. Above the configured interval, it is the interval.",
			Buckets: []float64{.25, .5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000},
		}),
		pages: prometheus.NewCounter(counter("pages_total",
			"Pages of the list that were read. None for a while: no sweep goes on, or none gets through.")),
		duplicates: prometheus.NewCounter(counter("duplicate_rows_total",
			"Rows that showed a room which the same sweep had shown before. Many of them mean that the list shifts while it is read, so rooms are missed too.")),
		unusableRows: prometheus.NewCounter(counter("unusable_rows_total",
			"Rows that could not be read. Any of them keeps its sweep from being complete, so ends of rooms wait.")),
		lastEnd: gauge("last_complete_sweep_timestamp_seconds",
			"When the newest complete sweep of this process ended; 0 before the first. Long ago: the service does not answer, see the outcomes of the requests."),
		lastTime: gauge("last_complete_sweep_duration_seconds",
			"Time that the newest complete sweep of this process took; 0 before the first."),
	}
	for _, o := range outcomes {
		m.requests.WithLabelValues(o)
	}
	for _, v := range [...]string{sweepComplete, sweepFailed} {
		m.sweeps.WithLabelValues(v)
	}
	return m
}

// register registers all of them, or returns every reason why not.
func (m *metrics) register(r prometheus.Registerer) error {
	var errs []error
	for _, c := range append([]prometheus.Collector{
		m.requests, m.requestTime, m.sweeps, m.sweepTime, m.pages, m.duplicates, m.unusableRows, m.lastEnd, m.lastTime,
	}, m.state...) {
		if err := r.Register(c); err != nil {
			errs = append(errs, fmt.Errorf("register metric: %w", err))
		}
	}
	return errors.Join(errs...)
}

func (m *metrics) request(outcome string, took time.Duration) {
	m.requests.WithLabelValues(outcome).Inc()
	m.requestTime.Observe(took.Seconds())
}

const (
	sweepComplete = "complete"
	sweepFailed   = "failed"
)

func (m *metrics) sweep(r Report, err error) {
	m.duplicates.Add(float64(r.Duplicates))
	m.unusableRows.Add(float64(r.UnusableRows))
	if err != nil {
		m.sweeps.WithLabelValues(sweepFailed).Inc()
		return
	}
	m.sweeps.WithLabelValues(sweepComplete).Inc()
	took := r.End.Sub(r.Begin).Seconds()
	m.sweepTime.Observe(took)
	m.lastTime.Set(took)
	m.lastEnd.Set(float64(r.End.UnixMilli()) / 1000)
}
