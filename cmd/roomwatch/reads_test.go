package main

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"roomwatch/poller/simulator"
)

// readsRig is a rig whose daemon makes point reads: a list at the vendor's quota,
// which takes a second or so, with the interval of the defaults.
const everyEvent = "ROOMWATCH_EVENTS=room.created,room.ended,viewcount.changed,room.hidden,room.shown"

func readsRig(t *testing.T, c simulator.Config) (*rig, []string) {
	t.Helper()
	r := newRig(t, c)
	return r, r.env(t.TempDir(), "ROOMWATCH_POINT_READS_PER_SECOND=50", "ROOMWATCH_REQUESTS_PER_SECOND=9.5", "ROOMWATCH_INTERVAL=10s")
}

// ended returns how long after the end of each of the rooms it was told; those
// that are not told within that time are not in it.
func (r *rig) ended(ids []string, within time.Duration) (after map[string]time.Duration) {
	r.t.Helper()
	after = map[string]time.Duration{}
	for end := time.Now().Add(within); len(after) < len(ids) && time.Now().Before(end); <-time.After(100 * time.Millisecond) {
		gone := map[string]time.Time{}
		for _, l := range r.world.Truth().Lives {
			if !l.Ended.IsZero() {
				gone[l.RoomID] = l.Ended
			}
		}
		for _, e := range readStream(r.t, r.nc) {
			if e.Type != "room.ended" {
				continue
			}
			at, ok := gone[e.Subject]
			if !ok {
				r.t.Fatalf("%s ended, which is live", e.Subject)
			}
			if slices.Contains(ids, e.Subject) {
				after[e.Subject] = e.Time.Sub(at)
			}
		}
	}
	return after
}

// Two reads three seconds apart and a control end a room long before two sweeps
// that begin ten seconds apart do.
func TestReadsEndRooms(t *testing.T) {
	t.Parallel()
	r, env := readsRig(t, simulator.Config{Seed: 5, Rooms: 200, Enters: 20, Latency: 20 * time.Millisecond})
	p := startProcess(t, env, "run")
	eventually(t, "the rooms", func() bool { return stored(t, r.nc) >= 200 })
	var ids []string
	for i := 0; i < 200; i += 40 {
		ids = append(ids, r.world.Truth().Live()[i].RoomID)
		if err := r.world.Close(ids[len(ids)-1]); err != nil {
			t.Fatal(err)
		}
	}
	after := r.ended(ids, 30*time.Second)
	for _, id := range ids {
		if d, ok := after[id]; !ok || d > 18*time.Second {
			t.Errorf("%s: told %v after its end (%v)", id, d, ok)
		}
	}
	t.Logf("ends told after %v; %d reads, up to %d in a second", after, r.world.InfoRequests(), r.world.MaxInfoInSecond())
	if r.world.MaxInfoInSecond() > 50 || r.world.MaxInSecond() > 10 {
		t.Errorf("%d reads and %d requests of the list in a second", r.world.MaxInfoInSecond(), r.world.MaxInSecond())
	}
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
}

// The service lies for two seconds, repeatedly, in one call or in both: no
// room ends.
func TestLiesEndNoRoom(t *testing.T) {
	t.Parallel()
	r, env := readsRig(t, simulator.Config{Seed: 6, Rooms: 100, Enters: 50, Quota: -1})
	p := startProcess(t, append(env, "ROOMWATCH_REQUESTS_PER_SECOND=100", "ROOMWATCH_INTERVAL=500ms"), "run")
	eventually(t, "the rooms", func() bool { return stored(t, r.nc) >= 100 })
	for range 3 {
		for _, kind := range []simulator.Lies{simulator.LieInfo, simulator.LieList, simulator.LieInfo | simulator.LieList} {
			r.world.Lie(kind, 2*time.Second)
			<-time.After(3500 * time.Millisecond)
		}
	}
	if r.world.InfoRequests() == 0 {
		t.Error("nothing was read: the test proves nothing")
	}
	for _, e := range settle(t, r.nc, r.world) {
		if e.Type == "room.ended" {
			t.Errorf("%s ended, which is live", e.Subject)
		}
	}
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
}

// With all point reads failing or refused, rooms end as by sweeps alone.
func TestEndsWithoutReads(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]simulator.Fault{
		"error": {ErrorCode: 100001}, "refused": {ErrorCode: 60010}, "not found": {Status: http.StatusNotFound}, "hang": {Hang: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int64
			r, env := readsRig(t, simulator.Config{Seed: 5, Rooms: 100, Quota: -1, InfoFault: func(int, *http.Request) *simulator.Fault {
				asked.Add(1)
				return &fault
			}})
			p := startProcess(t, append(env, "ROOMWATCH_REQUESTS_PER_SECOND=100", "ROOMWATCH_INTERVAL=1s", "ROOMWATCH_REQUEST_TIMEOUT=1s"), "run")
			eventually(t, "the rooms", func() bool { return stored(t, r.nc) >= 100 })
			for range 2 {
				id := r.world.Truth().Live()[50].RoomID
				if err := r.world.Close(id); err != nil {
					t.Fatal(err)
				}
				if _, ok := r.ended([]string{id}, 20*time.Second)[id]; !ok {
					t.Errorf("the end of %s is not told within 20 s; where no read is answered, sweeps decide", id)
				}
			}
			if n := strings.Count(p.output.String(), "point reads refused"); asked.Load() == 0 || n > 1 || (n == 0) == (fault.Hang == 0 && fault.ErrorCode != 100001) {
				t.Errorf("%d reads, %d refusals told:\n%s", asked.Load(), n, p.output)
			}
		})
	}
}

// A fifth of the point reads fails, then all of them, and the daemon is killed in either time: no end is false,
// all are told, and rooms end by sweeps where no read is answered.
func TestFailingReadsUnderKill(t *testing.T) {
	if testing.Short() {
		t.Skip("kills a daemon for half a minute")
	}
	t.Parallel()
	faults := []simulator.Fault{{ErrorCode: 100001}, {ErrorCode: 100002}, {Status: http.StatusBadGateway}, {Drop: true}}
	var all atomic.Bool
	some := simulator.Random(3, 0.2, faults...)
	every := simulator.Random(3, 1, faults...)
	r, env := readsRig(t, simulator.Config{Seed: 8, Rooms: 150, Opens: 1, Enters: 50, Recreates: 0.2, Quota: -1, InfoFault: func(n int, req *http.Request) *simulator.Fault {
		if all.Load() {
			return every(n, req)
		}
		return some(n, req)
	}})
	env = append(env, "ROOMWATCH_REQUESTS_PER_SECOND=50", "ROOMWATCH_INTERVAL=1s")
	p := startProcess(t, env, "run")
	eventually(t, "the rooms", func() bool { return stored(t, r.nc) >= 150 })
	for _, by := range []string{"info", "sweeps"} {
		all.Store(by == "sweeps")
		began := time.Now()
		p.kill()
		p = startProcess(t, env, "run")
		<-time.After(2 * time.Second)
		p.kill() // while reads wait
		p = startProcess(t, env, "run")
		eventually(t, "five ends by "+by, func() bool { return r.endedBy(by, began) >= 5 })
	}
	settle(t, r.nc, r.world)
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
}

// endedBy counts the ends since a moment that have such evidence.
func (r *rig) endedBy(by string, since time.Time) (n int) {
	r.t.Helper()
	for _, e := range readStream(r.t, r.nc) {
		if e.Type == "room.ended" && e.Time.After(since) && strings.Contains(string(e.raw), `"by":"`+by+`"`) {
			n++
		}
	}
	return n
}

// A room that leaves the list lives on, over a restart too, and is the same room
// when it comes back; its end is told when reads prove it.
func TestHiddenRoomsLiveOn(t *testing.T) {
	t.Parallel()
	r, env := readsRig(t, simulator.Config{Seed: 5, Rooms: 60, Quota: -1})
	addr := freeAddr(t)
	env = append(env, "ROOMWATCH_REQUESTS_PER_SECOND=100", "ROOMWATCH_INTERVAL=500ms", "ROOMWATCH_HTTP_ADDR="+addr, everyEvent)
	p := startProcess(t, env, "run")
	eventually(t, "the rooms", func() bool { return stored(t, r.nc) >= 60 })
	back, over := r.world.Truth().Live()[10].RoomID, r.world.Truth().Live()[20].RoomID
	flip := func(id string) {
		t.Helper()
		if err := r.world.Flip(id); err != nil {
			t.Fatal(err)
		}
	}
	hidden := func(n string) func() bool {
		return func() bool {
			_, body := fetch(addr, "/metrics")
			return strings.Contains(body, "roomwatch_state_rooms_hidden "+n)
		}
	}
	flip(back)
	flip(over)
	eventually(t, "two hidden rooms", hidden("2"))
	p.kill()
	p = startProcess(t, env, "run")
	eventually(t, "two hidden rooms after a restart", hidden("2"))
	<-time.After(10 * time.Second) // sweeps alone would have ended them
	flip(back)
	eventually(t, "one hidden room", hidden("1"))
	if err := r.world.Close(over); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its end", func() bool { return eventsOf(readStream(t, r.nc), over) == "created hidden ended" })
	if told := eventsOf(settle(t, r.nc, r.world), back); told != "created hidden shown" {
		t.Errorf("told of the room that came back: %s", told)
	}
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
}

// freezeInSight stops the world and has the list show its hidden rooms, so that what is
// told can be compared with it.
func (r *rig) freezeInSight() {
	r.t.Helper()
	r.world.Freeze()
	for _, l := range r.world.Truth().Lives {
		if l.Ended.IsZero() && !l.Hidden.IsZero() {
			if err := r.world.Flip(l.RoomID); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

// Everything at once: rooms come, go, hide and are re-created, a fifth of the point
// reads fails, all of them lag by a second, the service lies now and then in one call
// or in both, and the daemon is killed. No end is false, and in the end all is told.
func TestReadsUnderStorm(t *testing.T) {
	t.Parallel()
	var calm atomic.Bool
	faults := simulator.Random(7, 0.2, simulator.Fault{ErrorCode: 100001}, simulator.Fault{Status: http.StatusBadGateway},
		simulator.Fault{Drop: true}, simulator.Fault{CutBody: true}, simulator.Fault{Hang: time.Second})
	r, env := readsRig(t, simulator.Config{
		Seed: 11, Rooms: 150, Opens: 2, Enters: 100, Recreates: 0.3, Hides: 1, Quota: -1, InfoLag: time.Second, Latency: 5 * time.Millisecond,
		InfoFault: func(n int, req *http.Request) *simulator.Fault {
			if calm.Load() {
				return nil
			}
			return faults(n, req)
		},
	})
	env = append(env, "ROOMWATCH_REQUESTS_PER_SECOND=50", "ROOMWATCH_INTERVAL=1s", "ROOMWATCH_POINT_READS_PER_SECOND=100", everyEvent)
	p := startProcess(t, env, "run")
	eventually(t, "the rooms", func() bool { return stored(t, r.nc) >= 100 })
	for i := range 4 {
		for _, kind := range []simulator.Lies{simulator.LieInfo, simulator.LieList | simulator.LieInfo} {
			r.world.Lie(kind, 2*time.Second)
			<-time.After(8 * time.Second)
		}
		if i%2 == 1 {
			p.kill()
			p = startProcess(t, env, "run")
		}
	}
	calm.Store(true)
	r.freezeInSight()
	events := settle(t, r.nc, r.world)
	over := map[lifeKey]time.Time{}
	for _, l := range r.world.Truth().Lives {
		if !l.Ended.IsZero() {
			over[lifeKey{l.RoomID, l.CreateTime}] = l.Ended
		}
	}
	ends, byReads, hides := 0, 0, 0
	for _, e := range events {
		if e.Type == "room.hidden" {
			hides++
		}
		if e.Type != "room.ended" {
			continue
		}
		ends++
		if strings.Contains(string(e.raw), `"by":"info"`) {
			byReads++
		}
		if at, ok := over[lifeKey{e.Subject, e.Data.Room.CreateTime}]; !ok || e.Time.Before(at.Truncate(time.Millisecond)) {
			t.Errorf("%s ended at %v, and lives or lived until %v", e.Subject, e.Time, at)
		}
	}
	t.Logf("%d ends, %d of them by reads; %d rooms hidden; %d reads, up to %d in a second", ends, byReads, hides, r.world.InfoRequests(), r.world.MaxInfoInSecond())
	if byReads < 20 || hides == 0 {
		t.Errorf("%d of %d ends are by reads, %d rooms were told hidden: the test proves nothing", byReads, ends, hides)
	}
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
}
