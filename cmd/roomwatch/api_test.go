package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"roomwatch/cmd/roomwatch/web"
	"roomwatch/poller/simulator"
)

// An apiProbe checks each answer of a daemon against the document that it gives out.
type apiProbe struct {
	t      *testing.T
	addr   string
	routes routers.Router
}

func newAPIProbe(t *testing.T, addr string) *apiProbe {
	t.Helper()
	status, spec := fetch(addr, "/api/v1/openapi.json")
	if status != http.StatusOK {
		t.Fatalf("no document: %d %s", status, spec)
	}
	doc, err := openapi3.NewLoader().LoadFromData([]byte(spec))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.Validate(t.Context()); err != nil {
		t.Errorf("the document: %v", err)
	}
	routes, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatal(err)
	}
	return &apiProbe{t: t, addr: addr, routes: routes}
}

// get asks for a path and fails the test where the answer is not the documented
// one. A request that the document forbids has to be refused.
func (p *apiProbe) get(path string, want int) []byte {
	p.t.Helper()
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, "http://"+p.addr+path, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	if resp.StatusCode != want {
		p.t.Errorf("%s: %d %s, want %d", path, resp.StatusCode, body, want)
	}
	route, params, err := p.routes.FindRoute(req)
	if err != nil {
		p.t.Fatalf("%s is not in the document: %v", path, err)
	}
	question := &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route, Options: &openapi3filter.Options{SkipSettingDefaults: true,
		AuthenticationFunc: func(context.Context, *openapi3filter.AuthenticationInput) error {
			return errors.New("the request has no token")
		}}}
	answer := &openapi3filter.ResponseValidationInput{RequestValidationInput: question, Status: resp.StatusCode, Header: resp.Header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true}}
	if err := openapi3filter.ValidateResponse(p.t.Context(), answer.SetBodyBytes(body)); err != nil {
		p.t.Errorf("%s is not as documented: %v\n%s", path, err, body)
	}
	if err := openapi3filter.ValidateRequest(p.t.Context(), question); err != nil && want == http.StatusOK {
		p.t.Errorf("%s is not a documented question: %v", path, err)
	} else if err == nil && want == http.StatusBadRequest {
		p.t.Errorf("%s is a documented question, and refused", path)
	}
	return body
}

// The API is what its document says, in good days and in bad ones.
func TestAPIIsAsDocumented(t *testing.T) {
	t.Parallel()
	var failing atomic.Bool
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 45, Quota: -1, Fault: func(int, *http.Request) *simulator.Fault {
		if failing.Load() {
			return &simulator.Fault{ErrorCode: 60020} // which no retry fixes
		}
		return nil
	}})
	addr := freeAddr(t)
	d := startProcess(t, r.env(t.TempDir(), "ROOMWATCH_HTTP_ADDR="+addr), "run")
	eventually(t, "the daemon", func() bool { status, _ := fetch(addr, "/readyz"); return status == http.StatusOK })
	eventually(t, "the rooms", func() bool { return stored(t, r.nc) == 45 })
	p := newAPIProbe(t, addr)
	room := r.world.Truth().Live()[0]
	for _, path := range []string{
		"/healthz", "/readyz", "/metrics", "/api/v1/status", "/api/v1/history", "/api/v1/openapi.json",
		"/api/v1/rooms", "/api/v1/rooms?limit=1", "/api/v1/rooms?limit=200", "/api/v1/rooms?sort=-name&owner=alice&category=3&q=live",
		"/api/v1/rooms/" + room.RoomID, "/schema/asyncapi.json", "/schema/room.created.v1.json",
	} {
		p.get(path, http.StatusOK)
	}
	for path, want := range map[string]int{
		"/api/v1/rooms?limit=0": 400, "/api/v1/rooms?sort=size": 400, "/api/v1/rooms/nowhere": 404, "/api/v1/events?type=room.opened": 400,
		"/schema/nothing.json": 404,
	} {
		p.get(path, want)
	}
	var s web.Status
	read := func() web.Status {
		s = web.Status{}
		if err := json.Unmarshal(p.get("/api/v1/status", http.StatusOK), &s); err != nil {
			t.Fatal(err)
		}
		return s
	}
	if read(); s.Health != web.OK || s.Rooms.Known != 45 || s.Events["room.created"] != 45 || s.Outbox.Stored != 45 || s.NATS.Claim == 0 || s.LastComplete.Rooms != 45 ||
		s.Application.SDKAppID != testApp || s.Application.Endpoint != r.api.URL || !s.NATS.Connected || s.NATS.Server != r.nats.ClientURL() || s.Outbox.Epoch == "" {
		t.Errorf("status in good days: %+v", s)
	}

	// Half of the rooms go at once: the guard holds them back for some sweeps.
	for i, l := range r.world.Truth().Live() {
		if i < 30 {
			if err := r.world.Close(l.RoomID); err != nil {
				t.Fatal(err)
			}
		}
	}
	eventually(t, "the guard, or missing rooms", func() bool { return read().Absence.Guard.Active || s.Rooms.Missing > 0 })
	p.get("/api/v1/rooms?limit=200", http.StatusOK) // with rooms that are missing
	p.get("/readyz", http.StatusOK)
	eventually(t, "the ends", func() bool { return read().Rooms.Known == 15 })
	if n := s.News; n.Created.Events != 0 || n.Ended.Events != 30 || n.Ended.Median <= 0 || n.Ended.P95 < n.Ended.Median {
		t.Errorf("news: %+v", n)
	}

	r.stopNATS()
	failing.Store(true)
	eventually(t, "trouble", func() bool { return read().Health == web.Failing && s.LastFailure != nil })
	p.get("/readyz", http.StatusServiceUnavailable)
	for _, path := range []string{"/api/v1/rooms", "/api/v1/history", "/metrics"} {
		p.get(path, http.StatusOK)
	}
	if body := string(p.get("/api/v1/status", http.StatusOK)); strings.Contains(body, testKey) || strings.Contains(body, "usersig") {
		t.Errorf("a secret is shown: %s", body)
	}
	if status := d.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, d.output)
	}
}

// Whoever turns the pages while the world lives gets the rooms of the world, odd
// names and all.
func TestPagesOfALivelyWorld(t *testing.T) {
	t.Parallel()
	odd := []string{"a.b.c", "with space", "*", "%2F", "a/b", "直播间", `quote"\`, "?q=1&x", "#"}
	// Each end takes two reads, and so many rooms must not be gone at once that the guard of mass ends holds.
	r := newRig(t, simulator.Config{Seed: 4, Rooms: 120, Opens: 10, Enters: 200, Recreates: 3, Quota: -1, Next: simulator.NextFrozen, RoomIDs: func(n int) string {
		if n <= len(odd) {
			return odd[n-1]
		}
		return fmt.Sprintf("room-%d", n)
	}})
	addr := freeAddr(t)
	startProcess(t, r.env(t.TempDir(), "ROOMWATCH_HTTP_ADDR="+addr, "ROOMWATCH_POINT_READS_PER_SECOND=200"), "run")
	eventually(t, "ready", func() bool { status, _ := fetch(addr, "/readyz"); return status == http.StatusOK })
	// Lives that the daemon knew before and after the pages were turned.
	keys := func(rooms []web.Room) map[string]int {
		n := map[string]int{}
		for _, room := range rooms {
			n[fmt.Sprint(room.RoomID, " ", room.CreateTime)]++
		}
		return n
	}
	moved := 0
	for round := 0; moved < 50; round++ {
		sort := []string{"id", "-id", "created", "-name"}[round%4]
		before := keys(apiRooms(t, addr, "limit=200&sort=id"))
		seen := keys(apiRooms(t, addr, "limit=5&sort="+sort))
		after := keys(apiRooms(t, addr, "limit=200&sort=id"))
		for key := range before {
			if after[key] == 0 {
				moved++
			} else if seen[key] != 1 {
				t.Errorf("sort %s: %q is on %d pages", sort, key, seen[key])
			}
		}
		if round > 5000 {
			t.Fatalf("only %d rooms went", moved)
		}
	}
	r.world.Freeze()
	var want, got []string
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the world has %q, the list %q", want, got)
		}
	})
	eventually(t, "the truth", func() bool {
		want, got = nil, nil
		for _, l := range r.world.Truth().Live() {
			want = append(want, fmt.Sprint(l.RoomID, l.CreateTime, l.ViewCount, l.RoomName, l.Owner))
		}
		for _, room := range apiRooms(t, addr, "limit=17") {
			got = append(got, fmt.Sprint(room.RoomID, room.CreateTime, room.ViewCount, room.RoomName, room.OwnerAccount))
		}
		slices.Sort(want)
		slices.Sort(got)
		return slices.Equal(want, got)
	})
	for _, l := range r.world.Truth().Live() {
		if status, body := fetch(addr, "/api/v1/rooms/"+url.PathEscape(l.RoomID)); status != http.StatusOK {
			t.Errorf("%q: %d %s", l.RoomID, status, body)
		}
	}
}

// apiRooms returns the rooms on all pages of a list.
func apiRooms(t *testing.T, addr, query string) (rooms []web.Room) {
	t.Helper()
	for next := ""; ; {
		status, body := fetch(addr, "/api/v1/rooms?"+query+next)
		var l web.RoomList
		if err := json.Unmarshal([]byte(body), &l); err != nil || status != http.StatusOK {
			t.Fatalf("rooms: %d %s", status, body)
		}
		rooms = append(rooms, l.Rooms...)
		if l.Next == nil {
			return rooms
		}
		next = "&cursor=" + *l.Next
	}
}

// With a token nothing is told without it, and it is in no log.
func TestTokenOfTheDaemon(t *testing.T) {
	const token = "let-me-read"
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 30, Quota: -1})
	addr := freeAddr(t)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := r.env(t.TempDir(), "ROOMWATCH_HTTP_ADDR="+addr, "ROOMWATCH_HTTP_TOKEN_FILE="+file, "ROOMWATCH_LOG_LEVEL=debug")
	d := startProcess(t, env, "run")
	eventually(t, "ready", func() bool { status, _ := fetch(addr, "/readyz"); return status == http.StatusOK })
	if _, body := fetch(addr, "/readyz"); strings.TrimSpace(body) != `{"ready":true}` {
		t.Errorf("/readyz tells %s", body)
	}
	if status, body := fetch(addr, "/api/v1/status"); status != http.StatusUnauthorized || strings.Contains(body, token) {
		t.Errorf("/api/v1/status: %d %s", status, body)
	}
	if status, body := fetch("x:"+token+"@"+addr, "/api/v1/status"); status != http.StatusOK {
		t.Errorf("/api/v1/status with Basic: %d %s", status, body)
	}
	status, out := runWith(t, env, "status")
	if status != 0 || !strings.Contains(out, "30 live") {
		t.Errorf("status with the file: %d %s", status, out)
	}
	env = append(env, "ROOMWATCH_HTTP_TOKEN_FILE=", "ROOMWATCH_HTTP_TOKEN=wrong-token")
	for _, command := range []string{"rooms", "status"} {
		status, out := runWith(t, env, command)
		if status != 1 || !strings.Contains(out, "wants another token; set ROOMWATCH_HTTP_TOKEN or") || strings.Contains(out, "Authorization") || strings.Contains(out, "wrong-token") {
			t.Errorf("%s with a wrong token: %d %s", command, status, out)
		}
	}
	d.stop()
	if strings.Contains(d.output.String(), token) {
		t.Errorf("the token is in the log:\n%s", d.output)
	}
}

// rooms and status print what the daemon knows, for people and raw, and no name
// of a stranger moves the cursor.
func TestRoomsAndStatus(t *testing.T) {
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 230, Quota: -1})
	addr := freeAddr(t)
	env := r.env(t.TempDir(), "ROOMWATCH_HTTP_ADDR="+addr)
	for _, command := range []string{"rooms", "status"} {
		if status, out := runWith(t, env, command); status != 1 || !strings.Contains(out, "no roomwatch answers at http://"+addr) {
			t.Errorf("%s without a daemon: %d %s", command, status, out)
		}
	}
	room := r.world.Truth().Live()[229].RoomID
	err := r.world.Edit(room, func(l *simulator.Room) {
		l.RoomName, l.Owner, l.ViewCount, l.Category = "直播\x1b[2J\r\n\u202eevil", "own\x07er", 1234567, []int64{77}
	})
	if err != nil {
		t.Fatal(err)
	}
	startProcess(t, env, "run")
	eventually(t, "the rooms", func() bool { return stored(t, r.nc) == 230 })
	for _, tt := range []struct {
		args  []string
		lines int
		want  string
	}{
		{[]string{"rooms", "--limit", "3"}, 4 + 1, "1,234,567"},
		{[]string{"rooms", "--limit", "215"}, 216 + 1, "There are more"},
		{[]string{"rooms", "--all"}, 231, "alice"},
		{[]string{"rooms", "--all", "--json"}, 230, `"ViewCount":1234567`},
		{[]string{"rooms", "--category", "77"}, 2, "直播\uFFFD[2J\uFFFD\uFFFD\uFFFDevil"},
		{[]string{"rooms", "--q", strings.ToUpper(room)}, 2, room},
		{[]string{"rooms", "--owner", "nobody"}, 1, "ROOM"},
		{[]string{"status"}, 8, "230 live"},
		{[]string{"status"}, 8, "in the last hour no room created; no room ended"},
		{[]string{"status", "--json"}, 1, `"known":230`},
	} {
		status, out := runWith(t, env, tt.args...)
		if status != 0 || strings.Count(out, "\n") < tt.lines || !strings.Contains(out, tt.want) || tt.args[0] == "rooms" && strings.Count(out, "\n") != tt.lines {
			t.Errorf("%q: exit status %d, %d lines, want %d, and %q in:\n%s", tt.args, status, strings.Count(out, "\n"), tt.lines, tt.want, out)
		}
		if strings.ContainsAny(out, "\x1b\x07\r\u202e") && tt.args[len(tt.args)-1] != "--json" {
			t.Errorf("%q: control characters in %q", tt.args, out)
		}
	}
	for _, args := range [][]string{{"rooms", "--sort", "size"}, {"rooms", "--limit", "0"}, {"rooms", "--category", "x"}} {
		if status, out := runWith(t, env, args...); status != 2 || !strings.Contains(out, strings.TrimPrefix(args[1], "--")) {
			t.Errorf("%q: exit status %d: %s", args, status, out)
		}
	}
	if status, out := runWith(t, append(env, "ROOMWATCH_HTTP_ADDR=off"), "rooms"); status != 2 || !strings.Contains(out, "ROOMWATCH_HTTP_ADDR is off") {
		t.Errorf("off: exit status %d: %s", status, out)
	}
	for _, command := range []string{"rooms", "status"} {
		status, out := runWith(t, append(env, "ROOMWATCH_HTTP_ADDR="+strings.TrimPrefix(r.api.URL, "http://")), command)
		if status != 1 || !strings.Contains(out, "set ROOMWATCH_HTTP_ADDR to where") {
			t.Errorf("%s of another service: exit status %d: %s", command, status, out)
		}
	}
	r.stopNATS()
	eventually(t, "trouble", func() bool { status, _ := fetch(addr, "/readyz"); return status != http.StatusOK })
	if status, out := runWith(t, env, "status"); status != 1 || !strings.Contains(out, "failing") || !strings.Contains(out, "NATS is not connected") {
		t.Errorf("trouble: exit status %d:\n%s", status, out)
	}
}
