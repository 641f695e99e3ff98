package config

import (
	"fmt"
	"strings"
	"testing"

	"roomwatch/cmd/internal/environ"
)

// Who may read over HTTP is said, or the address is this machine's alone.
func TestWhoMayReadIsSaid(t *testing.T) {
	for _, env := range [][2]string{
		{"127.0.0.1:8080", ""}, {"[::1]:8080", ""}, {"localhost:8080", ""}, {"off", ""}, {"0.0.0.0:8080", "ROOMWATCH_HTTP_TOKEN=a.b-c"}, {":8080", "ROOMWATCH_HTTP_OPEN=true"},
	} {
		c := Config{HTTPAddr: env[0], HTTPOpen: strings.HasSuffix(env[1], "OPEN=true")}
		_, token, _ := strings.Cut(env[1], "TOKEN=")
		c.HTTPToken = environ.Secret(token)
		var p environ.Problems
		if c.http().Check(&p); len(p) > 0 {
			t.Errorf("%q: %v", env, p)
		}
	}
}

// A variable that is set to nothing is as good as unset.
func TestEmptyVariablesHaveTheirDefaults(t *testing.T) {
	t.Setenv("ROOMWATCH_INTERVAL", "")
	t.Setenv("ROOMWATCH_ENDPOINT", "")
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if c.Interval.String() != "10s" || c.Endpoint != "china" {
		t.Errorf("interval %s, endpoint %q", c.Interval, c.Endpoint)
	}
}

// What tells of hidden rooms, and of attributes, has to be asked for.
func TestEventsOfTheDefaults(t *testing.T) {
	c, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(c.Events, " "); got != "room.created room.ended viewcount.changed" {
		t.Errorf("published are %s", got)
	}
}

// A secret hides from every verb.
func TestSecretsAreNotPrinted(t *testing.T) {
	c := Config{SecretKey: "hush", UserSig: "hush", NATS: environ.NATS{NATSPassword: "hush", NATSToken: "hush"}, HTTPToken: "hush"}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if s := fmt.Sprintf(verb, c); strings.Contains(s, "hush") || strings.Contains(s, "68757368") {
			t.Errorf("%s prints %s", verb, s)
		}
	}
}
