package bus

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"roomwatch/diff"
)

// all returns the answers of all services to a verb.
func all[T any](r *rig, subject string, want int) (list []T) {
	r.t.Helper()
	answers, err := r.nc.SubscribeSync(nats.NewInbox())
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = answers.Unsubscribe() }()
	if err := r.nc.PublishRequest(subject, answers.Subject, nil); err != nil {
		r.t.Fatal(err)
	}
	for {
		wait := 5 * time.Second
		if len(list) >= want {
			wait = 200 * time.Millisecond // for one too many
		}
		m, err := answers.NextMsg(wait)
		if err != nil {
			break
		}
		var v T
		if err := json.Unmarshal(m.Data, &v); err != nil {
			r.t.Fatalf("%v: %s", err, m.Data)
		}
		list = append(list, v)
	}
	if len(list) != want {
		r.t.Errorf("%s: %d answers, want %d", subject, len(list), want)
	}
	return list
}

// Two applications on one bus are two services of one name; each is asked by its own
// subjects.
func TestTwoApplications(t *testing.T) {
	r := newRig(t, nil)
	r.list(diff.Room{RoomID: "a"})
	one := r.start(nil)
	two := r.start(func(c *Config) { c.SDKAppID, c.Version = 7, "devel" })
	r.there("roomwatch.88888888.room")
	r.there("roomwatch.7.room")
	for _, subject := range []string{"$SRV.PING", "$SRV.PING.roomwatch"} {
		for _, p := range all[micro.Ping](r, subject, 2) {
			want := map[string]string{one.id: "1.2.3 88888888", two.id: "0.0.0-devel 7"}[p.ID]
			if p.Name != "roomwatch" || p.Type != micro.PingResponseType || p.Version+" "+p.Metadata["sdkappid"] != want {
				t.Errorf("%s: %+v, want %s", subject, p, want)
			}
		}
	}
	all[micro.Ping](r, "$SRV.PING.roomwatch."+two.id, 1)
	info := all[micro.Info](r, "$SRV.INFO.roomwatch."+two.id, 1)[0]
	var subjects []string
	for _, e := range info.Endpoints {
		subjects = append(subjects, e.Name+" "+e.Subject+" "+e.QueueGroup)
	}
	if want := []string{"status roomwatch.7.status ", "rooms roomwatch.7.rooms q", "room roomwatch.7.room q"}; !slices.Equal(subjects, want) || info.Type != micro.InfoResponseType || info.Description == "" {
		t.Errorf("%+v", info)
	}
}

// The statistics count questions and errors, of this application alone.
func TestStats(t *testing.T) {
	r := newRig(t, nil)
	r.list(diff.Room{RoomID: "a"})
	s := r.start(nil)
	other := r.start(func(c *Config) { c.SDKAppID = 7 })
	r.there("$SRV.PING.roomwatch." + s.id)
	r.there("$SRV.PING.roomwatch." + other.id)
	r.there("roomwatch.88888888.status")
	r.ask("room", `{"RoomId":"a"}`)
	r.ask("room", `{"RoomId":"b"}`)
	r.ask("room", ``)
	for id, want := range map[string]string{s.id: "status 1 0, rooms 0 0, room 3 2", other.id: "status 0 0, rooms 0 0, room 0 0"} {
		stats := all[micro.Stats](r, "$SRV.STATS.roomwatch."+id, 1)[0]
		var got []string
		for _, e := range stats.Endpoints {
			b, err := json.Marshal([]any{e.Name, e.NumRequests, e.NumErrors})
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.NewReplacer(`"`, "", "[", "", "]", "", ",", " ").Replace(string(b)))
			if e.NumRequests > 0 && (e.ProcessingTime <= 0 || e.AverageProcessingTime != e.ProcessingTime/time.Duration(e.NumRequests)) || string(e.Data) != `{"dropped":0}` {
				t.Errorf("%+v", e)
			}
			if e.NumErrors > 0 && !strings.Contains(e.LastError, "no room is named") {
				t.Errorf("%+v", e)
			}
		}
		if strings.Join(got, ", ") != want || stats.Type != micro.StatsResponseType || stats.Started.IsZero() {
			t.Errorf("%q, want %q; %+v", got, want, stats)
		}
	}
}

// Each process answers for its own state; of the rooms the writer tells alone, and that
// may change.
func TestOnlyTheWriterTellsOfRooms(t *testing.T) {
	r := newRig(t, nil)
	r.list(diff.Room{RoomID: "a"})
	writer := r.start(nil)
	standby := r.start(func(c *Config) { c.Writer = r.reader.Load })
	ready := func(s *Service, endpoints int) {
		t.Helper()
		eventually(t, "endpoints", func() bool { return len(s.info().Endpoints) == endpoints })
		r.there("$SRV.PING.roomwatch." + s.id) // so the server has what was sent before
	}
	ready(writer, 3)
	ready(standby, 1)
	all[map[string]any](r, "roomwatch.88888888.status", 2)
	for range 20 {
		if code, text, _ := r.ask("room", `{"RoomId":"a"}`); code != "200" {
			t.Fatal(code, text)
		}
	}
	r.reader.Store(true) // they change places
	ready(writer, 1)
	ready(standby, 3)
	for range 20 {
		if code, text, _ := r.ask("room", `{"RoomId":"a"}`); code != "200" {
			t.Fatal(code, text)
		}
	}
}

// A writer that has just ceased to be it tells nothing of rooms, though it is still asked.
func TestNoLongerTheWriter(t *testing.T) {
	r := newRig(t, nil)
	r.list(diff.Room{RoomID: "a"})
	s := r.start(nil)
	refused := 0
	for range 5 {
		r.reader.Store(false)
		eventually(t, "endpoints", func() bool { return len(s.info().Endpoints) == 3 })
		r.there("roomwatch.88888888.room")
		r.reader.Store(true)
		m, err := r.nc.Request("roomwatch.88888888.room", []byte(`{"RoomId":"a"}`), 5*time.Second)
		switch {
		case errors.Is(err, nats.ErrNoResponders): // it has left already
		case err != nil:
			t.Fatal(err)
		case m.Header.Get(micro.ErrorCodeHeader) != "503" || !strings.Contains(m.Header.Get(micro.ErrorHeader), "not the writer"):
			t.Errorf("%q %s", m.Header, m.Data)
		default:
			refused++
		}
	}
	if refused == 0 {
		t.Error("it was never asked in time")
	}
}
