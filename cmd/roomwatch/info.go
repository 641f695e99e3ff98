package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"
)

// Set by the release with -ldflags "-X main.releaseVersion=… -X main.releaseCommit=…",
// never at run time: a build without a checkout beside it knows neither.
var releaseVersion, releaseCommit string

// A build says which program this is.
type build struct {
	version string // such as v1.2.0; "devel" if nobody said
	commit  string // "unknown" if nobody said
	golang  string
}

// thisBuild takes what the release has set and, failing that, what the go
// command recorded.
func thisBuild() build {
	b := build{version: releaseVersion, commit: releaseCommit, golang: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{} // unreachable: built with modules
	}
	if v := info.Main.Version; b.version == "" && v != "(devel)" {
		b.version = v
	}
	recorded := map[string]string{}
	for _, s := range info.Settings {
		recorded[s.Key] = s.Value
	}
	if b.commit == "" {
		b.commit = recorded["vcs.revision"]
		if recorded["vcs.modified"] == "true" {
			b.commit += " with changes"
		}
	}
	if b.version == "" {
		b.version = "devel"
	}
	if b.commit == "" {
		b.commit = "unknown"
	}
	return b
}

// version is what claims and logs call this program.
func version() string { return thisBuild().version }

func (b build) String() string {
	return fmt.Sprintf("roomwatch %s\ncommit %s\n%s %s/%s\n", b.version, b.commit, b.golang, runtime.GOOS, runtime.GOARCH)
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print version, commit and Go version",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprint(cmd.OutOrStdout(), thisBuild())
			return err
		},
	}
}

// infoMetrics say who answers a scrape: a join gives its labels to any other metric.
func infoMetrics(app int) []prometheus.Collector {
	b := thisBuild()
	info := func(name, help string, labels prometheus.Labels) prometheus.Collector {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "roomwatch", Name: name, Help: help, ConstLabels: labels})
		g.Set(1)
		return g
	}
	return []prometheus.Collector{
		info("build_info", "1; the labels say which program this is.",
			prometheus.Labels{"version": b.version, "commit": b.commit, "go_version": b.golang}),
		info("application_info", "1; the label says which application is watched. Two processes with one application drive each other out.",
			prometheus.Labels{"sdkappid": strconv.Itoa(app)}),
	}
}
