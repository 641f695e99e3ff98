package state

import (
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"roomwatch/diff"
)

type metrics struct {
	commit   prometheus.Histogram
	rebuilds prometheus.Counter
	doubted  prometheus.Gauge
	need     prometheus.Gauge
	missRate prometheus.Gauge
}

func newMetrics(r prometheus.Registerer, s *Store) *metrics {
	f := promauto.With(r)
	gauge := func(name, help string, value func() float64) {
		f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "roomwatch", Subsystem: "state", Name: name, Help: help}, value)
	}
	gauge("rooms", "Rooms known to be live.", func() float64 { return float64(s.counters().Rooms) })
	gauge("rooms_missing", "Known rooms that the newest complete sweeps did not show. Lasting high values: the list shifts a lot, or the service leaves rooms out.",
		func() float64 { return float64(s.counters().Missing) })
	gauge("rooms_hidden", "Rooms known to be live that the list does not show, as point reads show.",
		func() float64 { return float64(s.counters().Hidden) })
	gauge("read_ends_held", "Ends that point reads have proved and that are held back because most rooms would end at once. Above 0: look at what the service answers.",
		func() float64 { return float64(s.Status().Held.Proved) })
	gauge("sweep_recall_ratio", "What share of the live rooms a sweep shows, over the last hundred sweeps or so. Low values: the list shifts while it is read, so ends and counts are later. NaN before the first complete sweep.",
		func() float64 {
			if recall := s.Status().Recall; recall != nil {
				return *recall
			}
			return math.NaN()
		})
	gauge("outbox_events", "Events that the stream is not known to have yet. Growing: look at NATS.", func() float64 {
		_, stored, assigned := s.Position()
		return float64(assigned) - float64(stored)
	})
	gauge("outbox_age_seconds", "Time since the oldest event that the stream is not known to have was seen; 0 if none waits. Growing: look at NATS.", s.outboxAge)
	gauge("clock_ahead_seconds", "How far the time of the next event is ahead of this machine's clock, which was set back; 0 if it is not.", func() float64 {
		return s.Status().Ahead.Seconds()
	})
	gauge("file_removed", "1 if the state file was removed or replaced while it is open. What it holds is lost with the next stop.", func() float64 {
		if s.Status().Removed {
			return 1
		}
		return 0
	})
	gauge("file_bytes", "Size of the state file.", func() float64 { return float64(s.size()) })
	opts := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Namespace: "roomwatch", Subsystem: "state", Name: name, Help: help}
	}
	return &metrics{
		commit: f.NewHistogram(prometheus.HistogramOpts{
			Namespace: "roomwatch", Subsystem: "state", Name: "commit_duration_seconds",
			Help:    "Time of a transaction that wrote something. High values: a slow disk delays every event.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		rebuilds: f.NewCounter(prometheus.CounterOpts{
			Namespace: "roomwatch", Subsystem: "state", Name: "rebuilds_total",
			Help: "Rebuilds of the state from the stream. More than one after a restore: someone changes the stream.",
		}),
		doubted: f.NewGauge(opts("mass_end_guard_active",
			"1 while a sweep that misses most rooms is not believed and nothing ends. Look at what the service answers.")),
		need: f.NewGauge(opts("absent_sweeps_needed",
			"Complete sweeps in a row that must miss a room before it ends. Above the configured minimum: the list shifts while it is read.")),
		missRate: f.NewGauge(opts("miss_rate_ratio",
			"How likely a sweep is to miss a room that is live, measured over the last sweeps.")),
	}
}

// outboxAge returns for how many seconds the oldest event has waited. A scrape
// reads beside the commits and holds none up.
func (s *Store) outboxAge() float64 {
	_, stored, assigned := s.Position()
	if stored >= assigned {
		return 0
	}
	events, err := s.Events(stored, 1)
	if err != nil || len(events) == 0 {
		return 0 // it was stored meanwhile, or the next commit says what is wrong with the file
	}
	return max(0, time.Since(events[0].Time).Seconds())
}

func (m *metrics) judged(v diff.Verdict) {
	m.need.Set(float64(v.Need))
	m.missRate.Set(v.History.MissRate())
	m.doubted.Set(0)
	if v.Doubted {
		m.doubted.Set(1)
	}
}
