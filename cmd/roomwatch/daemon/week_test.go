//go:debug randautoseed=0

package daemon

import (
	"context"
	"flag"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/events"
)

var (
	weekDays = flag.Float64("days", 0, "simulated days of TestWeek; 0: some hours")
	weekSeed = flag.Uint64("seed", 0, "seed of TestWeek; 0: the seeds of every run")
)

// TestWeek lets the whole daemon live in a simulated world with every fault that the
// world knows, and compares what it has told with the truth. The seed decides about the
// world, what happens to it and when, and the jitter of retries; how the goroutines of
// the daemon take turns is not in its hand.
//
// A seed that found a fault stays in the list, with what it found.
func TestWeek(t *testing.T) {
	seeds, long := []uint64{1, 2, 3}, 2*time.Hour
	if testing.Short() {
		seeds, long = seeds[:1], time.Hour
	}
	if *weekSeed > 0 {
		seeds = []uint64{*weekSeed}
	}
	if *weekDays > 0 {
		long = time.Duration(*weekDays * float64(24*time.Hour))
	}
	for _, seed := range seeds {
		plan := newPlan(seed, long)
		t.Run(plan.name(), func(t *testing.T) {
			began := time.Now()
			plan.run(t, (*week).judged)
			t.Logf("took %s", time.Since(began))
		})
	}
}

// judged plays the plan and judges it.
func (w *week) judged() {
	defer func() {
		if w.t.Failed() {
			w.t.Logf("%s\nthe newest that the daemon has said:\n%s", w.plan, tail(w.said.String(), 40))
		}
	}()
	w.play()
	if w.t.Failed() {
		return
	}
	w.settle()
	if n := w.service.MaxInSecond(); n > 10 {
		w.t.Errorf("%d requests of the list in a second", n)
	}
	w.t.Logf("%s", w.plan.world())
	s := w.judge.verifier.Summary()
	w.t.Logf("%d lives, %d requests, %d reads; %d events in %d epochs: %v; killed: %v; %d ends excused; digest %x",
		len(w.judge.lives), w.service.Requests(), w.service.InfoRequests(), s.Events, s.Epochs, w.judge.told, w.deaths, w.judge.excused, w.judge.digest.Sum64())
}

// look shows the truth to the judge, and sees that the daemon runs.
func (w *week) look() {
	w.judge.see(w.service.Truth())
	p := w.current.Load()
	select {
	case err := <-p.ended:
		p.ended <- err
		select {
		case <-p.killed:
		default:
			if p.stopped.Load() {
				return
			}
			w.t.Errorf("the daemon ended: %v", err)
		}
	default:
	}
}

// calm lets so much time pass in which nothing is wrong, and judges.
func (w *week) calm(d time.Duration) {
	w.live(d)
	w.read()
	w.judge.rest()
	if err := w.current.Load().d.store.Check(); err != nil {
		w.t.Errorf("state: %v", err)
	}
	w.report()
}

// settle lets the world stand still until all is told.
func (w *week) settle() {
	w.service.Freeze()
	for _, l := range w.service.Truth().Lives {
		if l.Ended.IsZero() && !l.Hidden.IsZero() {
			if err := w.service.Flip(l.RoomID); err != nil {
				w.t.Fatal(err)
			}
		}
	}
	var diffs []string
	for range 30 {
		w.live(time.Minute)
		w.read()
		if diffs = w.judge.differences(); len(diffs) == 0 {
			break
		}
	}
	w.judge.faults = append(w.judge.faults, diffs...)
	w.report()
}

func (w *week) report() {
	for i, f := range w.judge.faults {
		if i == 20 {
			w.t.Errorf("… and %d more", len(w.judge.faults)-i)
			break
		}
		w.t.Error(f)
	}
	w.judge.faults = nil
}

// read gives the judge what the stream has got since the last time.
func (w *week) read() {
	w.t.Helper()
	for range 60 {
		if w.nc.IsConnected() {
			break
		}
		time.Sleep(time.Second)
	}
	w.judge.see(w.service.Truth())
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	js, err := jetstream.New(w.nc)
	if err != nil {
		w.t.Fatal(err)
	}
	cons, err := js.OrderedConsumer(ctx, "LIVE", jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: w.seen + 1})
	if err != nil {
		w.t.Fatalf("read the stream: %v", err)
	}
	info, err := cons.Info(ctx)
	if err != nil {
		w.t.Fatalf("read the stream: %v", err)
	}
	msgs, err := cons.Messages()
	if err != nil {
		w.t.Fatalf("read the stream: %v", err)
	}
	defer msgs.Stop()
	for left := info.NumPending; left > 0; left-- {
		msg, err := msgs.Next(jetstream.NextMaxWait(time.Minute))
		if err != nil {
			w.t.Fatalf("read the stream: %v, %d messages left", err, left)
		}
		meta, err := msg.Metadata()
		if err != nil {
			w.t.Fatal(err)
		}
		w.seen = meta.Sequence.Stream
		w.judge.take(events.Message{Sequence: w.seen, Subject: msg.Subject(), ID: msg.Headers().Get(nats.MsgIdHdr), Body: msg.Data()}, meta.Timestamp)
	}
}

// tail returns the last lines of a text.
func tail(s string, n int) string {
	lines := slices.Collect(strings.Lines(s))
	return strings.Join(lines[max(0, len(lines)-n):], "")
}
