package bus

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/roomwatch/web"
	"roomwatch/diff"
	"roomwatch/publisher/natstest"
)

// The service is there again when NATS is, also if its connection had to be replaced.
func TestNATSAway(t *testing.T) {
	r := newRig(t, nil)
	r.list(diff.Room{RoomID: "a"})
	dir := t.TempDir()
	again := func() {
		r.nats = natstest.Start(t, func(o *server.Options) { o.Port, o.StoreDir = r.port, dir })
	}
	r.nats.Shutdown()
	r.nats.WaitForShutdown()
	s := r.start(nil) // while NATS is away
	again()
	r.there("roomwatch.88888888.room")
	first := s.conn.Client()
	r.nats.Shutdown()
	r.nats.WaitForShutdown()
	again()
	r.there("roomwatch.88888888.room")
	if s.conn.Client() != first {
		t.Error("the client was replaced although it reconnects")
	}
	first.Close() // as the client library does after an error that it does not know
	eventually(t, "another connection", func() bool { return s.conn.Client() != first })
	for _, subject := range []string{"roomwatch.88888888.room", "roomwatch.88888888.status", "$SRV.PING.roomwatch"} {
		r.there(subject)
	}
	if i := s.info(); len(i.Endpoints) != 3 || i.ID != s.id {
		t.Errorf("%+v", i)
	}
}

// A slow is a state in which the list takes as long as it is let.
type slow struct {
	Answers
	in, let chan struct{}
}

func (s slow) List(ctx context.Context, _ url.Values, _ int) (web.RoomList, error) {
	s.in <- struct{}{}
	select {
	case <-s.let:
		return web.RoomList{}, nil
	case <-ctx.Done():
		return web.RoomList{}, &web.Refusal{Status: http.StatusServiceUnavailable, Text: "too slow"}
	}
}

// An answer that takes long blocks no other subject, and ends before a client of NATS gives
// up, which is after five seconds.
func TestSlowAnswers(t *testing.T) {
	r := newRig(t, nil)
	r.list(diff.Room{RoomID: "a"})
	h := slow{Answers: r.web, in: make(chan struct{}, 1), let: make(chan struct{})}
	r.start(func(c *Config) { c.Answers = h })
	r.there("roomwatch.88888888.room")
	list, err := r.nc.SubscribeSync(nats.NewInbox())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.nc.PublishRequest("roomwatch.88888888.rooms", list.Subject, nil); err != nil {
		t.Fatal(err)
	}
	<-h.in
	for range 20 {
		if code, _, _ := r.ask("status", ""); code != "200" {
			t.Errorf("status: %s", code)
		}
		if code, _, _ := r.ask("room", `{"RoomId":"a"}`); code != "200" {
			t.Errorf("room: %s", code)
		}
		if _, err := r.nc.Request("$SRV.STATS.roomwatch", nil, 5*time.Second); err != nil {
			t.Error(err)
		}
	}
	if m, err := list.NextMsg(5 * time.Second); err != nil || m.Header.Get("Nats-Service-Error-Code") != "503" {
		t.Errorf("the list: %+v, %v", m, err)
	}
}

// A flood fills short queues and takes a small part of the time; what is too much is
// dropped and counted, and the service is there afterwards.
func TestFlood(t *testing.T) {
	r := newRig(t, nil)
	for i := range 300 {
		r.list(diff.Room{RoomID: "room" + strings.Repeat("x", i%20) + string(rune('a'+i%26)), RoomName: strings.Repeat("n", 100), ViewCount: int64(i)})
	}
	s := r.start(nil)
	r.there("roomwatch.88888888.rooms")
	began := time.Now()
	subjects := []string{"roomwatch.88888888.rooms", "roomwatch.88888888.status", "roomwatch.88888888.room", "$SRV.PING", "$SRV.STATS.roomwatch", "$SRV.INFO"}
	var flood sync.WaitGroup
	for range 2 {
		nc := r.client()
		flood.Go(func() {
			large := make([]byte, 4<<10)
			for i := 0; time.Since(began) < 3*time.Second; i++ {
				for _, subject := range subjects {
					data := []byte(nil)
					if i%8 == 0 {
						data = large
					}
					if err := nc.PublishRequest(subject, "nobody.listens", data); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	flood.Wait()
	for _, e := range s.endpoints {
		if n, size, err := e.sub.MaxPending(); err != nil || n > mostWaiting+1 || size > mostBytes { // one that was too much is counted before it is dropped
			t.Errorf("%s: %d questions of %d bytes have waited, %v", e.subject, n, size, err)
		}
	}
	took := time.Since(began)
	dropped := 0
	for _, e := range s.stats().Endpoints {
		t.Logf("%s: %d requests, %v, %s", e.Name, e.NumRequests, e.ProcessingTime, e.Data)
		if e.ProcessingTime > (took+restBurst)/restShare+100*time.Millisecond {
			t.Errorf("%s has worked for %v of %v", e.Name, e.ProcessingTime, took)
		}
		if !strings.Contains(string(e.Data), `"dropped":0}`) {
			dropped++
		}
	}
	if dropped == 0 {
		t.Error("nothing was dropped: this was no flood")
	}
	r.there("roomwatch.88888888.status")
	r.there("$SRV.PING.roomwatch")
}

// Who works rests twice as long, but may begin with a second's share at once.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		for _, work := range []time.Duration{time.Millisecond, 20 * time.Millisecond, 5 * time.Second} {
			<-time.After(time.Minute)
			began, worked := time.Now(), time.Duration(0)
			for time.Since(began) < time.Minute {
				if err := p.rest(t.Context()); err != nil {
					t.Fatal(err)
				}
				<-time.After(work)
				worked += work
				p.worked(work)
			}
			share := float64(worked) / float64(time.Since(began))
			if work < time.Second && (share < 0.32 || share > 0.35) || share > 0.75 {
				t.Errorf("%v: %.3f of the time", work, share)
			}
			if first := time.Until(p.free); first > restMost {
				t.Errorf("a rest of %v", first)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := p.rest(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("rest = %v", err)
		}
	})
}

// Whoever may only read has no answer sent to where JetStream or the stream takes it
// for something else.
func TestNoAnswerIsPublishedElsewhere(t *testing.T) {
	r := newRig(t, nil)
	js := natstest.Live(t, r.nc)
	if _, err := js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "b"}); err != nil {
		t.Fatal(err)
	}
	s := r.start(nil)
	r.there("roomwatch.88888888.status")
	all, err := r.nc.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	targets := []string{"live.room.created.88888888.x", "live", "$KV.b.key", "$JS.API.STREAM.PURGE.LIVE", "$SRV.PING", "$SYS.x"}
	for _, e := range s.endpoints {
		for _, target := range targets {
			if err := r.nc.PublishRequest(e.subject, target, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, subject := range []string{"roomwatch.88888888.status", "$SRV.STATS", "$SRV.INFO.roomwatch"} { // behind them
		r.there(subject)
	}
	for {
		m, err := all.NextMsg(500 * time.Millisecond)
		if err != nil {
			break
		}
		if slices.Contains(targets, m.Subject) && m.Subject != "$SRV.PING" || m.Subject == "$SRV.PING" && m.Reply == "" {
			t.Errorf("published on %s: %s", m.Subject, m.Data)
		}
	}
	// A prefix is whole tokens.
	if !s.mayAnswer("lively.inbox") || !s.mayAnswer("_INBOX.x") || s.mayAnswer("") {
		t.Error("who may be answered")
	}
}
