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
		"run":   `level=WARN msg="unknown variables" names="` + names + `"`,
		"demo":  `level=WARN msg="unknown variables" names="` + names + `"`,
		"check": "configuration  WARN    unknown variables, perhaps misspelt: " + names,
	} {
		if status, out := runWith(t, complete, command); status != 1 || strings.Count(out, want) != 1 {
			t.Errorf("%s: exit status %d, want %s in\n%s", command, status, want, out)
		}
	}
	if status, out := runWith(t, []string{"ROOMWATCH_SDKAPP_ID=5"}, "run"); status != 2 || !strings.Contains(out, "\nunknown variables, perhaps misspelt: ROOMWATCH_BASLINE, ROOMWATCH_INTERVALL, ROOMWATCH_SDKAPP_ID\n") {
		t.Errorf("misspelt and missing: exit status %d\n%s", status, out)
	}
}
