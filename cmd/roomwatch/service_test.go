package main

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/poller/simulator"
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
	if out := p.output.String(); strings.Contains(lines(out, "condition=failing"), "ermission") {
		t.Errorf("an outage:\n%s", out)
	}
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d", status)
	}
}

// Where the stream has the subjects of the service it would store what is asked: then
// there is no service, and the log says why. What only begins alike is no such prefix.
func TestServiceBesideThePrefix(t *testing.T) {
	for prefix, clash := range map[string]bool{"roomwatch": true, "roomwatch.88888888": true, "roomwatch.888": false, "room": false} {
		t.Run(prefix, func(t *testing.T) {
			r := newRig(t, simulator.Config{Seed: 1, Rooms: 30, Quota: -1})
			p := startProcess(t, r.env(t.TempDir(), "ROOMWATCH_SUBJECT_PREFIX="+prefix), "run")
			js, err := jetstream.New(r.nc)
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "the rooms", func() bool {
				s, err := js.Stream(t.Context(), "LIVE")
				return err == nil && s.CachedInfo().State.Msgs > 30 // and the claim
			})
			ask := func() error {
				_, err := r.nc.Request("$SRV.PING.roomwatch", nil, time.Second)
				return err
			}
			if !clash {
				eventually(t, "the service", func() bool { return ask() == nil })
			} else if err := ask(); !errors.Is(err, nats.ErrNoResponders) {
				t.Errorf("it is asked: %v", err)
			}
			if said := lines(p.output.String(), `msg="no service over NATS"`); (said != "") != clash || clash && !strings.Contains(said, "ROOMWATCH_SUBJECT_PREFIX") {
				t.Errorf("the log has %q", said)
			}
		})
	}
}
