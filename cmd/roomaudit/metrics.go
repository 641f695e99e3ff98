package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"roomwatch/cmd/roomaudit/trail"
)

// A metrics reads the state of a trail when it is asked for.
type metrics struct {
	trail *trail.Writer
	all   []metric
}

// A metric is one value.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(trail.State) float64
}

func newMetrics(dir string, w *trail.Writer, s *status) *metrics {
	m := &metrics{trail: w}
	add := func(name, help string, kind prometheus.ValueType, value func(trail.State) float64) {
		m.all = append(m.all, metric{prometheus.NewDesc("roomaudit_"+name, help, nil, nil), kind, value})
	}
	gauge, counter := prometheus.GaugeValue, prometheus.CounterValue
	add("recording", "1 if events are recorded; 0 if NATS or the disk does not let them.", gauge, func(trail.State) float64 {
		reasons, _ := s.readiness()
		return number(len(reasons) == 0)
	})
	add("upkeep_failing", "Duties besides recording that cannot be done at present: seals, removals, copies.", gauge, func(trail.State) float64 {
		_, warnings := s.readiness()
		return float64(len(warnings))
	})
	add("lines", "Lines of the trail, including those of files that were moved away or removed.", gauge, func(s trail.State) float64 { return float64(s.Line) })
	add("stream_sequence", "The last message of the stream that is on record.", gauge, func(s trail.State) float64 { return float64(s.Position.Last) })
	add("lag_messages", "Messages that the stream had and the trail did not, when the stream was last asked.", gauge, func(trail.State) float64 { return float64(s.lag()) })
	add("messages_recorded_total", "Messages that this process has put on record.", counter, func(s trail.State) float64 { return float64(s.Messages) })
	add("gaps_total", "Gaps that this process has put on record: the stream no longer had the messages.", counter, func(s trail.State) float64 { return float64(s.Gaps) })
	add("seals_total", "Files that this process has sealed.", counter, func(s trail.State) float64 { return float64(s.Seals) })
	add("last_sync_timestamp_seconds", "When lines were last written to the disk; 0: not since the start.", gauge, func(s trail.State) float64 { return seconds(s.Synced) })
	add("newest_message_timestamp_seconds", "When the newest message on record was stored by the stream.", gauge, func(s trail.State) float64 { return seconds(s.Newest.Stored) })
	add("newest_file", "The number of the newest file.", gauge, func(s trail.State) float64 { return float64(s.Number) })
	add("copied_file", "The number of the newest file that ROOMAUDIT_SEALED_COMMAND has taken.", gauge, func(s trail.State) float64 { return float64(s.Copied) })
	if _, ok := diskFree(dir); ok {
		add("disk_free_bytes", "Bytes that the disk of ROOMAUDIT_DIR can take; when it is full, nothing is recorded.", gauge, func(trail.State) float64 {
			free, _ := diskFree(dir)
			return float64(free)
		})
	}
	return m
}

// Describe implements [prometheus.Collector].
func (m *metrics) Describe(to chan<- *prometheus.Desc) {
	for _, one := range m.all {
		to <- one.desc
	}
}

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(to chan<- prometheus.Metric) {
	state := m.trail.State()
	for _, one := range m.all {
		to <- prometheus.MustNewConstMetric(one.desc, one.kind, one.value(state))
	}
}

func number(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1e3
}
