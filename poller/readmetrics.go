package poller

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"roomwatch/diff"
)

// readMetrics are the numbers by which an operator judges point reads.
type readMetrics struct {
	reads     *prometheus.CounterVec
	proposals *prometheus.CounterVec
	state     []prometheus.Collector
}

func newReadMetrics(r *Reader) *readMetrics {
	m := &readMetrics{
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "point_reads_total",
			Help: "Point reads (get_room_info) by outcome. Many with no_answer: ends of rooms are reported later.",
		}, []string{"outcome"}),
		proposals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "proposals_total",
			Help: "Rooms that were proposed for a point read, by source and by what became of the proposal. Many dropped: raise ROOMWATCH_POINT_READS_PER_SECOND.",
		}, []string{"source", "outcome"}),
	}
	gauge := func(name, help string, value func() float64) {
		m.state = append(m.state, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, value))
	}
	gauge("proposals_waiting", "Rooms that wait for a point read.", func() float64 { return float64(r.queue.len()) })
	gauge("point_reads_refused", "1 while the service refuses point reads, so that sweeps alone decide: see the log.", func() float64 {
		if r.refusedSince().Err != nil {
			return 1
		}
		return 0
	})
	for o := diff.NoAnswer; o <= diff.Gone; o++ {
		m.reads.WithLabelValues(o.String())
	}
	for _, s := range diff.Sources() {
		for _, f := range [...]string{outcomeRead, outcomeJoined, outcomeDropped, outcomeRefused} {
			m.proposals.WithLabelValues(s.String(), f)
		}
	}
	return m
}

func (m *readMetrics) read(o diff.Outcome) { m.reads.WithLabelValues(o.String()).Inc() }

func (m *readMetrics) proposal(s diff.Source, outcome string) {
	m.proposals.WithLabelValues(s.String(), outcome).Inc()
}

// register registers all of them, or returns every reason why not.
func (m *readMetrics) register(r prometheus.Registerer) error {
	var errs []error
	for _, c := range append([]prometheus.Collector{m.reads, m.proposals}, m.state...) {
		if err := r.Register(c); err != nil {
			errs = append(errs, fmt.Errorf("register metric: %w", err))
		}
	}
	return errors.Join(errs...)
}
