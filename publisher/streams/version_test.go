package streams

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
)

func TestIsBefore(t *testing.T) {
	for version, want := range map[string]bool{
		"2.11.11": true, "2.9.25": true, "1.12.0": true, "2.12.0": false, "2.12.0-RC.1": false, "2.15.2": false, "3.0.0": false, "": false, "devel": false,
	} {
		if got := IsBefore(version, 2, 12); got != want {
			t.Errorf("%q: %t", version, got)
		}
	}
}

// A server before 2.12 makes no stream of a mirror and knows no batches: the fix
// has neither, and works.
func TestFixBefore212(t *testing.T) {
	js := connect(t)
	for name, edit := range map[string]func(*jetstream.StreamConfig){
		"sealed":     func(c *jetstream.StreamConfig) { c.Sealed = true },
		"memory":     func(c *jetstream.StreamConfig) { c.Storage = jetstream.MemoryStorage },
		"work queue": func(c *jetstream.StreamConfig) { c.Retention = jetstream.WorkQueuePolicy },
		"mirror":     func(c *jetstream.StreamConfig) { c.Subjects, c.Mirror = nil, &jetstream.StreamSource{Name: "OTHER"} },
	} {
		t.Run(name, func(t *testing.T) {
			c := writes.good()
			edit(&c)
			have := create(t, js, c)
			defer func() { _ = js.DeleteStream(context.Background(), "LIVE_COPY") }() // it may not have been made
			have.Metadata[VersionKey] = "2.11.11"
			_, err := writes.Check(have, 0)
			if !errors.Is(err, ErrUnfit) {
				t.Fatalf("not refused: %v", err)
			}
			for _, word := range []string{"--mirror", "--no-mirror", "--allow-batch"} {
				if strings.Contains(err.Error(), word) {
					t.Errorf("the fix has %s: %v", word, err)
				}
			}
			if warnings, err := apply(t, js, writes, have, err.Error()).Check(info(t, js, "LIVE_COPY"), 0); err != nil || len(warnings) > 0 {
				t.Errorf("after the fix: %v, %q", err, warnings)
			}
		})
	}
}

// The most consumers of a stream can be edited from 2.15 on.
func TestFixBefore215(t *testing.T) {
	for version, want := range map[string]string{"2.14.9": "nats stream add LIVE_COPY --mirror=LIVE", "2.15.0": "`nats stream edit LIVE --max-consumers=0`"} {
		have := writes.good()
		have.MaxConsumers, have.Metadata = 3, map[string]string{VersionKey: version}
		if warnings, err := writes.Check(have, 0); err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], want) {
			t.Errorf("%s: %v, %q", version, err, warnings)
		}
	}
}
