package config

import "testing"

// What the other programs and Kubernetes call so is no mistake.
func TestVariablesOfOthers(t *testing.T) {
	for name, value := range map[string]string{
		"ROOMWATCH_ENV_FILE": "file", "ROOMWATCH_STREAM": "LIVE", "NATS_CREDS": "file", "ROOMNOTIFY_NAME": "notify", "ROOMAUDIT_DIR": "audit", "PATH": "/bin",
		"ROOMWATCH_SERVICE_HOST": "10.0.0.7", "ROOMWATCH_SERVICE_PORT": "8080", "ROOMWATCH_SERVICE_PORT_HTTP": "8080", "ROOMWATCH_PORT": "tcp://10.0.0.7:8080",
		"ROOMWATCH_PORT_8080_TCP": "tcp://10.0.0.7:8080", "ROOMWATCH_PORT_8080_TCP_PROTO": "tcp", "ROOMWATCH_PORT_8080_TCP_PORT": "8080", "ROOMWATCH_PORT_8080_TCP_ADDR": "10.0.0.7",
		"NATS_PORT": "tcp://10.0.0.8:4222", "NATS_SERVICE_HOST": "10.0.0.8", "NATS_PORT_4222_TCP_ADDR": "10.0.0.8",
		"ROOMWATCH_METRICS_SERVICE_HOST": "10.0.0.7", "ROOMWATCH_METRICS_PORT_80_TCP": "tcp://10.0.0.7:80",
	} {
		t.Setenv(name, value)
	}
	if names := Unknown(); names != "" {
		t.Errorf("unknown: %s", names)
	}
	t.Setenv("ROOMWATCH_HTTP_PORT", "8080")
	t.Setenv("NATS_PASWORD", "hush")
	if names := Unknown(); names != "NATS_PASWORD, ROOMWATCH_HTTP_PORT" {
		t.Errorf("unknown: %q", names)
	}
}
