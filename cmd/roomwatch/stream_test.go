package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/poller/simulator"
)

// A wireEvent is an event as a subscriber reads it: written down here from the
// contract, not from the code that encodes it.
type wireEvent struct {
	raw                                              []byte
	ID, Type, Subject, Sequence, Source, SpecVersion string
	TraceParent                                      string
	Time                                             time.Time
	Data                                             struct {
		Room struct {
			RoomID     string `json:"RoomId"`
			RoomName   string
			CreateTime int64
			ViewCount  int64
		}
		Previous *struct{ ViewCount *int64 }
		Version  uint64
		Since    *time.Time
		Baseline bool
		Sweep    uint64
	}
}

// readStream returns every event of the stream, in its order, without the
// writers' claims.
func readStream(t *testing.T, nc *nats.Conn) []wireEvent {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(ctx, "LIVE")
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	cons, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"live.*.*.*.*"}})
	if err != nil {
		t.Fatal(err)
	}
	info, err := cons.Info(ctx)
	if err != nil {
		t.Fatal(err)
	}
	msgs, err := cons.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer msgs.Stop()
	var events []wireEvent
	for left := info.NumPending; left > 0; left-- {
		// A cluster that is idle only now may lose the consumer, which the client recreates after ten seconds.
		msg, err := msgs.Next(jetstream.NextMaxWait(30 * time.Second))
		if err != nil {
			t.Fatalf("read stream: %v, %d messages left", err, left)
		}
		var e wireEvent
		if err := json.Unmarshal(msg.Data(), &e); err != nil {
			t.Fatalf("message on %s: %v", msg.Subject(), err)
		}
		if id := msg.Headers().Get(nats.MsgIdHdr); id != e.ID {
			t.Errorf("message id %q, event id %q", id, e.ID)
		}
		e.raw = msg.Data()
		events = append(events, e)
	}
	return events
}

// stored returns how many events the stream has, without reading them.
func stored(t *testing.T, nc *nats.Conn) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := js.Stream(ctx, "LIVE")
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter("live.*.*.*.*"))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, count := range info.State.Subjects {
		n += int(count)
	}
	return n
}

type lifeKey struct {
	id      string
	created int64
}

// A foldedLife is what the events of one life of a room add up to.
type foldedLife struct {
	version uint64
	views   int64
	at      time.Time
	hidden  bool // told so
}

// fold plays the events from the start and returns every way in which they
// break the contract: gaps in an epoch, epochs that come back, doubles, broken chains, news about rooms that are
// not live, times that run backwards.
func fold(events []wireEvent) (live map[lifeKey]foldedLife, faults []string) {
	live = map[lifeKey]foldedLife{}
	current := map[string]lifeKey{}
	fault := func(e wireEvent, format string, args ...any) {
		faults = append(faults, fmt.Sprintf("%s %s %s: ", e.ID, e.Type, e.Subject)+fmt.Sprintf(format, args...))
	}
	var last time.Time
	given := map[string]int{} // numbers of an epoch
	var epoch string
	for _, e := range events {
		key := lifeKey{e.Data.Room.RoomID, e.Data.Room.CreateTime}
		began, _, _ := strings.Cut(e.ID, "-")
		if began != epoch && given[began] > 0 {
			fault(e, "an old epoch goes on after %s", epoch)
		}
		epoch = began
		given[epoch]++
		if want := fmt.Sprintf("%016d", given[epoch]); e.Sequence != want {
			fault(e, "sequence %s, want %s", e.Sequence, want)
		}
		if e.Time.Before(last) {
			fault(e, "time %s is before %s", e.Time, last)
		}
		last = e.Time
		if e.Data.Since != nil && e.Data.Since.After(e.Time) {
			fault(e, "since %s is after its time %s", e.Data.Since, e.Time)
		}
		l, known := live[key]
		if e.Type == "room.created" {
			if other, ok := current[key.id]; ok {
				fault(e, "announced while %v is live", other)
			}
			if e.Data.Version != 1 {
				fault(e, "version %d", e.Data.Version)
			}
			live[key] = foldedLife{version: 1, views: e.Data.Room.ViewCount, at: e.Time}
			current[key.id] = key
			continue
		}
		if !known {
			fault(e, "the room is not live")
			continue
		}
		if e.Data.Version != l.version+1 {
			fault(e, "version %d follows %d", e.Data.Version, l.version)
		}
		switch e.Type {
		case "room.ended":
			delete(live, key)
			delete(current, key.id)
		case "viewcount.changed":
			if e.Data.Previous == nil || e.Data.Previous.ViewCount == nil || *e.Data.Previous.ViewCount != l.views {
				fault(e, "previous %+v, the last event told %d", e.Data.Previous, l.views)
			}
			l.version, l.views, l.at = e.Data.Version, e.Data.Room.ViewCount, e.Time
			live[key] = l
		case "room.hidden", "room.shown":
			told := e.Data.Room.ViewCount
			if p := e.Data.Previous; p != nil {
				told = *p.ViewCount
			}
			if told != l.views {
				fault(e, "previous %+v, the last event told %d", e.Data.Previous, l.views)
			}
			hides := e.Type == "room.hidden"
			if hides == l.hidden || hides != strings.Contains(string(e.raw), `"IsPublicVisible":false`) {
				fault(e, "hidden before: %t; it says %s", l.hidden, e.raw)
			}
			live[key] = foldedLife{e.Data.Version, e.Data.Room.ViewCount, e.Time, hides}
		default:
			fault(e, "unknown type")
		}
	}
	return live, faults
}

// falseEnds returns the ends that were told of lives that were not over.
func falseEnds(events []wireEvent, truth simulator.Truth) []string {
	ended := map[lifeKey]time.Time{}
	for _, l := range truth.Lives {
		ended[lifeKey{l.RoomID, l.CreateTime}] = l.Ended
	}
	var faults []string
	for _, e := range events {
		if e.Type != "room.ended" {
			continue
		}
		at := ended[lifeKey{e.Data.Room.RoomID, e.Data.Room.CreateTime}]
		if at.IsZero() || at.After(e.Time.Add(time.Millisecond)) { // an event's time has milliseconds
			faults = append(faults, fmt.Sprintf("%s: %s told ended at %s, truly at %s", e.ID, e.Subject, e.Time, at))
		}
	}
	return faults
}

// differences compares what the events add up to with the truth of an idle world.
func differences(live map[lifeKey]foldedLife, truth simulator.Truth) []string {
	var diffs []string
	count := 0
	for _, l := range truth.Lives {
		if !l.Ended.IsZero() {
			continue
		}
		count++
		got, ok := live[lifeKey{l.RoomID, l.CreateTime}]
		switch {
		case !ok:
			diffs = append(diffs, fmt.Sprintf("%s is live and was not told", l.RoomID))
		case got.views != l.ViewCount:
			diffs = append(diffs, fmt.Sprintf("%s has %d views, told %d", l.RoomID, l.ViewCount, got.views))
		}
	}
	if len(live) > count {
		diffs = append(diffs, fmt.Sprintf("%d rooms told live, %d are", len(live), count))
	}
	return diffs
}

// settle waits until the stream says what is true of an idle world, and
// returns all events after checking every promise about them.
func settle(t *testing.T, nc *nats.Conn, world *simulator.Service) []wireEvent {
	t.Helper()
	return settleOf(t, nc, world, "")
}

// settleOf is settle with the events of one source; "": with all.
func settleOf(t *testing.T, nc *nats.Conn, world *simulator.Service, source string) []wireEvent {
	t.Helper()
	world.Freeze()
	truth := world.Truth()
	var events []wireEvent
	var diffs, faults []string
	for end := time.Now().Add(60 * time.Second); time.Now().Before(end); {
		events = slices.DeleteFunc(readStream(t, nc), func(e wireEvent) bool { return source != "" && e.Source != source })
		var live map[lifeKey]foldedLife
		live, faults = fold(events)
		diffs = differences(live, truth)
		if len(diffs) == 0 || len(faults) > 0 {
			break
		}
		<-time.After(100 * time.Millisecond)
	}
	for _, list := range [][]string{faults, diffs, falseEnds(events, truth), invalid(t, events)} {
		for i, f := range list {
			if i == 20 {
				t.Errorf("… and %d more", len(list)-i)
				break
			}
			t.Error(f)
		}
	}
	return events
}
