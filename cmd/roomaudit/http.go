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
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newMetrics(c.Dir, w, s))
	server, err := c.http().Probes(metrics, s.readiness, log)
	if err != nil {
		return server, fmt.Errorf("%w: %w", errConfig, err)
	}
	return server, nil
}
