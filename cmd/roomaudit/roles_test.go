package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natstest"
)

// The durables of nats.conf, and whose they are.
func owners() map[string]string {
	return map[string]string{"roomaudit": "roomaudit", "notify-hook": "roomnotify", "notify-team": "roomnotify", "greeter": "subscriber"}
}

// Each role of nats.conf tries all that it must not do: read the inbox of
// another, acknowledge in its name, change, use or delete its consumer, and
// change the stream. What roomaudit puts on record rests on that.
func TestRolesAreKeptApart(t *testing.T) {
	natstest.SetPasswords(t)
	srv := natstest.Guarded(t, natsConfig, "roomaudit", "")
	admin, err := nats.Connect(srv.ClientURL(), nats.UserInfo("admin", "pass"))
	must(t, err)
	defer admin.Close()
	js := natstest.Live(t, admin)
	for n := uint64(1); n <= 5; n++ {
		_, err := js.Publish(t.Context(), "live.room.created.1400000000.x", event(n, "r", "n"))
		must(t, err)
	}
	pending := map[string]string{} // of each durable, how one of its messages is acknowledged
	for durable := range owners() {
		c, err := js.CreateConsumer(t.Context(), "LIVE", jetstream.ConsumerConfig{Durable: durable, AckPolicy: jetstream.AckAllPolicy, MaxAckPending: 100})
		must(t, err)
		batch, err := c.Fetch(3)
		must(t, err)
		for m := range batch.Messages() {
			pending[durable] = m.Reply()
		}
	}
	standing := func() string {
		s, err := js.Stream(t.Context(), "LIVE")
		must(t, err)
		all := fmt.Sprintf("stream: %d to %d, %d messages, subjects %q\n", s.CachedInfo().State.FirstSeq, s.CachedInfo().State.LastSeq, s.CachedInfo().State.Msgs, s.CachedInfo().Config.Subjects)
		for _, durable := range slices.Sorted(maps.Keys(owners())) {
			c, err := js.Consumer(t.Context(), "LIVE", durable)
			if err != nil {
				all += fmt.Sprintf("%s: %v\n", durable, err)
				continue
			}
			i := c.CachedInfo()
			all += fmt.Sprintf("%s: acknowledged %d, pending %d, delivered %d, waiting %d, paused %t, filter %q, at most %d pending, made %s\n", durable, i.AckFloor.Stream, i.NumAckPending, i.Delivered.Stream,
				i.NumWaiting, i.Paused, i.Config.FilterSubject, i.Config.MaxAckPending, i.Created)
		}
		return all
	}
	before := standing()
	for _, role := range []string{"roomwatch", "subscriber", "roomnotify", "roomaudit"} {
		t.Run(role, func(t *testing.T) {
			r := newIntruder(t, srv.ClientURL(), role)
			for durable, owner := range owners() {
				if owner != role {
					r.attack(durable, pending[durable])
				}
			}
			for _, verb := range []string{"UPDATE", "PURGE", "DELETE", "MSG.DELETE", "SNAPSHOT"} {
				r.ask("$JS.API.STREAM."+verb+".LIVE", map[string]any{"name": "LIVE", "seq": 1, "subjects": []string{"x"}})
			}
			if role != "roomwatch" {
				r.ask("live.room.ended.1400000000.x", nil)
				r.ask("live.writer.claimed.1400000000", nil)
			}
			inboxes := r.listen()
			must(t, r.nc.Flush())
			for _, subject := range append(inboxes, pending["roomaudit"]+".copy") {
				must(t, admin.Publish(subject, []byte("secret")))
			}
			must(t, admin.Flush())
			r.wantNothing()
			if after := standing(); after != before {
				t.Errorf("before:\n%safter:\n%s", before, after)
			}
		})
	}
}

// An intruder is a role that tries what it must not.
type intruder struct {
	t       *testing.T
	nc      *nats.Conn
	role    string
	own     string // its inbox
	answers *nats.Subscription
	mu      sync.Mutex
	refused int
	tried   int
	heard   []string
}

func newIntruder(t *testing.T, url, role string) *intruder {
	t.Helper()
	r := &intruder{t: t, role: role, own: "_INBOX_" + role}
	if role == "subscriber" {
		r.own = "_INBOX"
	}
	nc, err := nats.Connect(url, nats.UserInfo(role, "pass"), nats.CustomInboxPrefix(r.own), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		if errors.Is(err, nats.ErrPermissionViolation) {
			r.mu.Lock()
			r.refused++
			r.mu.Unlock()
		}
	}))
	must(t, err)
	t.Cleanup(nc.Close)
	r.nc = nc
	r.answers, err = nc.SubscribeSync(r.own + ".answers")
	must(t, err)
	return r
}

func (r *intruder) ask(subject string, body any) {
	r.t.Helper()
	r.send(subject, r.own+".answers", body)
}

func (r *intruder) send(subject, reply string, body any) {
	r.t.Helper()
	var data []byte
	switch b := body.(type) {
	case nil:
	case string:
		data = []byte(b)
	default:
		var err error
		data, err = json.Marshal(body)
		must(r.t, err)
	}
	r.tried++
	must(r.t, r.nc.PublishRequest(subject, reply, data))
}

// attack tries everything against the consumer of another.
func (r *intruder) attack(durable, pending string) {
	r.t.Helper()
	for _, body := range []string{"", "+ACK", "+TERM", "-NAK", "+NXT", "+WPI"} {
		r.ask(pending, body)
	}
	for _, verb := range []string{"INFO", "DELETE", "PAUSE", "UNPIN", "RESET", "LEADER.STEPDOWN", "MSG.NEXT"} {
		r.ask("$JS.API.CONSUMER."+verb+".LIVE."+durable, map[string]any{"pause_until": time.Now().Add(time.Hour), "batch": 1})
	}
	config := map[string]any{"name": durable, "durable_name": durable, "ack_policy": "all", "max_ack_pending": 7, "filter_subject": "live.nothing"}
	create := map[string]any{"stream_name": "LIVE", "config": config}
	for _, subject := range []string{"CREATE.LIVE." + durable, "CREATE.LIVE." + durable + ".live.nothing", "DURABLE.CREATE.LIVE." + durable, "CREATE.LIVE", "CREATE.LIVE.another", "CREATE.LIVE.another.live.nothing"} {
		r.ask("$JS.API.CONSUMER."+subject, create)
	}
	// JetStream is asked to acknowledge or delete in its place.
	r.ask("$JS.API.CONSUMER.CREATE.LIVE.mine", map[string]any{"stream_name": "LIVE", "config": map[string]any{"name": "mine", "ack_policy": "none", "filter_subject": "live.nothing"}})
	r.send("$JS.API.CONSUMER.MSG.NEXT.LIVE.mine", pending, map[string]any{"batch": 1, "no_wait": true})
	for i, to := range []string{pending, "$JS.API.CONSUMER.DELETE.LIVE." + durable} {
		name := fmt.Sprintf("push%d", i)
		r.send("$JS.API.CONSUMER.CREATE.LIVE."+name, r.own+".made", map[string]any{"stream_name": "LIVE", "config": map[string]any{"name": name, "ack_policy": "none", "headers_only": true, "deliver_subject": to}})
	}
}

// listen subscribes to what others get, and returns subjects that would be heard.
func (r *intruder) listen() (subjects []string) {
	r.t.Helper()
	inboxes := []string{"_INBOX", "_INBOX_roomwatch", "_INBOX_roomnotify", "_INBOX_roomaudit"}
	for _, subject := range append([]string{">", "*.>", "*.*", "$JS.>", "$JS.ACK.LIVE.>", "$JS.API.>"}, inboxes...) {
		if subject == r.own {
			continue
		}
		if strings.HasPrefix(subject, "_INBOX") {
			subjects = append(subjects, subject+".x")
			subject += ".>"
		}
		_, err := r.nc.Subscribe(subject, func(m *nats.Msg) {
			r.mu.Lock()
			r.heard = append(r.heard, m.Subject)
			r.mu.Unlock()
		})
		must(r.t, err)
	}
	return subjects
}

// wantNothing fails if the role has heard anything, or was answered other than
// by a refusal, but about the consumer that it may make.
func (r *intruder) wantNothing() {
	r.t.Helper()
	must(r.t, r.nc.Flush())
	for {
		m, err := r.answers.NextMsg(100 * time.Millisecond)
		if err != nil {
			break
		}
		if !strings.Contains(string(m.Data), `"error"`) && !strings.Contains(string(m.Data), `"name":"mine"`) {
			r.t.Errorf("answered: %s", m.Data)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.heard) > 0 {
		r.t.Errorf("heard: %q", r.heard)
	}
	if r.refused < r.tried/2 {
		r.t.Errorf("NATS has refused %d of %d tries", r.refused, r.tried)
	}
}
