package daemon

import (
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What keeps the embedded server from starting is told with what helps it.
func TestEmbeddedServerDoesNotStart(t *testing.T) {
	var lc net.ListenConfig
	busy, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = busy.Close() }()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, dir string
		port      int
		want, not string
	}{
		{name: "port", dir: t.TempDir(), port: busy.Addr().(*net.TCPAddr).Port, want: "ROOMWATCH_NATS_PORT", not: "ROOMWATCH_DATA_DIR"},
		{name: "files", dir: file, want: "ROOMWATCH_DATA_DIR", not: "ROOMWATCH_NATS_PORT"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := startEmbedded(t.Context(), tt.dir, tt.port, slog.New(slog.DiscardHandler))
			if err == nil {
				e.stop(t.Context())
				t.Fatal("it starts")
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), tt.not) {
				t.Error(err)
			}
		})
	}
}
