package lease

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// How a renewal ends, as metrics show it.
const (
	renewalOK     = "ok"
	renewalFailed = "failed"
)

type metrics struct {
	renewals *prometheus.CounterVec
	tenures  prometheus.Counter
	lost     prometheus.Counter
	quarrels prometheus.Counter
}

// RegisterNone registers the metrics of a process that has no lease: all are 0, so that a
// panel or an alert need not tell it from one that has.
func RegisterNone(r prometheus.Registerer) { newMetrics(r, &Lease{}) }

func newMetrics(r prometheus.Registerer, l *Lease) *metrics {
	f := promauto.With(r)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Namespace: "roomwatch", Subsystem: "lease", Name: name, Help: help})
	}
	gauge := func(name, help string, value func(Status) float64) {
		f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "roomwatch", Subsystem: "lease", Name: name, Help: help}, func() float64 { return value(l.Status()) })
	}
	gauge("held", "1 while this process holds the lease.", func(s Status) float64 { return one(s.Held) })
	gauge("term", "Term of the lease, as this process has seen it last.", func(s Status) float64 { return float64(s.Term) })
	gauge("since_timestamp_seconds", "When this process began to hold the lease, or to stand by, in seconds since 1970. 0: it does neither.", func(s Status) float64 {
		if !s.Held && !s.Standing {
			return 0
		}
		return float64(s.Since.UnixMilli()) / 1000
	})
	gauge("standbys", "Other processes that stand by, as the holder of the lease knows them.", func(s Status) float64 { return float64(len(s.Standbys)) })
	gauge("failing", "1 while the bucket of the lease cannot be used although NATS is there.", func(s Status) float64 { return one(s.Error != nil) })
	m := &metrics{
		renewals: f.NewCounterVec(prometheus.CounterOpts{Namespace: "roomwatch", Subsystem: "lease", Name: "renewals_total",
			Help: "Tries to renew the lease, by whether they were answered with success."}, []string{"outcome"}),
		tenures:  counter("taken_total", "Times that this process took the lease."),
		lost:     counter("lost_total", "Times that this process found the lease with another one."),
		quarrels: counter("reclaims_total", "Times that this process claimed again because a roomwatch without the lease had claimed."),
	}
	for _, outcome := range []string{renewalOK, renewalFailed} {
		m.renewals.WithLabelValues(outcome) // 0, not absent: a rate sees the first one too
	}
	return m
}

func (m *metrics) renewal(err error) {
	outcome := renewalOK
	if err != nil {
		outcome = renewalFailed
	}
	m.renewals.WithLabelValues(outcome).Inc()
}

func one(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
