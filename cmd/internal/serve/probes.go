package serve

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Listen opens the address; nil if it is off.
func (s Settings) Listen(ctx context.Context) (net.Listener, error) {
	if s.Addr == "off" {
		return nil, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", s.Addr)
	if err != nil {
		return nil, fmt.Errorf("serve http: %w; set %s to a free address, or to off", err, s.variable("ADDR"))
	}
	return l, nil
}

// Probes returns a server of /healthz, /readyz and, for who may read, /metrics.
func (s Settings) Probes(metrics prometheus.Gatherer, state func() (reasons, warnings []string), log *slog.Logger) (Server, error) {
	access, err := s.Access(log)
	if err != nil {
		return Server{}, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", Healthz)
	mux.HandleFunc("/readyz", access.Readyz(func() (role string, reasons, warnings []string) {
		reasons, warnings = state()
		return "", reasons, warnings
	}))
	mux.Handle("/metrics", access.Protect(promhttp.HandlerFor(metrics, promhttp.HandlerOpts{})))
	mux.Handle("/", access.Protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Refuse(w, http.StatusNotFound, "there is no %.200q here; there are /healthz, /readyz and /metrics", r.URL.Path)
	})))
	return Server{Handler: ReadOnly(mux), Log: log}, nil
}
