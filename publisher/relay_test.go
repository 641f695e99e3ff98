package publisher

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"roomwatch/publisher/natstest"
	"roomwatch/publisher/streams"
)

// Whatever happens on the way, the stream has each event once and in order.
func TestExactlyOnce(t *testing.T) {
	tests := []struct {
		name   string
		faults func(s *natstest.Server, c *cut, b *box)
	}{
		{name: "no fault", faults: func(_ *natstest.Server, _ *cut, b *box) { b.add(1200) }},
		{name: "one by one", faults: func(_ *natstest.Server, _ *cut, b *box) {
			for range 20 {
				b.add(1)
				pass(time.Second)
			}
		}},
		{name: "server away for an hour", faults: func(s *natstest.Server, _ *cut, b *box) {
			b.add(10)
			pass(time.Second)
			s.Down()
			b.add(1100)
			pass(time.Hour)
			s.Up()
		}},
		{name: "restarts under load", faults: func(s *natstest.Server, _ *cut, b *box) {
			for range 3 {
				b.add(300)
				time.Sleep(time.Millisecond)
				s.Down()
				b.add(300)
				pass(10 * time.Second)
				s.Up()
			}
		}},
		{name: "acks lost for a moment", faults: func(_ *natstest.Server, c *cut, b *box) {
			c.answers.Store(true)
			b.add(100)
			pass(time.Second)
			c.heal()
		}},
		{name: "acks lost for longer than ids are remembered", faults: func(_ *natstest.Server, c *cut, b *box) {
			c.answers.Store(true)
			b.add(100)
			pass(10 * time.Minute)
			c.heal()
		}},
		{name: "one ack lost for longer than ids are remembered", faults: func(_ *natstest.Server, c *cut, b *box) {
			c.answers.Store(true)
			b.add(1)
			pass(10 * time.Minute)
			c.heal()
		}},
		{name: "requests lost", faults: func(_ *natstest.Server, c *cut, b *box) {
			c.requests.Store(true)
			b.add(100)
			pass(10 * time.Minute)
			c.heal()
		}},
		{name: "ack lost, then the server is away", faults: func(s *natstest.Server, c *cut, b *box) {
			c.answers.Store(true)
			b.add(100)
			pass(time.Second)
			s.Down()
			pass(time.Hour)
			c.heal()
			s.Up()
		}},
	}
	for _, tt := range tests {
		for _, batches := range []bool{true, false} {
			name := tt.name
			if !batches {
				name += ", without batches"
			}
			t.Run(name, func(t *testing.T) {
				natstest.Run(t, func(t *testing.T, s *natstest.Server) {
					witness := s.Connect()
					stream(t, witness, func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = batches })
					var c cut
					s.Tap(c.tap)
					b := newBox("E1")
					r := start(t, s.Connect(), b)
					pass(time.Second)
					tt.faults(s, &c, b)
					pass(3 * time.Minute)
					_, stored, assigned := b.Position()
					if stored != assigned || r.Status().LastError != nil {
						t.Errorf("%d of %d events are stored, last error %v\n%s", stored, assigned, r.Status().LastError, r.log)
					}
					if b.rebuilds > 0 {
						t.Errorf("%d rebuilds", b.rebuilds)
					}
					wantEvents(t, witness, 1, assigned)
					if err := r.stop(); err != nil {
						t.Error(err)
					}
				})
			})
		}
	}
}

// A batch that was made while the one before was on its way begins where that one
// ends. Where it did not, the server's refusal of ids that it knows would hide
// it: each batch would cost a new claim.
func TestBatchesFollowEachOther(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
		s := stream(t, nc, nil)
		const n = 4*batchRows + batchRows/2
		b.add(n)
		start(t, nc, b)
		pass(time.Minute)
		wantEvents(t, nc, 1, n)
		info, err := s.Info(t.Context(), jetstream.WithSubjectFilter("live.writer.claimed.>"))
		if err != nil {
			t.Fatal(err)
		}
		if n := info.State.Subjects["live.writer.claimed.88888888"]; n != 1 {
			t.Errorf("%d claims, want 1", n)
		}
	})
}

func TestServerDownAtTheStart(t *testing.T) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		s.Down()
		b := newBox("E1")
		b.add(5)
		nc := s.Connect()
		r := start(t, nc, b)
		pass(time.Hour)
		if r.hasRecovered() || r.Status().Connected {
			t.Error("recovered without a server")
		}
		s.Up()
		pass(time.Minute)
		if !r.hasRecovered() || !r.Status().Connected {
			t.Errorf("not recovered: %+v", r.Status())
		}
		wantEvents(t, nc, 1, 5)
	})
}

// What was sent before a claim and comes after it is refused, even a batch of
// which the server had a part already.
func TestLateMessagesAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		first := start(t, nc, b)
		pass(time.Second)
		claims := claimSubject("live", app)
		late := func(id string, fenced bool) *nats.Msg {
			m := message(Subject("live", "room.created", app, "late"), id, []byte("{}"))
			if fenced {
				setFence(m, first.Status().Fence, claims)
			}
			return m
		}
		early, err := jetstreamext.NewBatchPublisher(js)
		if err != nil {
			t.Fatal(err)
		}
		if err := early.AddMsg(late("staged", true)); err != nil {
			t.Fatal(err)
		}
		second := start(t, nc, b)
		pass(time.Second)
		if second.Status().Fence <= first.Status().Fence {
			t.Fatalf("fences %d, %d", first.Status().Fence, second.Status().Fence)
		}
		wantFenced := func(what string, err error) {
			t.Helper()
			if outcomeOf(err) != fenced {
				t.Errorf("%s: %v", what, err)
			}
		}
		_, err = early.CommitMsg(t.Context(), late("commit", false))
		wantFenced("batch that was staged before the claim", err)
		_, err = js.PublishMsg(t.Context(), late("single", true))
		wantFenced("message", err)
		_, err = jetstreamext.PublishMsgBatch(t.Context(), js, []*nats.Msg{late("a", true), late("b", false)}, jetstreamext.BatchFlowControl{})
		wantFenced("batch", err)
		if n := len(events(t, nc)); n > 0 {
			t.Errorf("%d late messages are in the stream", n)
		}
	})
}

func TestSecondWriterFencesTheFirst(t *testing.T) {
	bubble(t, func(t *testing.T, s *natstest.Server, nc *nats.Conn, b *box) {
		first := start(t, nc, b)
		b.add(3)
		pass(time.Second)
		other := newBox("E2")
		second := start(t, s.Connect(), other)
		pass(time.Second)
		b.add(1)
		first.wantEnd(t)
		host, _ := os.Hostname()
		if !errors.Is(first.err, ErrFenced) || !strings.Contains(first.err.Error(), second.me.Instance) || !strings.Contains(first.err.Error(), host) {
			t.Errorf("first ended with %v", first.err)
		}
		other.add(1) // the second has rebuilt, and its epoch follows 3
		pass(time.Second)
		wantIDs(t, nc, "E1 1 3", "E2+1 1 1")
		if other.rebuilds != 1 || second.Status().LastError != nil {
			t.Errorf("%d rebuilds, %+v", other.rebuilds, second.Status())
		}
	})
}

// The claim can go, and the stream with it; who is the writer claims anew.
func TestStreamChangesWhileRunning(t *testing.T) {
	tests := []struct {
		name  string
		do    func(t *testing.T, js jetstream.JetStream, s jetstream.Stream)
		first uint64 // that the stream has at the end
	}{
		{name: "purged", first: 4, do: func(t *testing.T, _ jetstream.JetStream, s jetstream.Stream) {
			if err := s.Purge(t.Context()); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "claims purged", first: 1, do: func(t *testing.T, _ jetstream.JetStream, s jetstream.Stream) {
			if err := s.Purge(t.Context(), jetstream.WithPurgeSubject("live.writer.>")); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "deleted", first: 4, do: func(t *testing.T, js jetstream.JetStream, _ jetstream.Stream) {
			if err := js.DeleteStream(t.Context(), "LIVE"); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "events purged", first: 4, do: func(t *testing.T, _ jetstream.JetStream, s jetstream.Stream) {
			if err := s.Purge(t.Context(), jetstream.WithPurgeSubject(Filter("live", "", app, ""))); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
				r := start(t, nc, b)
				b.add(3)
				pass(time.Second)
				tt.do(t, r.js, stream(t, nc, nil))
				b.add(3)
				pass(time.Minute)
				if err := r.Status().LastError; err != nil {
					t.Errorf("%v\n%s", err, r.log)
				}
				wantEvents(t, nc, tt.first, 6)
			})
		})
	}
}

// The server and subscribers remember the id of an event that someone has
// removed. What is told after the rebuild must not be taken for it.
func TestLastEventRemoved(t *testing.T) {
	for _, n := range []int{1, 5} {
		bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
			r := start(t, nc, b)
			b.add(3)
			pass(time.Second)
			s := stream(t, nc, nil)
			m, err := s.GetLastMsgForSubject(t.Context(), Filter("live", "", app, ""))
			if err != nil {
				t.Fatal(err)
			}
			if err := s.DeleteMsg(t.Context(), m.Sequence); err != nil {
				t.Fatal(err)
			}
			if err := r.stop(); err != nil {
				t.Fatal(err)
			}
			r = start(t, nc, b)
			pass(time.Second)
			b.add(n)
			pass(5 * time.Minute)
			if err := r.Status().LastError; err != nil {
				t.Errorf("%v\n%s", err, r.log)
			}
			if log := r.log.String(); strings.Contains(log, "failing") {
				t.Errorf("a new event was taken for the one that was removed:\n%s", log)
			}
			wantIDs(t, nc, "E1 1 2", fmt.Sprintf("E1+1 1 %d", n))
		})
	}
}

// What the server refuses is tried until someone fixes it; nothing is skipped.
func TestRefused(t *testing.T) {
	tests := []struct {
		name    string
		edit    func(*jetstream.StreamConfig)
		fix     func(*jetstream.StreamConfig)
		mention string
		long    int // the names of rooms
	}{
		{
			name: "stream full", edit: func(c *jetstream.StreamConfig) { c.MaxMsgs, c.Discard = 10, jetstream.DiscardNew },
			fix: func(c *jetstream.StreamConfig) { c.MaxMsgs, c.Discard = -1, jetstream.DiscardNew }, mention: "--max-msgs",
		},
		{
			name: "stream full of bytes", edit: func(c *jetstream.StreamConfig) { c.MaxBytes, c.Discard = streams.LeastBytes, jetstream.DiscardNew },
			long: 30 << 10,
			fix:  func(c *jetstream.StreamConfig) { c.MaxBytes, c.Discard = -1, jetstream.DiscardNew }, mention: "--max-bytes",
		},
		{
			name: "message too large", edit: func(c *jetstream.StreamConfig) { c.MaxMsgSize = streams.LeastMessage },
			fix: func(*jetstream.StreamConfig) {}, mention: "--max-msg-size",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
				stream(t, nc, tt.edit)
				r := start(t, nc, b)
				add := func() {
					for room := range 30 {
						b.addRoom(strconv.Itoa(room), strings.Repeat("x", tt.long))
					}
				}
				add()
				b.addRoom("big", strings.Repeat("x", streams.LeastMessage))
				add()
				pass(time.Hour)
				before := r.Status()
				if before.LastError == nil || !strings.Contains(before.LastError.Error(), tt.mention) || time.Since(before.LastErrorSince) < 50*time.Minute {
					t.Errorf("status %+v", before)
				}
				_, stored, _ := b.Position()
				if stored == 0 || stored == 61 {
					t.Errorf("%d events are stored", stored)
				}
				stream(t, nc, tt.fix)
				pass(time.Minute)
				if err := r.Status().LastError; err != nil {
					t.Error(err)
				}
				wantEvents(t, nc, 1, 61)
				if n := strings.Count(r.log.String(), "failing"); n > 3 {
					t.Errorf("logged %d times:\n%s", n, r.log)
				}
			})
		})
	}
}

// Events wait for nothing.
func TestEventsAreNotHeldBack(t *testing.T) {
	bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
		start(t, nc, b)
		pass(time.Second)
		for page := range 5 {
			b.add(3)
			pass(time.Millisecond)
			if _, stored, assigned := b.Position(); stored != assigned {
				t.Fatalf("page %d: %d of %d events are stored", page, stored, assigned)
			}
		}
		wantEvents(t, nc, 1, 15)
	})
}
