package daemon

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"roomwatch/cmd/internal/program"
)

// infoMetrics say who answers a scrape: a join gives its labels to any other metric.
func infoMetrics(app int) []prometheus.Collector {
	b := program.ThisBuild()
	info := func(name, help string, labels prometheus.Labels) prometheus.Collector {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "roomwatch", Name: name, Help: help, ConstLabels: labels})
		g.Set(1)
		return g
	}
	return []prometheus.Collector{
		info("build_info", "1; the labels say which program this is.",
			prometheus.Labels{"version": b.Version, "commit": b.Commit, "go_version": b.Go}),
		info("application_info", "1; the label says which application is watched. Two processes with one application drive each other out.",
			prometheus.Labels{"sdkappid": strconv.Itoa(app)}),
	}
}
