package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff/logtest"
	"roomwatch/publisher/events"
)

// Several installations of the real binary are killed at random moments while
// events come and the receiver fails now and then. Each of them tells each
// notification at least once, and whenever an id comes again, it says the same.
func TestKilledAtRandom(t *testing.T) {
	names, kills := []string{"n0", "n1", "n2", "n3", "n4", "n5"}, 2
	if testing.Short() { // under the race detector, which does not see the binary
		names, kills = names[:2], 1
	}
	b := newBench(t, "targets:\n  hook: {kind: webhook, url: \"${HOOK_URL}\", secret: \"${HOOK_SECRET}\", tries: 20}\nrules:\n  all: {events: [room.created, room.ended], milestones: [5, 10], targets: [hook]}\n")
	bin := filepath.Join(t.TempDir(), "roomnotify")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	b.to.answers(func(w http.ResponseWriter, _ *http.Request) bool {
		if rand.N(12) == 0 {
			w.WriteHeader(http.StatusInternalServerError)
			return true
		}
		time.Sleep(rand.N(100 * time.Millisecond)) // so that most of the killed had something on its way
		return false
	})
	logs := &logtest.Buffer{}
	start := func(name string) (*exec.Cmd, *logtest.Buffer) {
		own := &logtest.Buffer{}
		cmd := exec.Command(bin, "run") //nolint:noctx // killed by hand
		cmd.Env = append(b.env(), "ROOMNOTIFY_NAME="+name)
		cmd.Stderr = io.MultiWriter(logs, own)
		if err := cmd.Start(); err != nil {
			t.Error(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		return cmd, own
	}
	var work sync.WaitGroup
	begun, published := make(chan struct{}, len(names)), make(chan struct{})
	for i, name := range names {
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		work.Go(func() {
			cmd, _ := start(name)
			waitFor(t, "a position in the events", func() bool {
				_, err := b.js.Consumer(t.Context(), "LIVE", name+"-hook")
				return err == nil
			})
			begun <- struct{}{}
			var own *logtest.Buffer
			for n := range kills {
				// What a dead one had taken NATS keeps back for ackWait.
				life := time.Duration(n)*ackWait + time.Duration(rng.Int64N(int64(1500*time.Millisecond)))
				time.Sleep(life)
				_ = cmd.Process.Kill()
				_ = cmd.Wait()
				cmd, own = start(name)
			}
			waitFor(t, name+" starts", func() bool { return strings.Contains(own.String(), "roomnotify started") })
			<-published
			waitFor(t, "all is acknowledged by "+name, func() bool {
				c, err := b.js.Consumer(t.Context(), "LIVE", name+"-hook")
				return err == nil && c.CachedInfo().NumAckPending == 0 && c.CachedInfo().NumPending == 0 && c.CachedInfo().Delivered.Stream > 0
			})
			_ = cmd.Process.Signal(syscall.SIGTERM)
			if err := cmd.Wait(); err != nil {
				t.Errorf("%s after SIGTERM: %v", name, err)
			}
		})
	}
	for range names {
		<-begun
	}
	want := b.publish(45)
	close(published)
	work.Wait()
	b.judge(names, want, logs.String())
}

// publish puts the lives of rooms on the stream, and returns the ends of the ids
// of what has to be told.
func (b *bench) publish(rooms int) (want []string) {
	b.t.Helper()
	seq := uint64(0)
	put := func(e events.Event, told ...string) {
		body, err := events.Encode(e)
		if err == nil {
			_, err = b.js.Publish(b.t.Context(), events.SubjectOf("live", e), body, jetstream.WithMsgID(e.ID))
		}
		if err != nil {
			b.t.Fatal(err)
		}
		for _, s := range told {
			want = append(want, e.ID+"_hook_all"+s)
		}
		time.Sleep(15 * time.Millisecond)
	}
	for i := range rooms {
		room := fmt.Sprintf("room%d", i)
		seq++
		put(roomEvent(seq, room, time.Now()), "")
		for views := int64(1); views <= 10; views++ {
			seq++
			e := roomEvent(seq, room, time.Now())
			before := views - 1
			e.Type, e.Data.Version, e.Data.Room.ViewCount, e.Data.Previous = events.ViewCountChanged, uint64(views+1), views, &events.Previous{ViewCount: &before}
			var told []string
			if views%5 == 0 {
				told = []string{fmt.Sprintf("_%d", views)}
			}
			put(e, told...)
		}
		seq++
		e := roomEvent(seq, room, time.Now())
		e.Type, e.Data.Version = events.RoomEnded, 12
		put(e, "")
	}
	return want
}

// judge compares what was told with what had to be.
func (b *bench) judge(names, want []string, logs string) {
	b.t.Helper()
	counts, bodies := map[string]int{}, map[string]string{}
	again := 0
	for _, q := range b.to.requests("") {
		if before, known := bodies[q.id]; known && before != q.body {
			b.t.Errorf("id %s says two things:\n%s\n%s", q.id, before, q.body)
		}
		bodies[q.id] = q.body
		if q.answered == http.StatusOK {
			counts[q.id]++
		}
	}
	for _, id := range want {
		if counts[id] < len(names) {
			b.t.Errorf("%s was told %d times by %d installations", id, counts[id], len(names))
		}
		again += counts[id] - len(names)
	}
	if len(counts) != len(want) {
		b.t.Errorf("%d ids were told, want %d", len(counts), len(want))
	}
	if strings.Contains(logs, "hush") || strings.Contains(logs, hookSecret) {
		b.t.Errorf("a secret is in the log:\n%s", logs)
	}
	b.t.Logf("%d installations, %d notifications each, %d told more than once", len(names), len(want), again)
	if again == 0 && !testing.Short() {
		b.t.Error("nothing was told twice: no kill came between a request and its acknowledgement, and this test shows nothing")
	}
	if b.t.Failed() {
		b.t.Log(logs)
	}
}

// waitFor waits for what another process does.
func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Errorf("never: %s", what)
}
