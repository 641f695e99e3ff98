package environ

import (
	"os"
	"path/filepath"
	"testing"
)

type links struct {
	Port  int    `envconfig:"ROOMWATCH_NATS_PORT" default:"4222"`
	URL   string `envconfig:"NATS_URL"`
	Other string `envconfig:"TOOL_URL"`
}

// What Kubernetes sets for a service of that name counts as not set, in the
// environment and against a file; what is not ours, and NATS_URL, is taken.
func TestServiceLinks(t *testing.T) {
	t.Setenv("ROOMWATCH_NATS_PORT", "tcp://10.0.0.7:4222")
	t.Setenv("NATS_URL", "tcp://10.0.0.8:4222")
	t.Setenv("TOOL_URL", "udp://10.0.0.9:1")
	want := links{4222, "tcp://10.0.0.8:4222", "udp://10.0.0.9:1"}
	var got links
	if err := Load(&got); err != nil || got != want {
		t.Errorf("read %+v, %v, want %+v", got, err, want)
	}
	path := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(path, []byte("ROOMWATCH_NATS_PORT=5222\nNATS_URL=nats://host\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want.Port = 5222
	if err := SetFromFile(path); err != nil {
		t.Fatal(err)
	}
	if err := Load(&got); err != nil || got != want {
		t.Errorf("with a file: read %+v, %v, want %+v", got, err, want)
	}
}
