package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/roomwatch/web"
)

// Whatever is asked, of the writer or of a standby, says who is the writer, who stands by,
// since when, and how far behind.
func TestRoleIsTold(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector does not see the binary")
	}
	t.Parallel()
	r := newRig(t, lively(1))
	const long = "ROOMWATCH_LEASE=20s" // a busy machine is no reason for a takeover
	writer := r.member(t.TempDir(), long)
	eventually(t, "events", func() bool { return stored(t, r.nc) > 90 })
	standby := r.member(t.TempDir(), long)
	eventually(t, "a warm standby", standby.warm)
	eventually(t, "the writer to know that it is warm", func() bool {
		l := writer.status().Lease
		return l != nil && len(l.Standbys) == 1 && l.Standbys[0].CaughtUp
	})
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	w, s := writer.status(), standby.status()
	first, second := w.Writer.Instance, w.Lease.Standbys[0].Instance
	if s.Writer == nil || s.Writer.Instance != first || s.Standby == nil || s.Standby.Since.IsZero() || w.Lease.Since.IsZero() || w.Lease.Standbys[0].Since == "" {
		t.Fatalf("writer %+v, standby %+v", w, s)
	}
	const day, moment = `20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d`, `20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z`
	others := regexp.QuoteMeta(second) + " stands by on host " + regexp.QuoteMeta(host) + " since " + moment + `, \d+ messages? behind`
	ofWriter := `writer since ` + day + `Z, term 1; ` + others
	ofStandby := `standby since ` + day + `Z, \d+ messages? behind; the writer is ` + regexp.QuoteMeta(first) + " on host " + regexp.QuoteMeta(host) + ", since " + day + "Z"

	environ := func(m *member) []string { return r.env(t.TempDir(), "ROOMWATCH_HTTP_ADDR="+m.addr) }
	command := func(m *member, args ...string) string {
		p := startProcess(t, environ(m), args...)
		p.wait(30 * time.Second)
		return p.output.String()
	}
	page := func(m *member, path string) string {
		_, body := fetch(m.addr, path)
		return body
	}
	readyz := func(m *member) string {
		var ready web.Readiness
		// Whether it is ready just now is another matter, on a busy machine.
		if code, body := fetch(m.addr, "/readyz"); code != http.StatusOK && code != http.StatusServiceUnavailable || json.Unmarshal([]byte(body), &ready) != nil {
			t.Errorf("readiness: %d %s", code, body)
		}
		return ready.Role
	}
	room := r.world.Truth().Live()[0].RoomID
	for _, tt := range []struct{ name, said, want string }{
		{"status of the writer", command(writer, "status"), `role          writer for \S+, term 1; ` + others},
		{"status of the standby", command(standby, "status"), `role          standby for \S+, \d+ messages? behind; the writer is ` + first + " on host " + regexp.QuoteMeta(host) + `, for \S+`},
		{"check", command(writer, "check"), `lease +ok +held by ` + first + " on host " + regexp.QuoteMeta(host) + `, version \S+, term 1, since ` + moment + "; " + others},
		{"explain of the writer", command(writer, "explain", room), "This roomwatch is " + ofWriter},
		{"explain of the standby", command(standby, "explain", room), ofStandby},
		{"readiness of the writer", readyz(writer), ofWriter},
		{"readiness of the standby", readyz(standby), ofStandby},
		{"metrics of the writer", page(writer, "/metrics"), `(?s)roomwatch_lease_held 1\n.*roomwatch_lease_since_timestamp_seconds 1\.\d+e\+09\n.*roomwatch_lease_standbys 1\n.*roomwatch_lease_term 1\n.*roomwatch_publisher_behind_messages 0\n.*roomwatch_writer 1\n`},
		{"metrics of the standby", page(standby, "/metrics"), `(?s)roomwatch_lease_held 0\n.*roomwatch_lease_since_timestamp_seconds 1\.\d+e\+09\n.*roomwatch_lease_standbys 0\n.*roomwatch_lease_term 1\n.*roomwatch_publisher_behind_messages \d+\n.*roomwatch_writer 0\n`},
		{"log of the writer", writer.output.String(), `(?s)msg="this process is the writer" term=1\n.*msg="another roomwatch stands by" instance=` + second + " host=" + regexp.QuoteMeta(host) + " since=" + moment + ` behind=\d+`},
		{"log of the standby", standby.output.String(), `(?s)msg="standing by" writer=` + first + " host=" + regexp.QuoteMeta(host) + " term=1 since=" + moment + `.*msg="standby has read the stream" after=`},
	} {
		if !regexp.MustCompile(tt.want).MatchString(tt.said) {
			t.Errorf("%s: want %s in\n%s", tt.name, tt.want, tt.said)
		}
	}
	if code, body := fetch(standby.addr, "/api/v1/explain?room="+url.QueryEscape(room)); code != http.StatusServiceUnavailable || !regexp.MustCompile(ofStandby).MatchString(body) {
		t.Errorf("explain over HTTP: %d %s", code, body)
	}

	if status := writer.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, writer.output)
	}
	standby.became(t)
	third := r.member(t.TempDir(), long)
	beside := func(n int) bool {
		l := standby.status().Lease
		return l != nil && len(l.Standbys) == n
	}
	eventually(t, "the next standby", func() bool { return beside(1) })
	if status := third.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, third.output)
	}
	eventually(t, "the writer to be alone, and to say so", func() bool {
		return beside(0) && strings.Contains(standby.output.String(), "another roomwatch no longer stands by")
	})
	said := standby.output.String()
	for _, want := range []string{`msg="this process is the writer" term=2 waiting_since=` + moment + ` behind=\d+`, `msg="another roomwatch no longer stands by" instance=`} {
		if !regexp.MustCompile(want).MatchString(said) {
			t.Errorf("the log of the next writer: want %s in\n%s", want, said)
		}
	}
	if out := command(standby, "status"); !strings.Contains(out, "term 2; nobody stands by") {
		t.Errorf("status of a writer that is alone:\n%s", out)
	}
}
