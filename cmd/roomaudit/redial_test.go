package main

import (
	"strings"
	"syscall"
	"testing"

	"roomwatch/publisher/natstest"
)

// The client library ends a connection permanently when the server reports an error
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

// While NATS is away the log says so, in words that say what to do.
func TestNATSIsAway(t *testing.T) {
	r := newRig(t)
	r.down()
	p := start(t, r.env(t.TempDir()), "run")
	eventually(t, "a word about NATS", func() bool { return strings.Contains(p.out.String(), "recording fails") })
	must(t, p.cmd.Process.Signal(syscall.SIGTERM))
	p.wait()
	if text := p.out.String(); !strings.Contains(text, `error="NATS is not connected"`) || strings.Contains(text, "buffer") {
		t.Errorf("log:\n%s", text)
	}
	r.up()
}
