package poller

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// probeMetrics are the numbers by which an operator judges probes.
type probeMetrics struct {
	probes *prometheus.CounterVec
	rooms  prometheus.Counter
	places prometheus.GaugeFunc
}

func newProbeMetrics(p *places) *probeMetrics {
	m := &probeMetrics{
		probes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "probes_total",
			Help: "Probes of the list by yield. Nearly all with nothing or stale: the service's cursors do not serve for probes, and few are made.",
		}, []string{"outcome"}),
		rooms: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "probed_rooms_total",
			Help: "Rooms that nobody knew and that a probe has shown first.",
		}),
		places: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "probe_places",
			Help: "Places of the newest complete sweep, which probes read again; 0 before it.",
		}, func() float64 { return float64(p.len()) }),
	}
	for _, o := range [...]string{probeNews, probeNothing, probeStale, probeFailed} {
		m.probes.WithLabelValues(o)
	}
	return m
}

func (m *probeMetrics) probe(unknown int, err error) {
	outcome := probeNothing
	switch e, _ := errors.AsType[*APIError](err); {
	case e != nil && e.Code == codeBadParameter:
		outcome = probeStale
	case err != nil:
		outcome = probeFailed
	case unknown > 0:
		outcome = probeNews
	}
	m.probes.WithLabelValues(outcome).Inc()
	m.rooms.Add(float64(unknown))
}

// register registers all of them, or returns every reason why not.
func (m *probeMetrics) register(r prometheus.Registerer) error {
	var errs []error
	for _, c := range []prometheus.Collector{m.probes, m.rooms, m.places} {
		if err := r.Register(c); err != nil {
			errs = append(errs, fmt.Errorf("register metric: %w", err))
		}
	}
	return errors.Join(errs...)
}
