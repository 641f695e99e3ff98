package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"roomwatch/cmd/internal/serve"
	"roomwatch/cmd/roomaudit/trail"
)

// listen opens the address of the probes; nil if there is none.
func (c *config) listen(ctx context.Context) (net.Listener, error) {
	if c.HTTPAddr == "off" {
		return nil, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", c.HTTPAddr)
	if err != nil {
		return nil, fmt.Errorf("serve http: %w; set ROOMAUDIT_HTTP_ADDR to a free address, or to off", err)
	}
	return l, nil
}

// server answers probes, and who may read with the metrics.
func (c *config) server(w *trail.Writer, s *status, log *slog.Logger) (serve.Server, error) {
	access, err := c.http().Access(log)
	if err != nil {
		return serve.Server{}, fmt.Errorf("%w: %w", errConfig, err)
	}
	metrics := prometheus.NewRegistry()
	metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), newMetrics(c.Dir, w, s))
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", serve.Healthz)
	mux.HandleFunc("/readyz", access.Readyz(s.readiness))
	mux.Handle("/metrics", access.Guard(promhttp.HandlerFor(metrics, promhttp.HandlerOpts{})))
	mux.Handle("/", access.Guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serve.Refuse(w, http.StatusNotFound, "there is no %.200q here; there are /healthz, /readyz and /metrics", r.URL.Path)
	})))
	return serve.Server{Handler: serve.ReadOnly(mux), Log: log}, nil
}
