package poller

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// gauges are the numbers that are read where they are kept, when somebody asks.
func gauges(interval time.Duration, q *quota, s *Signer, h *health) []prometheus.Collector {
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: namespace, Subsystem: subsystem, Name: name, Help: help}, value)
	}
	return []prometheus.Collector{
		gauge("request_rate_limit",
			"Requests per second that are allowed at present. Below request_rate_configured, the service has throttled.", q.rate),
		gauge("request_rate_configured",
			"Requests per second that the configuration allows.", func() float64 { return q.full }),
		gauge("interval_seconds",
			"Time from the start of one sweep to the start of the next, as configured.", interval.Seconds),
		gauge("configuration_refused",
			"1 while the service refuses the credentials or the application's configuration: someone has to fix it, see the log.",
			func() float64 {
				if h.snapshot().Refused.Err != nil {
					return 1
				}
				return 0
			}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "usersig_expiry_timestamp_seconds",
			Help: "When the UserSig in use ends; NaN if it is not known. One that was made with the key is renewed in time; " +
				"one that was given ready has to be replaced before.",
			ConstLabels: prometheus.Labels{"made": s.origin()},
		}, func() float64 {
			if end := s.expiry(); !end.IsZero() {
				return float64(end.Unix())
			}
			return math.NaN()
		}),
	}
}
