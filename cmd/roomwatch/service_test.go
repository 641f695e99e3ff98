package main

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// Who lives on the bus asks with the permissions of the example file. With any one
// less, or with all of those of a file from before there were questions, there is one
// warning, which names what lacks, and nothing else is missing.
func TestServicePermissions(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for requests that NATS does not answer")
	}
	t.Parallel()
	if _, err := buildDaemon(); err != nil {
		t.Fatal(err)
	}
	lines := slices.DeleteFunc(allowed(t), func(p permission) bool { return !p.ofService() })
	if len(lines) != 7 {
		t.Fatalf("the file has %v", lines)
	}
	var wg sync.WaitGroup
	for _, lacks := range append(lines, permission{user: "nobody"}, permission{user: "yesterday"}) {
		wg.Go(func() {
			t.Run(lacks.user+" without "+lacks.way+" "+lacks.subject, func(t *testing.T) { newGuardedOf(t, lacks, lacks.user == "yesterday").isAsked(t) })
		})
	}
	wg.Wait()
}

// isAsked lets roomwatch run, asks it over NATS, and looks at what it says of that, also
// when NATS was away.
func (g *guarded) isAsked(t *testing.T) {
	const warning = `msg="service over NATS is not allowed"`
	p := startProcess(t, g.as("roomwatch", t.TempDir()), "run")
	eventually(t, "events", func() bool { return g.messages() > 30 })
	ofRoomwatch := g.lacks.user == "roomwatch" || g.yesterday
	for _, again := range []bool{false, true} {
		if again {
			g.stopNATS()
			g.up()
			before := g.messages()
			eventually(t, "events after the restart", func() bool {
				_ = g.world.Enter(g.world.Truth().Lives[0].RoomID, 1)
				return g.messages() > before+1
			})
		}
		js, told := g.subscriber(t)
		for subject, line := range map[string]string{"roomwatch.88888888.rooms": "roomwatch.*.rooms", "roomwatch.88888888.room": "roomwatch.*.room", "roomwatch.88888888.status": "roomwatch.*.status", "$SRV.PING.roomwatch": "$SRV.>"} {
			answered := !g.yesterday && g.lacks.subject != line && (g.lacks.subject != "roomwatch.*.>" || subject[0] == '$') && g.lacks.subject != "_INBOX.>"
			ok := func() bool {
				body := `{"RoomId":"` + g.world.Truth().Live()[0].RoomID + `"}`
				if subject != "roomwatch.88888888.room" {
					body = ""
				}
				m, err := js.Conn().Request(subject, []byte(body), time.Second)
				return err == nil && m.Header.Get("Nats-Service-Error") == "" && len(m.Data) > 0
			}
			if answered {
				eventually(t, subject, ok)
			} else if ok() {
				t.Errorf("%s is answered", subject)
			}
		}
		if g.lacks.user == "subscriber" {
			if err := <-told; !errors.Is(err, nats.ErrPermissionViolation) || !g.lacks.names(err.Error()+"; grant it") {
				t.Errorf("the subscriber is told %v", err)
			}
		}
		js.Conn().Close()
		if ofRoomwatch {
			eventually(t, "a warning", func() bool { return strings.Contains(p.output.String(), warning) })
		}
	}
	said := lines(p.output.String(), warning)
	if n := strings.Count(said, "\n"); n > 1 || (n == 1) != ofRoomwatch || n == 1 && !g.yesterday && !g.lacks.names(said) {
		t.Errorf("warnings: %q", said)
	}
	if out := p.output.String(); strings.Contains(lines(out, " fail"), "ermission") {
		t.Errorf("an outage:\n%s", out)
	}
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}
