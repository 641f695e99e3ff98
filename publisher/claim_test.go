package publisher

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"roomwatch/publisher/natstest"
	"roomwatch/publisher/streams"
)

// Each claim is stored only on top of the one that its writer has seen: two
// that start together cannot both believe themselves the writer, and a claim
// that comes late is refused.
func TestClaimNamesTheOneBefore(t *testing.T) {
	bubble(t, func(t *testing.T, s *natstest.Server, nc *nats.Conn, b *box) {
		first := start(t, nc, b)
		pass(time.Second)
		s.Down() // so that the first claims again
		s.Up()
		pass(time.Minute)
		start(t, s.Connect(), newBox("E2"))
		pass(time.Second)

		in := stream(t, nc, nil)
		info, err := in.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var claims int
		var before uint64
		for seq := uint64(1); seq <= info.State.LastSeq; seq++ {
			m, err := in.GetMsg(t.Context(), seq)
			if err != nil {
				t.Fatal(err)
			}
			if m.Subject != claimSubject("live", app) {
				continue
			}
			claims++
			if got := m.Header.Get(jetstream.ExpectedLastSubjSeqHeader); got != strconv.FormatUint(before, 10) {
				t.Errorf("claim %d expects %q before it, want %d", seq, got, before)
			}
			var c envelope[claim]
			if err := json.Unmarshal(m.Data, &c); err != nil {
				t.Fatal(err)
			}
			if c.Type != claimType || c.ID != m.Header.Get(nats.MsgIdHdr) || c.Subject != c.Data.Instance || c.Data.Host == "" || c.Data.Version != "test" {
				t.Errorf("claim %+v", c)
			}
			before = seq
		}
		if claims != 3 {
			t.Errorf("%d claims, want 3\n%s", claims, first.log)
		}
	})
}

// The sequences of a stream that was deleted and made again must not give a
// claim the number of an old fence.
func TestLateMessageAfterTheStreamWasDeleted(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
		r := start(t, nc, b)
		pass(time.Second)
		late := message(Subject("live", "room.created", app, "late"), "late", []byte("{}"))
		setFence(late, r.Status().Fence, claimSubject("live", app))
		if err := r.js.DeleteStream(t.Context(), live.Name); err != nil {
			t.Fatal(err)
		}
		b.add(1)
		pass(time.Minute)
		if _, err := r.js.PublishMsg(t.Context(), late); outcomeOf(err) != fenced {
			t.Errorf("the late message: %v", err)
		}
		wantEvents(t, nc, 1, 1)
	})
}

// In a stream that turns over the claim goes with the oldest messages. Whose it
// was claims anew; that is no failure, however often it comes.
func TestClaimIsDiscarded(t *testing.T) {
	bubble(t, func(t *testing.T, s *natstest.Server, nc *nats.Conn, b *box) {
		stream(t, nc, func(c *jetstream.StreamConfig) { c.MaxBytes = streams.LeastBytes })
		r := start(t, nc, b)
		pass(time.Second)
		claims := testutil.ToFloat64(r.metrics.claims)
		for range 20 { // each turns the stream over
			b.add(4000)
			pass(time.Minute)
		}
		for range 3 { // and so does somebody else, between two events
			for range 5 {
				send(t, nc, "live.ballast", make([]byte, streams.LeastBytes/4))
			}
			b.add(1)
			pass(time.Second)
		}
		if _, stored, assigned := b.Position(); stored != assigned || r.Status().LastError != nil {
			t.Errorf("%d of %d events are stored: %v", stored, assigned, r.Status().LastError)
		}
		if n := testutil.ToFloat64(r.metrics.claims) - claims; n < 10 {
			t.Errorf("%v claims were renewed: the stream does not turn over", n)
		}
		for _, word := range []string{"WARN", "recovered"} {
			if strings.Contains(r.log.String(), word) {
				t.Errorf("%s in the log:\n%s", word, r.log)
			}
		}
		// Another's claim is still one that ends it, also where ours was discarded.
		for range 5 {
			send(t, nc, "live.ballast", make([]byte, streams.LeastBytes/4))
		}
		other := start(t, s.Connect(), newBox("E2"))
		pass(time.Second)
		b.add(1)
		r.wantEnd(t)
		if !errors.Is(r.err, ErrFenced) || other.Status().Fence == 0 {
			t.Errorf("ended with %v", r.err)
		}
	})
}

// A first claim can be stored although its acknowledgement is lost. Who has
// claimed after it is the writer: the first must not take over again when it
// hears from NATS. Where its claim was lost, it was never the writer, and takes
// over from the one that it found.
func TestFirstClaimIsNotAnswered(t *testing.T) {
	tests := []struct {
		name   string
		lose   func(*cut) *atomic.Bool
		later  bool // another one claims meanwhile
		writes bool // the first, in the end
	}{
		{name: "stored, and another one came", lose: func(c *cut) *atomic.Bool { return &c.answers }, later: true},
		{name: "stored", lose: func(c *cut) *atomic.Bool { return &c.answers }, writes: true},
		{name: "lost, and another one came", lose: func(c *cut) *atomic.Bool { return &c.requests }, later: true},
		{name: "lost", lose: func(c *cut) *atomic.Bool { return &c.requests }, writes: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, s *natstest.Server, nc *nats.Conn, b *box) {
				earlier := start(t, nc, newBox("E0"))
				pass(time.Second)
				if err := earlier.stop(); err != nil {
					t.Fatal(err)
				}
				witness, second := s.Connect(), s.Connect()
				var c cut
				s.Tap(func(conn net.Conn) (net.Conn, error) {
					conn, err := c.tap(conn)
					return &watchedConn{Conn: conn, what: "HPUB live.writer.claimed.", do: func() { tt.lose(&c).Store(true) }}, err
				})
				nc = s.Connect()
				s.Tap(c.tap)
				first := start(t, nc, b)
				pass(2 * requestTimeout)
				if first.Status().Fence > 0 {
					t.Fatal("the claim was answered")
				}
				if tt.later {
					start(t, second, newBox("E2"))
					pass(time.Second)
				}
				c.heal()
				pass(time.Minute)
				b.add(1)
				pass(time.Minute)
				select {
				case <-first.done:
					if tt.writes || !errors.Is(first.err, ErrFenced) {
						t.Errorf("the first has ended: %v", first.err)
					}
				default:
					if !tt.writes {
						t.Error("the first goes on")
					}
				}
				if tt.writes {
					wantEvents(t, witness, 1, 1)
				}
			})
		})
	}
}

// A watchedConn does something before what it watches for is first sent over it.
type watchedConn struct {
	net.Conn
	what string
	once sync.Once
	do   func()
}

func (c *watchedConn) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte(c.what)) {
		c.once.Do(c.do)
	}
	return c.Conn.Write(b)
}

// A claim that reaches the stream's maximum age would leave the writer fenced.
func TestClaimIsRenewed(t *testing.T) {
	bubble(t, func(t *testing.T, s *natstest.Server, nc *nats.Conn, b *box) {
		stream(t, nc, func(c *jetstream.StreamConfig) { c.MaxAge = 10 * time.Hour })
		r := start(t, nc, b)
		pass(time.Second)
		fence := r.Status().Fence
		pass(5*time.Hour - 2*time.Second)
		if got := r.Status().Fence; got != fence {
			t.Errorf("fence %d became %d before half of the maximum age", fence, got)
		}
		pass(2 * time.Second)
		if got := r.Status().Fence; got == fence {
			t.Error("the claim is not renewed at half of the maximum age")
		}
		s.Down() // until all that is stored is too old
		b.add(3)
		pass(30 * time.Hour)
		s.Up()
		pass(time.Minute)
		if err := r.Status().LastError; err != nil {
			t.Error(err)
		}
		wantEvents(t, nc, 1, 3)
	})
}

// backlogged is an outbox that is never empty: each batch takes ten minutes, and
// as many events come meanwhile.
type backlogged struct{ *box }

func (b *backlogged) Stored(seq uint64) error {
	time.Sleep(10 * time.Minute)
	_, stored, _ := b.Position()
	b.add(int(seq - stored))
	return b.box.Stored(seq)
}

// A claim is renewed in time also while events wait without end.
func TestClaimIsRenewedInABacklog(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
		stream(t, nc, func(c *jetstream.StreamConfig) { c.MaxAge = 10 * time.Hour })
		b.add(20)
		r := start(t, nc, &backlogged{b})
		pass(time.Minute)
		fence := r.Status().Fence
		pass(5*time.Hour + 10*time.Minute)
		if now := r.Status(); now.Fence == fence || now.Stored < 500 || now.LastError != nil {
			t.Errorf("the claim is not renewed at half of the maximum age: fence %d, then %+v", fence, now)
		}
	})
}
