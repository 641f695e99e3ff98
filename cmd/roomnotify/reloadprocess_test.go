package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff/logtest"
	"roomwatch/publisher/events"
)

// build returns the real binary.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "roomnotify")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

// The real binary reads its rule file again at a real SIGHUP, and by the real
// command: a new target gets the next event, and the old one gets each event once,
// those too that come or are on their way meanwhile.
func TestReloadOfTheProcess(t *testing.T) {
	bin := build(t)
	for cause, ask := range map[string]func(b *bench, daemon *exec.Cmd){
		"SIGHUP": func(_ *bench, daemon *exec.Cmd) {
			if err := daemon.Process.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
		},
		"roomnotify reload": func(b *bench, _ *exec.Cmd) {
			cmd := exec.CommandContext(t.Context(), bin, "reload")
			cmd.Env = b.env()
			out, err := cmd.CombinedOutput()
			if host, _ := os.Hostname(); err != nil || string(out) != "reloaded on "+host+": 1 rule, 2 targets\n" {
				t.Errorf("the command: %v:\n%s", err, out)
			}
		},
	} {
		t.Run(strings.ReplaceAll(cause, " ", "-"), func(t *testing.T) { reloadProcess(t, bin, cause, ask) })
	}
}

func reloadProcess(t *testing.T, bin, cause string, ask func(*bench, *exec.Cmd)) {
	const target = "  %s: {kind: webhook, url: \"${HOOK_URL}\", secret: \"${HOOK_SECRET}\", timeout: 1m}\n"
	one, two := fmt.Sprintf(target, "one"), fmt.Sprintf(target, "two")
	b := newBench(t, "targets:\n"+one+"rules:\n  all: {events: [room.created], late: true, targets: [one]}\n")
	b.to.answers(func(http.ResponseWriter, *http.Request) bool {
		time.Sleep(100 * time.Millisecond) // so that some are on their way
		return false
	})
	log := &logtest.Buffer{}
	daemon := exec.Command(bin, "run") //nolint:noctx // ended by a signal
	daemon.Env, daemon.Stderr = b.env(), log
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = daemon.Process.Kill() })
	reads := func(target string) {
		t.Helper()
		soon(t, target+" is told what is new", func() bool {
			c, err := b.js.Consumer(t.Context(), "LIVE", "notify-"+target)
			return err == nil && c.CachedInfo().NumWaiting > 0
		})
	}
	reads("one")
	ctx, stop := context.WithCancel(t.Context())
	var want []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		want = b.trickle(ctx)
	}()
	defer func() {
		stop()
		<-done
	}()
	soon(t, "something is told", func() bool { return len(b.to.requests("")) > 5 })
	put(t, b.rules, "targets:\n"+one+two+"rules:\n  all: {events: [room.created], late: true, targets: [one, two]}\n")
	ask(b, daemon)
	soon(t, "the log tells of it", func() bool {
		return strings.Contains(log.String(), `msg="rule file reloaded" cause="`+cause+`"`) || strings.Contains(log.String(), `msg="rule file reloaded" cause=`+cause+" ")
	})
	reads("two")
	stop()
	<-done
	last := roomEvent(uint64(len(want)+1), "last", time.Now())
	want = append(want, b.put(last))
	soon(t, "the new target is told what comes next", func() bool { return b.counts()[last.ID+"_two_all"] > 0 })
	soon(t, "the old target is told everything", func() bool {
		counts := b.counts()
		for _, id := range want {
			if counts[id+"_one_all"] == 0 {
				return false
			}
		}
		return true
	})
	if err := daemon.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := daemon.Wait(); err != nil {
		t.Errorf("after SIGTERM: %v", err)
	}
	for id, n := range b.counts() {
		if n != 1 {
			t.Errorf("%s was told %d times", id, n)
		}
	}
	t.Logf("%d events; %d notifications", len(want), len(b.counts()))
	if t.Failed() {
		t.Log(log)
	}
}

// trickle publishes new rooms until ctx is done, and returns the ids of their events.
func (b *bench) trickle(ctx context.Context) (ids []string) {
	for {
		select {
		case <-ctx.Done():
			return ids
		case <-time.After(50 * time.Millisecond):
			ids = append(ids, b.put(roomEvent(uint64(len(ids)+1), fmt.Sprintf("room%d", len(ids)), time.Now())))
		}
	}
}

// put publishes an event, and returns its id.
func (b *bench) put(e events.Event) string {
	body, err := events.Encode(e)
	if err == nil {
		ctx, cancel := context.WithTimeout(b.t.Context(), 30*time.Second)
		defer cancel()
		_, err = b.js.Publish(ctx, events.SubjectOf("live", e), body, jetstream.WithMsgID(e.ID))
	}
	if err != nil {
		b.t.Error(err)
	}
	return e.ID
}

// counts says how often each notification was accepted.
func (b *bench) counts() map[string]int {
	counts := map[string]int{}
	for _, q := range b.to.requests("") {
		if q.answered == http.StatusOK {
			counts[q.id]++
		}
	}
	return counts
}
