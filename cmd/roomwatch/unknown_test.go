package main

import (
	"strings"
	"testing"
)

// A misspelt variable is named by the commands that use the whole configuration,
// whether or not it makes them fail.
func TestUnknownVariables(t *testing.T) {
	complete := []string{
		"ROOMWATCH_SDKAPPID=88888888", "ROOMWATCH_SECRET_KEY=key", "ROOMWATCH_ENDPOINT=http://" + freeAddr(t), "ROOMWATCH_DATA_DIR=/dev/null/none",
		"ROOMWATCH_NATS_PORT=0", "ROOMWATCH_HTTP_ADDR=off", "ROOMWATCH_INTERVALL=5s", "ROOMWATCH_BASLINE=silent",
	}
	const names = "ROOMWATCH_BASLINE, ROOMWATCH_INTERVALL"
	for command, want := range map[string]string{
		"run":   `level=WARN msg=configuration unknown="` + names + `"`,
		"demo":  `level=WARN msg=configuration unknown="` + names + `"`,
		"check": "configuration  LOOK    no variable of roomwatch, perhaps misspelt: " + names,
	} {
		if status, out := runWith(t, complete, command); status != 1 || strings.Count(out, want) != 1 {
			t.Errorf("%s: exit status %d, want %s in\n%s", command, status, want, out)
		}
	}
	if status, out := runWith(t, []string{"ROOMWATCH_SDKAPP_ID=5"}, "run"); status != 2 || !strings.Contains(out, "\nno variable of roomwatch, perhaps misspelt: ROOMWATCH_BASLINE, ROOMWATCH_INTERVALL, ROOMWATCH_SDKAPP_ID\n") {
		t.Errorf("misspelt and missing: exit status %d\n%s", status, out)
	}
}

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
	if names := unknownVariables(); names != "" {
		t.Errorf("unknown: %s", names)
	}
	t.Setenv("ROOMWATCH_HTTP_PORT", "8080")
	t.Setenv("NATS_PASWORD", "hush")
	if names := unknownVariables(); names != "NATS_PASWORD, ROOMWATCH_HTTP_PORT" {
		t.Errorf("unknown: %q", names)
	}
}
