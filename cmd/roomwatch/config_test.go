package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/internal/program/programtest"
	"roomwatch/cmd/roomwatch/config"
)

// runWith runs a command with nothing but env as its configuration.
func runWith(t *testing.T, env []string, args ...string) (status int, output string) {
	t.Helper()
	for _, f := range variables() {
		t.Setenv(f.Tag.Get("envconfig"), "")
	}
	for _, kv := range env {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // a mistake here must not become a daemon
	defer cancel()
	var out bytes.Buffer
	status = run(ctx, args, &out, &out)
	return status, out.String()
}

// variables are the fields that stand for an environment variable.
func variables() []reflect.StructField {
	return slices.DeleteFunc(reflect.VisibleFields(reflect.TypeFor[config.Config]()), func(f reflect.StructField) bool { return f.Anonymous })
}

// Each mistake is named with the variable, the value and the fix, all of them
// at once, and the exit status is 2.
func TestConfigurationProblems(t *testing.T) {
	good := []string{"ROOMWATCH_SDKAPPID=88888888", "ROOMWATCH_SECRET_KEY=key", "ROOMWATCH_ENDPOINT=http://127.0.0.1:1", "ROOMWATCH_DATA_DIR=" + t.TempDir()}
	twoWords := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(twoWords, []byte("two words\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		env  []string
		want []string
	}{
		{"nothing set", []string{"ROOMWATCH_SDKAPPID="}, []string{"ROOMWATCH_SDKAPPID is missing"}},
		{"no secret", []string{"ROOMWATCH_SECRET_KEY="}, []string{"0 of ROOMWATCH_SECRET_KEY"}},
		{"two secrets", []string{"ROOMWATCH_USERSIG=sig"}, []string{"2 of ROOMWATCH_SECRET_KEY"}},
		{"no such key file", []string{"ROOMWATCH_SECRET_KEY=", "ROOMWATCH_SECRET_KEY_FILE=/nowhere"}, []string{"/nowhere", "no such file"}},
		{"white space in a key file", []string{"ROOMWATCH_SECRET_KEY=", "ROOMWATCH_SECRET_KEY_FILE=" + twoWords}, []string{"ROOMWATCH_SECRET_KEY_FILE: " + twoWords + ": secret key: has white space"}},
		{"white space in a UserSig file", []string{"ROOMWATCH_SECRET_KEY=", "ROOMWATCH_USERSIG_FILE=" + twoWords}, []string{"ROOMWATCH_USERSIG_FILE: " + twoWords + ": UserSig: has white space"}},
		{"a UserSig and its file", []string{"ROOMWATCH_SECRET_KEY=", "ROOMWATCH_USERSIG=sig", "ROOMWATCH_USERSIG_FILE=" + twoWords}, []string{"2 of ROOMWATCH_SECRET_KEY"}},
		{"white space in a UserSig", []string{"ROOMWATCH_SECRET_KEY=", "ROOMWATCH_USERSIG=a b"}, []string{"ROOMWATCH_USERSIG: UserSig: has white space"}},
		{"no unit", []string{"ROOMWATCH_INTERVAL=10"}, []string{`ROOMWATCH_INTERVAL is "10"`, "10s"}},
		{"no number", []string{"ROOMWATCH_SDKAPPID=abc"}, []string{`ROOMWATCH_SDKAPPID is "abc"`, "whole number"}},
		{"no interval", []string{"ROOMWATCH_INTERVAL=0s"}, []string{"ROOMWATCH_INTERVAL is 0s"}},
		{"reads too fast for the vendor", []string{"ROOMWATCH_ENDPOINT=china", "ROOMWATCH_POINT_READS_PER_SECOND=201"}, []string{"ROOMWATCH_POINT_READS_PER_SECOND is 201", "200 in any second"}},
		{"too fast for the vendor", []string{"ROOMWATCH_ENDPOINT=china", "ROOMWATCH_REQUESTS_PER_SECOND=10.1"}, []string{"ROOMWATCH_REQUESTS_PER_SECOND is 10.1", "10 in any second"}},
		{"unknown place", []string{"ROOMWATCH_ENDPOINT=mars"}, []string{"ROOMWATCH_ENDPOINT", "mars", "singapore"}},
		{"event of point reads without them", []string{"ROOMWATCH_EVENTS=room.created,room.hidden", "ROOMWATCH_POINT_READS_PER_SECOND=0"}, []string{`"room.hidden"`, "ROOMWATCH_POINT_READS_PER_SECOND is 0"}},
		{"callbacks without a token", []string{"ROOMWATCH_WEBHOOK_ADDR=0.0.0.0:8090"}, []string{"ROOMWATCH_WEBHOOK_ADDR is set without a token", "ROOMWATCH_WEBHOOK_TOKEN_FILE"}},
		{"callbacks without point reads", []string{"ROOMWATCH_WEBHOOK_ADDR=:8090", "ROOMWATCH_WEBHOOK_TOKEN=t", "ROOMWATCH_POINT_READS_PER_SECOND=0"}, []string{"ROOMWATCH_POINT_READS_PER_SECOND is 0"}},
		{"callbacks at no address", []string{"ROOMWATCH_WEBHOOK_ADDR=8090", "ROOMWATCH_WEBHOOK_TOKEN=t"}, []string{`ROOMWATCH_WEBHOOK_ADDR is "8090"`, "host:port"}},
		{"callbacks at the page's address", []string{"ROOMWATCH_WEBHOOK_ADDR=127.0.0.1:8080", "ROOMWATCH_WEBHOOK_TOKEN=t", "ROOMWATCH_HTTP_ADDR=127.0.0.1:8080"}, []string{"are both"}},
		{"no such token file for callbacks", []string{"ROOMWATCH_WEBHOOK_ADDR=:8090", "ROOMWATCH_WEBHOOK_TOKEN_FILE=/nowhere"}, []string{"ROOMWATCH_WEBHOOK_TOKEN_FILE", "/nowhere"}},
		{"no name of a bucket", []string{"ROOMWATCH_KV_BUCKET=live.rooms"}, []string{`ROOMWATCH_KV_BUCKET is "live.rooms"`, "live_rooms"}},
		{"unknown event", []string{"ROOMWATCH_EVENTS=room.created,room.opened"}, []string{`"room.opened"`, "room.updated"}},
		{"unknown baseline", []string{"ROOMWATCH_BASELINE=loud"}, []string{"ROOMWATCH_BASELINE", "silent"}},
		{"percent", []string{"ROOMWATCH_MASS_END_PERCENT=101"}, []string{"ROOMWATCH_MASS_END_PERCENT is 101"}},
		{"wildcard prefix", []string{"ROOMWATCH_SUBJECT_PREFIX=live.*"}, []string{"ROOMWATCH_SUBJECT_PREFIX"}},
		{"prefix of NATS", []string{"ROOMWATCH_SUBJECT_PREFIX=$JS"}, []string{`ROOMWATCH_SUBJECT_PREFIX is "$JS"`}},
		{"prefix of questions", []string{"ROOMWATCH_SUBJECT_PREFIX=roomwatch"}, []string{`ROOMWATCH_SUBJECT_PREFIX is "roomwatch"`}},
		{"prefix below that of questions", []string{"ROOMWATCH_SUBJECT_PREFIX=roomwatch.8.process"}, []string{`ROOMWATCH_SUBJECT_PREFIX is "roomwatch.8.process"`}},
		{"prefix of answers", []string{"ROOMWATCH_SUBJECT_PREFIX=_INBOX_roomwatch"}, []string{"ROOMWATCH_SUBJECT_PREFIX is"}},
		{"control characters", []string{"ROOMWATCH_SUBJECT_PREFIX=a\x01", "ROOMWATCH_STREAM=b\x7f"}, []string{`ROOMWATCH_SUBJECT_PREFIX is "a\x01"`, `ROOMWATCH_STREAM is "b\x7f"`}},
		{"white space", []string{"ROOMWATCH_SUBJECT_PREFIX=a\r", "ROOMWATCH_STREAM=b\u00a0c"}, []string{"ROOMWATCH_SUBJECT_PREFIX is", "ROOMWATCH_STREAM is"}},
		{"stream name", []string{"ROOMWATCH_STREAM=a.b"}, []string{"ROOMWATCH_STREAM"}},
		{"replicas without a cluster", []string{"ROOMWATCH_STREAM_REPLICAS=3"}, []string{"ROOMWATCH_STREAM_REPLICAS is 3", "NATS_URL"}},
		{"too short an age", []string{"ROOMWATCH_STREAM_MAX_AGE=99ms"}, []string{"ROOMWATCH_STREAM_MAX_AGE is 99ms", "100ms"}},
		{"no size", []string{"ROOMWATCH_STREAM_MAX_BYTES=-1"}, []string{`ROOMWATCH_STREAM_MAX_BYTES is "-1"`, "unlimited"}},
		{"small size", []string{"ROOMWATCH_STREAM_MAX_BYTES=65535"}, []string{"ROOMWATCH_STREAM_MAX_BYTES is 65535", "65536"}},
		{"no port", []string{"ROOMWATCH_HTTP_ADDR=localhost"}, []string{"ROOMWATCH_HTTP_ADDR", "host:port"}},
		{"reachable by others", []string{"ROOMWATCH_HTTP_ADDR=0.0.0.0:8080"}, []string{"ROOMWATCH_HTTP_ADDR is \"0.0.0.0:8080\"", "ROOMWATCH_HTTP_TOKEN", "ROOMWATCH_HTTP_OPEN=true", "127.0.0.1"}},
		{"reachable by others, all interfaces", []string{"ROOMWATCH_HTTP_ADDR=:8080"}, []string{"ROOMWATCH_HTTP_ADDR is \":8080\""}},
		{"reachable by others, by name", []string{"ROOMWATCH_HTTP_ADDR=watch.example:8080"}, []string{"ROOMWATCH_HTTP_ADDR is"}},
		{"two tokens", []string{"ROOMWATCH_HTTP_TOKEN=a", "ROOMWATCH_HTTP_TOKEN_FILE=/nowhere"}, []string{"both set", "/nowhere"}},
		{"no such token file", []string{"ROOMWATCH_HTTP_TOKEN_FILE=/nowhere"}, []string{"ROOMWATCH_HTTP_TOKEN_FILE", "no such file"}},
		{"a token for no header", []string{"ROOMWATCH_HTTP_TOKEN=a b"}, []string{"ROOMWATCH_HTTP_TOKEN", "spaces"}},
		{"open and a token", []string{"ROOMWATCH_HTTP_TOKEN=a", "ROOMWATCH_HTTP_OPEN=true"}, []string{"ROOMWATCH_HTTP_OPEN is true although"}},
		{"perhaps open", []string{"ROOMWATCH_HTTP_OPEN=perhaps"}, []string{`ROOMWATCH_HTTP_OPEN is "perhaps"`, "true or false"}},
		{"log level", []string{"ROOMWATCH_LOG_LEVEL=loud"}, []string{"ROOMWATCH_LOG_LEVEL", "debug"}},
		{"all at once", []string{"ROOMWATCH_INTERVAL=1", "ROOMWATCH_BASELINE=loud", "ROOMWATCH_SECRET_KEY=", "ROOMWATCH_LOG_FORMAT=xml"},
			[]string{"ROOMWATCH_INTERVAL", "ROOMWATCH_BASELINE", "ROOMWATCH_SECRET_KEY", "ROOMWATCH_LOG_FORMAT"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			status, out := runWith(t, append(good, tt.env...), "run")
			if status != 2 {
				t.Errorf("exit status %d, want 2", status)
			}
			for _, w := range tt.want {
				if !strings.Contains(out, w) {
					t.Errorf("%q is not in:\n%s", w, out)
				}
			}
		})
	}
}

// A wrong variable is named once, with the true reason: what cannot be read is
// not also missing or too small, and a key is tried although the application is
// not known.
func TestEachProblemIsNamedOnce(t *testing.T) {
	env := []string{
		"ROOMWATCH_SDKAPPID=abc", "ROOMWATCH_SECRET_KEY=two words", "ROOMWATCH_USERSIG_TTL=5", "ROOMWATCH_INTERVAL=10", "ROOMWATCH_REQUEST_TIMEOUT=soon",
		"ROOMWATCH_REQUESTS_PER_SECOND=fast", "ROOMWATCH_MASS_END_SWEEPS=x", "ROOMWATCH_HTTP_ADDR=127.0.0.1:99999", "ROOMWATCH_EVENTS=room.opened,room.shut",
	}
	status, out := runWith(t, env, "run")
	want := `roomwatch: configuration:
ROOMWATCH_SDKAPPID is "abc": write a whole number
ROOMWATCH_USERSIG_TTL is "5": write a duration with its unit, such as 10s, 5m or 24h
ROOMWATCH_REQUESTS_PER_SECOND is "fast": write a number, such as 9.5
ROOMWATCH_REQUEST_TIMEOUT is "soon": write a duration with its unit, such as 10s, 5m or 24h
ROOMWATCH_INTERVAL is "10": write a duration with its unit, such as 10s, 5m or 24h
ROOMWATCH_MASS_END_SWEEPS is "x": write a whole number
ROOMWATCH_SECRET_KEY: secret key: has white space in it; write it whole and alone, on one line
ROOMWATCH_EVENTS names "room.opened": choose from room.created, room.ended, viewcount.changed, room.updated, room.hidden, room.shown
ROOMWATCH_EVENTS names "room.shut": choose from room.created, room.ended, viewcount.changed, room.updated, room.hidden, room.shown
ROOMWATCH_HTTP_ADDR is "127.0.0.1:99999": write host:port with a port of at most 65535, or off
` + "`roomwatch help config` lists every variable\n"
	if status != 2 || out != want {
		t.Errorf("exit status %d\n%s\nwant 2\n%s", status, out, want)
	}
}

// What a number cannot be is said of the number.
func TestImpossibleNumbers(t *testing.T) {
	dir := t.TempDir()
	for variable, values := range map[string][]string{
		"ROOMWATCH_SDKAPPID":               {"-5", "0", "99999999999999"},
		"ROOMWATCH_REQUESTS_PER_SECOND":    {"0", "-1", "NaN", "Inf"},
		"ROOMWATCH_POINT_READS_PER_SECOND": {"-1", "NaN", "Inf"},
		"ROOMWATCH_PROBE_SHARE":            {"-0.1", "0.51", "NaN", "Inf"},
		"ROOMWATCH_MASS_END_PERCENT":       {"NaN", "Inf"},
		"ROOMWATCH_VIEWCOUNT_MIN_PERCENT":  {"NaN", "Inf", "-1"},
	} {
		for _, v := range values {
			for _, endpoint := range []string{"china", "http://127.0.0.1:1"} {
				env := []string{"ROOMWATCH_SDKAPPID=88888888", "ROOMWATCH_SECRET_KEY=key", "ROOMWATCH_ENDPOINT=" + endpoint, "ROOMWATCH_HTTP_ADDR=off", "ROOMWATCH_NATS_PORT=0", "ROOMWATCH_DATA_DIR=" + dir, variable + "=" + v}
				status, out := runWith(t, env, "run")
				if status != 2 || strings.Count(out, "\nROOMWATCH_") != 1 || !strings.Contains(out, variable+" is "+strings.Replace(v, "Inf", "+Inf", 1)+": ") {
					t.Errorf("%s=%s at %s: exit status %d\n%s", variable, v, endpoint, status, out)
				}
			}
		}
	}
}

// What says where NATS is and who asks is checked with the rest, by every command
// that asks it, and a secret in it is not told.
func TestNATSSettingsAreConfiguration(t *testing.T) {
	good := []string{"ROOMWATCH_SDKAPPID=88888888", "ROOMWATCH_SECRET_KEY=key", "ROOMWATCH_ENDPOINT=http://127.0.0.1:1", "ROOMWATCH_DATA_DIR=" + t.TempDir(), "ROOMWATCH_HTTP_ADDR=off"}
	wrong := []string{
		"NATS_URL=nats://bob:s3cret%ZZ@h", "NATS_CREDS=/etc/passwd", "NATS_NKEY=/nowhere", "NATS_CA=/nowhere", "NATS_CERT=/nowhere",
		"NATS_USER=u", "NATS_PASSWORD=s3cret", "NATS_TOKEN=s3cret", "ROOMWATCH_NATS_PORT=-1",
	}
	for command, want := range map[string]int{"run": 2, "check": 1, "tail": 2, "verify": 2} {
		env := good
		if command != "tail" && command != "verify" {
			env = append(env, "ROOMWATCH_INTERVAL=0s")
		}
		status, out := runWith(t, append(env, wrong...), command)
		if status != want {
			t.Errorf("%s: exit status %d, want %d", command, status, want)
		}
		for _, w := range []string{"NATS_URL: server 1", "NATS_CREDS: /etc/passwd", "NATS_NKEY: ", "NATS_CA: ", "NATS_KEY is missing", "NATS_TOKEN and NATS_USER", "ROOMWATCH_NATS_PORT is -1"} {
			if !strings.Contains(out, w) {
				t.Errorf("%s: %q is not in:\n%s", command, w, out)
			}
		}
		if strings.Contains(out, "s3cret") {
			t.Errorf("%s tells a secret:\n%s", command, out)
		}
	}
}

// help config prints every variable, and the README's table has each with the
// same default.
func TestHelpConfigIsComplete(t *testing.T) {
	status, out := runWith(t, nil, "help", "config")
	if status != 0 {
		t.Errorf("exit status %d", status)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range variables() {
		tag := f.Tag
		name, def := tag.Get("envconfig"), tag.Get("default")
		if !strings.Contains(out, name+" ") || !strings.Contains(out, tag.Get("desc")) {
			t.Errorf("help config lacks %s", name)
		}
		row := "| `" + name + "` |"
		if def != "" {
			row += " `" + def + "` |"
		}
		if !strings.Contains(string(readme), row) {
			t.Errorf("the README's table lacks %q", row)
		}
	}
}

func TestFlagsAreReadable(t *testing.T) { programtest.Flags(t, rootCommand()) }
