package state

import (
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"roomwatch/diff"
)

// ageBuckets are the upper bounds of the ages of news that are counted together, in
// seconds. Older news is counted in one more.
var ageBuckets = [...]float64{0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 15, 20, 30, 45, 60, 120, 300, 600}

// newsMinutes is how far back [News] goes.
const newsMinutes = 60

// News says how old the news of the last hour was when it was seen: see [diff.Event.Age].
type News struct{ Created, Ended NewsAge }

// A NewsAge says how old the news of one kind was. Its times are as exact as the
// buckets of the metric, and at most ten minutes.
type NewsAge struct {
	Events      uint64        // of the last hour
	Median, P95 time.Duration // half of them and 95 of 100 were not older; 0 if there were none
}

// A newsMeter measures the age of news: all of it for the metric, and that of the last
// hour in some kilobytes. The lock of the store guards it.
type newsMeter struct {
	ages           *prometheus.HistogramVec
	created, ended lastHour
}

func newNewsMeter(r prometheus.Registerer) newsMeter {
	m := newsMeter{ages: promauto.With(r).NewHistogramVec(prometheus.HistogramOpts{
		Namespace: "roomwatch", Subsystem: "state", Name: "news_age_seconds",
		Help: "How old news was when it was seen: of created rooms since their CreateTime, which is in whole seconds, of ended ones " +
			"since they were last seen. High values: a long list, a low quota, or point reads get no answer.",
		Buckets: ageBuckets[:],
	}, []string{"type"})}
	for _, t := range [...]diff.Type{diff.RoomCreated, diff.RoomEnded} {
		m.ages.WithLabelValues(string(t))
	}
	return m
}

// add takes committed events.
func (m *newsMeter) add(events []diff.Event, now time.Time) {
	for _, e := range events {
		age, ok := e.Age()
		if !ok {
			continue
		}
		m.ages.WithLabelValues(string(e.Type)).Observe(age.Seconds())
		if e.Type == diff.RoomCreated {
			m.created.add(age, now)
		} else {
			m.ended.add(age, now)
		}
	}
}

func (m *newsMeter) news(now time.Time) News {
	return News{Created: m.created.age(now), Ended: m.ended.age(now)}
}

// ageCounts counts ages by bucket; the last one has those that are older than all bounds.
type ageCounts [len(ageBuckets) + 1]uint64

// lastHour counts the ages of each of the last sixty minutes.
type lastHour [newsMinutes]struct {
	minute int64 // since 1970; counts of another one are over
	counts ageCounts
}

func (h *lastHour) add(age time.Duration, now time.Time) {
	minute := now.Unix() / 60
	m := &h[minute%newsMinutes]
	if m.minute != minute {
		m.minute, m.counts = minute, ageCounts{}
	}
	bucket, _ := slices.BinarySearch(ageBuckets[:], age.Seconds())
	m.counts[bucket]++
}

func (h *lastHour) age(now time.Time) NewsAge {
	var a NewsAge
	var sum ageCounts
	for _, m := range h {
		if back := now.Unix()/60 - m.minute; back < 0 || back >= newsMinutes {
			continue
		}
		for i, n := range m.counts {
			sum[i] += n
			a.Events += n
		}
	}
	if a.Events > 0 {
		a.Median, a.P95 = sum.quantile(0.5, a.Events), sum.quantile(0.95, a.Events)
	}
	return a
}

// quantile returns the age that a share of all n is not above, as if the ages in a
// bucket were spread evenly.
func (c *ageCounts) quantile(share float64, n uint64) time.Duration {
	rest, from := share*float64(n), 0.0
	for i, to := range ageBuckets {
		if in := float64(c[i]); rest <= in && in > 0 {
			return time.Duration((from + (to-from)*rest/in) * float64(time.Second))
		}
		rest, from = rest-float64(c[i]), to
	}
	return time.Duration(from * float64(time.Second))
}
