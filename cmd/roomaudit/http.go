package main

import (
	"fmt"
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"roomwatch/cmd/internal/serve"
	"roomwatch/cmd/roomaudit/trail"
)

// server answers probes, and who may read with the metrics.
func (c *config) server(w *trail.Writer, s *status, log *slog.Logger) (serve.Server, error) {
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newMetrics(c.Dir, w, s), c.trailInfo())
	server, err := c.http().Probes(metrics, s.readiness, log)
	if err != nil {
		return server, fmt.Errorf("%w: %w", errConfig, err)
	}
	return server, nil
}

// trailInfo says which trail answers a scrape, so that a process that has taken the place of
// another is known.
func (c *config) trailInfo() prometheus.Collector {
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "roomaudit_trail_info", Help: "1; the labels are ROOMWATCH_STREAM and ROOMAUDIT_DURABLE, of which one roomaudit keeps a trail.",
		ConstLabels: prometheus.Labels{"stream": c.Stream, "durable": c.Durable},
	})
	g.Set(1)
	return g
}
