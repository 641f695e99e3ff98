package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/roomwatch/web"
	"roomwatch/poller/simulator"
)

// An explainer asks the daemon at an address, by the command and by the API.
type explainer struct {
	t    *testing.T
	env  []string
	addr string
	api  *apiProbe
}

// command returns the exit status and the output of `roomwatch explain`.
func (x *explainer) command(args ...string) (int, string) {
	x.t.Helper()
	p := startProcess(x.t, x.env, append([]string{"explain"}, args...)...)
	return p.wait(20 * time.Second), p.output.String()
}

// ask returns what is told of a room now; an empty state if nothing is known.
func (x *explainer) ask(id string) (e web.Explanation) {
	status, body := fetch(x.addr, "/api/v1/explain?room="+url.QueryEscape(id))
	if status != http.StatusOK || json.Unmarshal([]byte(body), &e) != nil {
		return web.Explanation{}
	}
	return e
}

// says waits until the sentences about a room hold all of these.
func (x *explainer) says(id string, want ...string) (e web.Explanation) {
	x.t.Helper()
	defer func() {
		if x.t.Failed() {
			x.t.Logf("at last: %+v", e)
		}
	}()
	eventually(x.t, fmt.Sprintf("of %q: %q", id, want), func() bool {
		e = x.ask(id)
		return lacks(want, strings.Join(e.Sentences, "\n")) == ""
	})
	x.api.get("/api/v1/explain?room="+url.QueryEscape(id), http.StatusOK) // whatever it is by now, it is as documented
	return e
}

// saysUntilTheEnd closes rooms, one after the other, until all of this was told of one
// between its end and the moment when that was told. What is told for some seconds only
// can be missed on a busy machine.
func (x *explainer) saysUntilTheEnd(world *simulator.Service, ids []string, want ...string) {
	x.t.Helper()
	lacking := ""
	for _, id := range ids {
		if err := world.Close(id); err != nil {
			x.t.Fatal(err)
		}
		var told strings.Builder
		eventually(x.t, fmt.Sprintf("the end of %q", id), func() bool {
			e := x.ask(id)
			told.WriteString(strings.Join(e.Sentences, "\n"))
			return e.State == web.StateEnded
		})
		if lacking = lacks(want, told.String()); lacking == "" {
			return
		}
	}
	x.t.Errorf("of none of %q is told %q", ids, lacking)
}

// lacks returns the first of these that is not in a text; empty if all are.
func lacks(want []string, text string) string {
	for _, w := range want {
		if !strings.Contains(text, w) {
			return w
		}
	}
	return ""
}

// What is told of a room follows it: live, hidden, missed, read, ended; and of one that
// only a callback has named. RoomIds of any characters can be asked for.
func TestExplain(t *testing.T) {
	t.Parallel()
	odd := []string{"a/b", "../x", "..", "%2F", "with space", "直播间", "👩\u200d🎤", "-dash", "?q=1&x", "#"}
	r, env := readsRig(t, simulator.Config{Seed: 5, Rooms: 60, Quota: -1, RoomIDs: func(n int) string {
		if n <= len(odd) {
			return odd[n-1]
		}
		return fmt.Sprintf("room-%d", n)
	}})
	addr, hook := freeAddr(t), freeAddr(t)
	env = append(env, "ROOMWATCH_REQUESTS_PER_SECOND=100", "ROOMWATCH_INTERVAL=2s", "ROOMWATCH_HTTP_ADDR="+addr,
		"ROOMWATCH_WEBHOOK_ADDR="+hook, "ROOMWATCH_WEBHOOK_TOKEN="+callbackToken)
	x := explainer{t: t, env: env, addr: addr}
	if status, out := x.command("a/b"); status != 1 || !strings.Contains(out, "no roomwatch answers at http://"+addr) {
		t.Errorf("without a daemon: exit status %d: %s", status, out)
	}
	p := startProcess(t, env, "run")
	eventually(t, "ready", func() bool { status, _ := fetch(addr, "/readyz"); return status == http.StatusOK })
	x.api = newAPIProbe(t, addr)
	for _, id := range odd {
		x.says(id, "It is live. It began at", "has shown it.")
		if status, out := x.command("--", id); status != 0 || !strings.HasPrefix(out, id+"  live  ") || !strings.Contains(out, "\n  It is live.") {
			t.Errorf("%q: exit status %d: %s", id, status, out)
		}
	}
	if status, out := x.command("--json", "a/b"); status != 0 || !strings.HasPrefix(out, `{"RoomId":"a/b",`) || strings.Count(out, "\n") != 1 {
		t.Errorf("--json: exit status %d: %s", status, out)
	}
	if status, out := x.command("nowhere"); status != 1 || !strings.Contains(out, `nothing is known of room "nowhere"`) {
		t.Errorf("a room that never was: exit status %d: %s", status, out)
	}
	x.api.get("/api/v1/explain?room=nowhere", http.StatusNotFound)
	x.api.get("/api/v1/explain", http.StatusBadRequest)

	if err := r.world.Flip("a/b"); err != nil {
		t.Fatal(err)
	}
	if e := x.says("a/b", "It is live and hidden", "it lives, and the list does not show it"); e.State != web.StateHidden || e.Absence.Sweeps != 0 {
		t.Errorf("hidden: %+v", e)
	}
	x.saysUntilTheEnd(r.world, []string{"..", "room-50", "room-51", "room-52", "room-53"},
		"Missed by the newest complete sweep, no. ", ": gone, second read due at ", "Its end needs two witnesses; one says that it does not exist: the read at ")
	if e := x.says("..", "It has ended (CreateTime", "proved by point reads"); e.State != web.StateEnded || e.Room != nil || e.End.By != "info" {
		t.Errorf("ended: %+v", e)
	}
	if status, out := x.command(".."); status != 0 || !strings.HasPrefix(out, "..  ended\n") {
		t.Errorf("ended: exit status %d: %s", status, out)
	}
	callBack(t, hook, "Live.CallbackAfterCreateRoom", "ghost")
	if e := x.says("ghost", "It is not known to be live", "Read at", "Proposed for a read since", "because a read has contradicted a callback", ": created."); e.State != web.StateUnknown || e.Callback == nil {
		t.Errorf("named by a callback: %+v", e)
	}
	if status := p.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
}

// A sweep that takes long is past the place of a room before it ends, and says so.
func TestExplainPassed(t *testing.T) {
	t.Parallel()
	r, env := readsRig(t, simulator.Config{Seed: 5, Rooms: 400, Enters: 20, Quota: -1, Latency: 200 * time.Millisecond})
	addr := freeAddr(t)
	startProcess(t, append(env, "ROOMWATCH_HTTP_ADDR="+addr), "run")
	eventually(t, "ready", func() bool { status, _ := fetch(addr, "/readyz"); return status == http.StatusOK })
	x := explainer{t: t, env: env, addr: addr, api: newAPIProbe(t, addr)}
	live := r.world.Truth().Live()
	slices.SortFunc(live, func(a, b simulator.Life) int { return cmp.Compare(b.ViewCount, a.ViewCount) })
	var ids []string
	for _, l := range live[:5] {
		ids = append(ids, l.RoomID)
	}
	x.saysUntilTheEnd(r.world, ids, "The sweep on its way is two pages past its place and has not shown it.")
}

// Without point reads, sweeps alone end a room, and the explanation says so.
func TestExplainWithoutReads(t *testing.T) {
	t.Parallel()
	r := newRig(t, simulator.Config{Seed: 5, Rooms: 60, Quota: -1})
	addr := freeAddr(t)
	env := r.env(t.TempDir(), "ROOMWATCH_HTTP_ADDR="+addr, "ROOMWATCH_INTERVAL=5s", "ROOMWATCH_POINT_READS_PER_SECOND=0")
	startProcess(t, env, "run")
	eventually(t, "ready", func() bool { status, _ := fetch(addr, "/readyz"); return status == http.StatusOK })
	x := explainer{t: t, env: env, addr: addr, api: newAPIProbe(t, addr)}
	var ids []string
	for _, l := range r.world.Truth().Live()[:5] {
		ids = append(ids, l.RoomID)
	}
	x.saysUntilTheEnd(r.world, ids, "complete sweeps: the first began at ", "at least 5s apart: so far ", "Point reads are off")
	if e := x.says(ids[0], "It has ended", "complete sweeps had missed it"); e.End.By != "sweeps" || e.Reads != nil {
		t.Errorf("ended: %+v", e)
	}
}
