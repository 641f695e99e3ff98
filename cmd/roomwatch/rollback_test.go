package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/poller/simulator"
)

// A newer version has written events with a type and fields that this one does not know,
// and the operator goes back to this one, with the state file of before or without one. It
// goes on: nothing is told again, and none of the rooms is forgotten.
func TestRollbackBesideNewerEvents(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector does not see the binary")
	}
	t.Parallel()
	for _, kept := range []bool{true, false} {
		t.Run(fmt.Sprintf("state file kept %t", kept), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, simulator.Config{Rooms: 10, Quota: -1})
			data := t.TempDir()
			p := startProcess(t, r.env(data), "run")
			eventually(t, "the first events", func() bool { return stored(t, r.nc) == 10 })
			if status := p.stop(); status != 0 {
				t.Fatalf("exit status %d", status)
			}
			before := readStream(t, r.nc)
			last := before[len(before)-1]
			r.publishNewer(last)
			if !kept {
				data = t.TempDir()
			}
			p = startProcess(t, r.env(data), "run")
			if err := r.world.Open("afterwards"); err != nil {
				t.Fatal(err)
			}
			eventually(t, "an event of the older version", func() bool {
				return strings.Contains(types(readStream(t, r.nc)[len(before):]), "afterwards")
			})
			if err := r.world.Close(last.Data.Room.RoomID); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the end of the room of which the newer one told", func() bool { return stored(t, r.nc) == len(before)+3 })
			if status := p.stop(); status != 0 {
				t.Errorf("exit status %d:\n%s", status, p.output)
			}
			want := "room.paused " + last.Data.Room.RoomID + ", room.created afterwards, room.ended " + last.Data.Room.RoomID
			if got := types(readStream(t, r.nc)[len(before):]); got != want {
				t.Errorf("after the newer version: %s\nwant %s\n%s", got, want, p.output)
			}
		})
	}
}

// publishNewer stores an event as a version to come might.
func (r *rig) publishNewer(last wireEvent) {
	r.t.Helper()
	js, err := jetstream.New(r.nc)
	if err != nil {
		r.t.Fatal(err)
	}
	epoch, _, _ := strings.Cut(last.ID, "-")
	var number int
	if _, err := fmt.Sscanf(last.Sequence, "%d", &number); err != nil {
		r.t.Fatal(err)
	}
	id := fmt.Sprintf("%s-%016d", epoch, number+1)
	body := strings.NewReplacer(
		last.ID, id, `"sequence":"`+last.Sequence, fmt.Sprintf(`"sequence":"%016d`, number+1),
		`"type":"`+last.Type, `"severity":"new","type":"room.paused`, `"room":{`, `"paused":{"by":"owner"},"room":{"Quality":[4],`,
		`"version":1`, `"version":2`,
	).Replace(string(last.raw))
	m := nats.NewMsg("live.room.paused." + fmt.Sprint(testApp) + "." + last.Data.Room.RoomID)
	m.Data = []byte(body)
	m.Header.Set(nats.MsgIdHdr, id)
	if _, err := js.PublishMsg(r.t.Context(), m); err != nil {
		r.t.Fatal(err)
	}
}

// types lists what events tell, and of which room.
func types(list []wireEvent) string {
	var told []string
	for _, e := range list {
		told = append(told, e.Type+" "+e.Data.Room.RoomID)
	}
	return strings.Join(told, ", ")
}
