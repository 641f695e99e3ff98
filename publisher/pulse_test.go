package publisher

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"roomwatch/diff"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
)

// A seen is a watch in memory. It obeys the contract of [Watch].
type seen struct {
	mu    sync.Mutex
	pulse diff.Pulse
	gaps  []diff.Gap
	ended chan struct{}
	fail  error // of Told
}

func newSeen(gaps ...diff.Gap) *seen { return &seen{gaps: gaps, ended: make(chan struct{}, 1)} }

func (w *seen) Pulse() diff.Pulse {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pulse
}

func (w *seen) Gap() (g diff.Gap, waits bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.gaps) == 0 {
		return g, false
	}
	return w.gaps[0], true
}

func (w *seen) GapEnded() <-chan struct{} { return w.ended }

func (w *seen) Told(diff.Gap) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.fail != nil {
		return w.fail
	}
	w.gaps = w.gaps[1:]
	return nil
}

func (w *seen) end(g diff.Gap) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gaps = append(w.gaps, g)
	w.ended <- struct{}{}
}

// beats runs the pulse of a publisher until the end of the test, or stop.
func beats(t *testing.T, r *run, w Watch) (p *Pulse, stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	p = NewPulse(r.Publisher, w, nil)
	p.Begin()
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.Run(ctx)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return p, stop
}

// messages returns what the stream has on a subject, oldest first.
func messages(t *testing.T, nc *nats.Conn, subject string) (all []*jetstream.RawStreamMsg) {
	t.Helper()
	s := stream(t, nc, nil)
	for seq := uint64(1); ; {
		m, err := s.GetMsg(t.Context(), seq, jetstream.WithGetMsgSubject(subject))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all, seq = append(all, m), m.Sequence+1
	}
}

func decoded[T any](t *testing.T, m *jetstream.RawStreamMsg) envelope[T] {
	t.Helper()
	var e envelope[T]
	if err := json.Unmarshal(m.Data, &e); err != nil {
		t.Fatal(err)
	}
	if id := m.Header.Get(nats.MsgIdHdr); id != "" && id != e.ID || m.Header.Get("Content-Type") != contentType {
		t.Errorf("headers %v of %s", m.Header, e.ID)
	}
	return e
}

const (
	aliveOn   = "live.watch.alive.88888888"
	resumedOn = "live.watch.resumed.88888888"
)

// The pulse goes once a minute, and not while NATS is away, nor afterwards for that time.
func TestPulseGoesOnceAMinute(t *testing.T) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		nc := s.Connect()
		r := start(t, nc, newBox("E1"))
		w := newSeen()
		recall := 0.99
		now := time.Now()
		w.pulse = diff.Pulse{
			Watching: true, Until: now, Rooms: 7, Missing: 1, Hidden: 2, Waiting: 3, Recall: &recall,
			Sweep: &diff.Complete{Number: 17, Begin: now.Add(-time.Second), End: now, Rooms: 5},
		}
		p, _ := beats(t, r, w)
		pass(10*time.Minute + time.Second)
		got := messages(t, nc, aliveOn)
		if len(got) != 11 {
			t.Fatalf("%d pulses in ten minutes, want 11", len(got))
		}
		e := decoded[aliveData](t, got[10])
		end := &sweepEnd{Number: 17, Begin: onWire(now.Add(-time.Second)), End: onWire(now), Rooms: 5}
		want := aliveData{Watching: true, Until: onWire(now), Sweep: end, Rooms: 7, Missing: 1, Hidden: 2, Waiting: 3, Recall: &recall}
		if e.Type != "watch.alive" || e.Source != "/live/88888888" || e.Sequence != "" || e.Subject != r.me.Instance || !sameJSON(e.Data, want) {
			t.Errorf("pulse %s, want %+v", got[10].Data, want)
		}
		if n := testutil.ToFloat64(p.sent.WithLabelValues(aliveType)); n != 11 {
			t.Errorf("sent_total is %v, want 11", n)
		}
		s.Down()
		pass(5 * time.Minute)
		s.Up()
		pass(time.Minute + 30*time.Second)
		if n := len(messages(t, nc, aliveOn)); n < 12 || n > 13 {
			t.Errorf("%d pulses after five minutes without NATS and a minute with it, want 12 or 13", n)
		}
		if st := p.Status(); st.Error != nil || time.Since(st.Last) > time.Minute {
			t.Errorf("status %+v", st)
		}
	})
}

// Who was a standby, and has become the writer, tells it as soon as it has read the list,
// and then once a minute.
func TestPulseOfANewWriter(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
		before := start(t, nc, b)
		_, stop := beats(t, before, newSeen())
		pass(time.Second)
		next, err := New(Config{Conn: natsconn.Of(nc), Outbox: newBox("E2"), Stream: live, SDKAppID: app})
		if err != nil {
			t.Fatal(err)
		}
		standing, rise := context.WithCancel(t.Context())
		stood := make(chan struct{})
		go func() { defer close(stood); next.Follow(standing) }()
		w := newSeen()
		w.pulse.Until = time.Now() // as the stream says
		pulse, _ := beats(t, &run{Publisher: next}, w)
		pass(50 * time.Second)
		stop()
		rise()
		<-stood
		writing, end := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- next.Run(writing, 1) }()
		defer func() {
			end()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}()
		pulse.Begin()
		pass(3 * time.Second)
		began := time.Now()
		w.mu.Lock()
		w.pulse.Until = began
		w.mu.Unlock()
		told := func() (n int) {
			for _, m := range messages(t, nc, aliveOn) {
				if e := decoded[aliveData](t, m); e.Subject == next.me.Instance && e.Data.Until == onWire(began) {
					n++
				}
			}
			return n
		}
		pass(2 * time.Second)
		if n := told(); n != 1 {
			t.Errorf("it has told %d times what it has read, want once", n)
		}
		pass(4*time.Minute + time.Second)
		if n := told(); n != 5 {
			t.Errorf("it has told %d times in four minutes more, want 5", n)
		}
	})
}

// A process that was fenced off tells nothing, and finds out by its pulse that it was.
func TestNoPulseWhileFenced(t *testing.T) {
	bubble(t, func(t *testing.T, s *natstest.Server, nc *nats.Conn, b *box) {
		r := start(t, nc, b)
		beats(t, r, newSeen())
		pass(time.Second)
		other := start(t, s.Connect(), newBox("E2"))
		pass(time.Second)
		before := len(messages(t, nc, aliveOn))
		r.wantEnd(t)
		if !errors.Is(r.err, ErrFenced) {
			t.Errorf("it ended with %v, want %v", r.err, ErrFenced)
		}
		pass(5 * time.Minute)
		if n := len(messages(t, nc, aliveOn)); n != before {
			t.Errorf("%d pulses of a process that is not the writer", n-before)
		}
		beats(t, other, newSeen())
		pass(time.Second)
		if n := len(messages(t, nc, aliveOn)); n != before+1 {
			t.Errorf("%d pulses of the writer, want 1", n-before)
		}
	})
}

// A stream that has let go of the claim, with its oldest messages, is no end of the pulse.
func TestPulseGoesOnWithoutItsClaim(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
		r := start(t, nc, b)
		p, _ := beats(t, r, newSeen())
		pass(time.Second)
		if err := stream(t, nc, nil).Purge(t.Context()); err != nil {
			t.Fatal(err)
		}
		pass(3 * time.Minute)
		if n := len(messages(t, nc, aliveOn)); n < 2 {
			t.Errorf("%d pulses in three minutes, want 2", n)
		}
		if err := p.Status().Error; err != nil {
			t.Error(err)
		}
	})
}

// A gap is told when it has ended, with what took the longest part of it.
func TestResumedSaysWhy(t *testing.T) {
	at := func(minutes float64) time.Time {
		return time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC).Add(time.Duration(minutes * float64(time.Minute)))
	}
	tests := []struct {
		name                string
		ran, started, begun time.Time
		want                why
	}{
		{name: "no process", ran: at(0.5), started: at(9), begun: at(9), want: stopped},
		{name: "the process before never told", started: at(9), begun: at(9), want: stopped},
		{name: "the service was away", started: at(-60), begun: at(-60), want: unreachable},
		{name: "restarted while it was away", ran: at(8), started: at(8.5), begun: at(8.5), want: unreachable},
		{name: "no process for less than it was away", ran: at(0), started: at(3), begun: at(3), want: unreachable},
		{name: "stood by", ran: at(0.5), started: at(-60), begun: at(9), want: standby},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := &Pulse{pub: &Publisher{ranUntil: tt.ran}, started: tt.started, begun: tt.begun}
			if got := p.why(diff.Gap{From: at(0), To: at(10)}); got != tt.want {
				t.Errorf("why is %s, want %s", got, tt.want)
			}
		})
	}
}

// A gap is told once, whatever dies between the stream and the state, and however late.
func TestResumedIsToldOnce(t *testing.T) {
	bubble(t, func(t *testing.T, s *natstest.Server, nc *nats.Conn, b *box) {
		r := start(t, nc, b)
		w := newSeen()
		w.fail = errors.New("killed")
		_, stop := beats(t, r, w)
		pass(10 * time.Minute)
		g := diff.Gap{From: time.Now().Add(-10 * time.Minute), To: time.Now().Add(-time.Second)}
		w.end(g)
		pass(time.Second)
		got := messages(t, nc, resumedOn)
		if len(got) != 1 {
			t.Fatalf("%d messages, want 1", len(got))
		}
		e := decoded[resumedData](t, got[0])
		if want := "resumed-" + onWire(g.From); e.ID != want || e.Data != (resumedData{onWire(g.From), onWire(g.To), unreachable}) {
			t.Errorf("told %s, want %s of %v", got[0].Data, want, g)
		}
		stop()
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour) // NATS has forgotten the id
		again := start(t, s.Connect(), b)
		w.fail = nil
		beats(t, again, w)
		pass(time.Minute)
		if n := len(messages(t, nc, resumedOn)); n != 1 {
			t.Errorf("told %d times", n)
		}
		if _, waits := w.Gap(); waits {
			t.Error("the gap still waits")
		}
		if !b.gapTo.Equal(g.To.Truncate(time.Millisecond)) || b.until.Before(b.gapTo) {
			t.Errorf("the next start knows a watch until %v and a gap until %v, want %v", b.until, b.gapTo, g.To)
		}
	})
}

// Two applications whose gaps began in the same millisecond are both told of.
func TestResumedOfTwoApplications(t *testing.T) {
	bubble(t, func(t *testing.T, s *natstest.Server, nc *nats.Conn, b *box) {
		first := start(t, nc, b)
		second := startWith(t, Config{Conn: natsconn.Of(s.Connect()), Outbox: newBox("E2"), SDKAppID: app + 1})
		pass(10 * time.Minute)
		g := diff.Gap{From: time.Now().Add(-10 * time.Minute), To: time.Now()}
		for _, r := range []*run{first, second} {
			beats(t, r, newSeen(g))
		}
		pass(time.Second)
		for _, subject := range []string{resumedOn, "live.watch.resumed.88888889", aliveOn, "live.watch.alive.88888889"} {
			if n := len(messages(t, nc, subject)); n != 1 {
				t.Errorf("%d messages on %s, want 1", n, subject)
			}
		}
	})
}

// Gaps are told in their order, before the pulse that follows them.
func TestGapsComeBeforeThePulse(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
		r := start(t, nc, b)
		now := time.Now()
		beats(t, r, newSeen(diff.Gap{From: now.Add(-time.Hour), To: now.Add(-50 * time.Minute)}, diff.Gap{From: now.Add(-10 * time.Minute), To: now}))
		pass(time.Second)
		var types []string
		for _, m := range messages(t, nc, "live.watch.>") {
			types = append(types, decoded[json.RawMessage](t, m).ID[:11])
		}
		if len(types) != 3 || !strings.HasPrefix(types[0], "resumed") || !strings.HasPrefix(types[1], "resumed") || strings.HasPrefix(types[2], "resumed") {
			t.Errorf("told %q, want two gaps and the pulse", types)
		}
	})
}

// Permissions of before the pulse cost the pulse alone: it is told of once, and events are stored.
func TestPulseThatIsNotAllowed(t *testing.T) {
	t.Parallel()
	s := serve(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"live.watch.>"}}}}}
	})
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{InProcess: s, User: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b := newBox("E1")
	r := startWith(t, Config{Conn: conn, Outbox: b})
	p, _ := beats(t, r, newSeen())
	for end := time.Now().Add(20 * time.Second); p.Status().Error == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing is told")
		}
	}
	p.watch.(*seen).ended <- struct{}{} // no reason to ask again
	b.add(3)
	for end := time.Now().Add(20 * time.Second); r.Status().Stored < 3; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("events are not stored: %v", r.Status().LastError)
		}
	}
	said := r.log.String()
	if n := strings.Count(said, "pulse fails"); n != 1 || !strings.Contains(said, "live.watch.alive.88888888") || !strings.Contains(said, "grant it") {
		t.Errorf("it is told %d times: %s", n, said)
	}
	if st := r.Status(); st.LastError != nil || !st.Writing || !errors.Is(st.Pulse.Error, nats.ErrPermissionViolation) {
		t.Errorf("status %+v", st)
	}
}
