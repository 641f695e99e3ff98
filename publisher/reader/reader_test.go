package reader

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natstest"
)

// A world is a stream behind a network that can lose what is sent.
type world struct {
	t    *testing.T
	net  *natstest.Leaderless
	near jetstream.JetStream // not over that network
	far  jetstream.JetStream
}

func run(t *testing.T, f func(w *world)) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		w := &world{t: t, net: &natstest.Leaderless{}}
		w.near = natstest.Live(t, s.Connect())
		w.publish("a")
		s.Tap(w.net.Tap)
		nc := s.Connect()
		var err error
		if w.far, err = jetstream.New(nc); err != nil {
			t.Fatal(err)
		}
		f(w)
		w.net.Lose()
		nc.Close()
		time.Sleep(2 * time.Minute) // the library tries for a while
	})
}

func (w *world) publish(body string) {
	w.t.Helper()
	if _, err := w.near.Publish(w.t.Context(), "live.x", []byte(body)); err != nil {
		w.t.Fatal(err)
	}
}

// open returns a reader that has read the first message.
func (w *world) open(ctx context.Context, c Config) *Reader {
	w.t.Helper()
	c.Stream = "LIVE"
	r, err := Open(ctx, w.far, c)
	if err != nil {
		w.t.Fatal(err)
	}
	w.want(r, "a")
	return r
}

func (w *world) want(r *Reader, body string) {
	w.t.Helper()
	msg, _, err := r.Next(w.t.Context(), time.Minute)
	if err != nil || string(msg.Data()) != body {
		w.t.Fatalf("read %v, %v, want %s", msg, err, body)
	}
}

// R1: also while the library makes the consumer anew, which nobody answers.
func TestStopEndsAtOnce(t *testing.T) {
	run(t, func(w *world) {
		ctx, cancel := context.WithCancel(w.t.Context())
		r := w.open(ctx, Config{Resets: 5})
		w.net.Cut("CONSUMER.CREATE")
		time.Sleep(12 * time.Second)
		ended := make(chan error, 1)
		go func() {
			_, _, err := r.Next(ctx, 0)
			ended <- err
		}()
		time.Sleep(100 * time.Millisecond)
		began := time.Now()
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			w.t.Errorf("it ended with %v", err)
		}
		r.Close()
		if took := time.Since(began); took > 0 {
			w.t.Errorf("it took %v", took)
		}
	})
}

// R2: without an answer it ends, and not with a time-out, which would not be the end.
func TestUnansweredResetIsAnError(t *testing.T) {
	run(t, func(w *world) {
		r := w.open(w.t.Context(), Config{})
		defer r.Close()
		w.net.Cut("CONSUMER.CREATE")
		_, _, err := r.Next(w.t.Context(), 10*time.Minute)
		if err == nil || errors.Is(err, nats.ErrTimeout) {
			w.t.Errorf("it ended with %v", err)
		}
		if _, _, err := r.Next(w.t.Context(), time.Minute); !errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			w.t.Errorf("after its end: %v", err)
		}
	})
}

// R3: who has to know is told, and nobody else has a gap.
func TestConsumerMadeAnew(t *testing.T) {
	for _, moved := range []bool{false, true} {
		run(t, func(w *world) {
			r := w.open(w.t.Context(), Config{Moved: moved})
			defer r.Close()
			w.net.Cut()
			time.Sleep(30 * time.Second)
			w.publish("b")
			if !moved {
				w.want(r, "b")
			} else if _, _, err := r.Next(w.t.Context(), time.Minute); !errors.Is(err, ErrMoved) {
				w.t.Errorf("it goes on: %v", err)
			}
		})
	}
}

// That nothing comes is not the end, and at the end no consumer is left.
func TestIdleAndDropped(t *testing.T) {
	run(t, func(w *world) {
		r := w.open(w.t.Context(), Config{Drop: true})
		if _, _, err := r.Next(w.t.Context(), time.Second); !errors.Is(err, nats.ErrTimeout) {
			w.t.Errorf("while nothing comes: %v", err)
		}
		w.publish("b")
		w.want(r, "b")
		r.Close()
		s, err := w.near.Stream(w.t.Context(), "LIVE")
		if err != nil {
			w.t.Fatal(err)
		}
		if n := s.CachedInfo().State.Consumers; n != 0 {
			w.t.Errorf("%d consumers are left", n)
		}
	})
}
