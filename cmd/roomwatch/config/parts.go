package config

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"roomwatch/cmd/internal/environ"
	"roomwatch/diff"
	"roomwatch/publisher"
	"roomwatch/publisher/natsconn"
)

// StatePath is where the state file is.
func (c *Config) StatePath() string { return filepath.Join(c.DataDir, "state.db") }

// Policy is what counts as a change.
func (c *Config) Policy() diff.Policy {
	p := diff.Policy{
		SilentBaseline: c.Baseline == "silent",
		MinChange:      c.ViewCountMinChange,
		MinPercent:     c.ViewCountMinPercent,
		MinInterval:    c.ViewCountMinInterval,
		Interval:       c.Interval,
		AbsentSweeps:   c.AbsentSweeps,
		MassEndPercent: c.MassEndPercent,
		MassEndSweeps:  c.MassEndSweeps,
	}
	for _, e := range c.Events {
		p.Publish = append(p.Publish, diff.Type(e))
	}
	return p
}

// StreamConfig names the stream, and says what one is like that roomwatch makes.
func (c *Config) StreamConfig() publisher.StreamConfig {
	return publisher.StreamConfig{
		Name: c.Stream, Prefix: c.SubjectPrefix,
		Replicas: c.StreamReplicas, MaxAge: c.StreamMaxAge, MaxBytes: int64(c.StreamMaxBytes),
	}
}

// LeaseIsSet reports whether somebody has asked for the lease.
func (c *Config) LeaseIsSet() bool {
	v, ok := os.LookupEnv("ROOMWATCH_LEASE")
	return ok && v != ""
}

// Connection says where NATS is and who asks.
func (c *Config) Connection(log *slog.Logger) natsconn.Config {
	return c.NATS.Connection("roomwatch", c.NATSURL, log)
}

// Logger writes to w.
func (c *Config) Logger(w io.Writer) *slog.Logger {
	return environ.Logger(w, c.LogLevel, c.LogFormat)
}
