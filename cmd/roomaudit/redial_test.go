package main

import (
	"strings"
	"testing"

	"roomwatch/publisher/natstest"
)

// The client library ends a connection for good when the server reports an error
// that the library does not know. roomaudit makes another one, says why, and has
// each message on record once.
func TestConnectionClosedForGood(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	tap := natstest.NewTap(t, r.srv.ClientURL())
	p := start(t, append(r.env(dir), "NATS_URL="+tap.URL()), "run")
	r.publish(3)
	r.wantAll(dir)
	reported := tap.Report()
	r.publish(3)
	<-reported
	r.publish(3)
	r.wantAll(dir)
	p.stop()
	if text := p.out.String(); !strings.Contains(text, "NATS has closed the connection: nats: Never Heard Of") || !strings.Contains(text, "recovered") {
		t.Errorf("log:\n%s", text)
	}
}
