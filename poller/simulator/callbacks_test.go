package simulator_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"roomwatch/poller/simulator"
)

const hookURL = "https://app.example/webhook"

// A received is a callback as it arrived.
type received struct {
	at     time.Time
	query  url.Values
	body   string
	fields struct { // of the body
		CallbackCommand  string
		RoomId           string //nolint:revive // the API's name
		EventTime        int64
		Operator_Account string //nolint:revive // the API's name
		EventType        string
		RoomInfo         map[string]json.RawMessage
		Statistic        map[string]int64
	}
}

func receive(r *http.Request) (received, error) {
	got := received{at: time.Now(), query: r.URL.Query()}
	body, err := io.ReadAll(r.Body)
	if err == nil {
		got.body, err = string(body), json.Unmarshal(body, &got.fields)
	}
	return got, err
}

// room returns the RoomId that a callback is about.
func (r received) room() string {
	var id string
	if raw, ok := r.fields.RoomInfo["RoomId"]; ok {
		_ = json.Unmarshal(raw, &id) // it stays empty, which no test accepts
		return id
	}
	return r.fields.RoomId
}

// A hook is a Transport that keeps the callbacks and lets answer make the status;
// a status of 0 is an answer that never comes.
type hook struct {
	answer func(r received) int

	mu  sync.Mutex
	got []received
}

func (h *hook) RoundTrip(r *http.Request) (*http.Response, error) {
	got, err := receive(r)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	h.got = append(h.got, got)
	h.mu.Unlock()
	status := 200
	if h.answer != nil {
		status = h.answer(got)
	}
	if status == 0 {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Location": {hookURL}}, Body: io.NopCloser(strings.NewReader("{}")), Request: r}, nil
}

// all returns what has arrived, oldest first.
func (h *hook) all() []received {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.got)
}

// tells starts a Service that sends its callbacks to a hook, in a bubble.
func tells(t *testing.T, c simulator.Config, answer func(received) int) (*simulator.Service, *hook) {
	h := &hook{answer: answer}
	c.Callbacks.Transport = h
	if c.Callbacks.URL == "" {
		c.Callbacks.URL = hookURL
	}
	s := start(t, c)
	sendCallbacks(t, s)
	return s, h
}

// sendCallbacks runs SendCallbacks until the test ends or stop is called.
func sendCallbacks(t *testing.T, s *simulator.Service) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.SendCallbacks(ctx)
	}()
	stop = func() { cancel(); <-done }
	t.Cleanup(stop)
	return stop
}

// Each thing that happens to a room is told to a real server, with the documented
// parameters and the documented signature.
func TestCallbacksToServer(t *testing.T) {
	arrived := make(chan received, 100)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got, err := receive(r)
		if err != nil || r.Method != http.MethodPost || r.URL.Path != "/webhook" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s, %v: %v", r.Method, r.URL, r.Header, err)
		}
		arrived <- got
	}))
	defer server.Close()
	s := start(t, simulator.Config{Callbacks: simulator.Callbacks{URL: server.URL + "/webhook?zone=1", Token: "xxxxyyyy"}})
	stop := sendCallbacks(t, s)
	must(t, s.Open("a"))
	must(t, s.Enter("a", 3))
	must(t, s.Flip("a"))
	must(t, s.Flip("a"))
	must(t, s.Recreate("a"))
	must(t, s.Edit("a", func(r *simulator.Room) { r.ViewCount++ }))
	must(t, s.Edit("a", func(r *simulator.Room) { r.RoomName = "b" }))
	must(t, s.Close("a"))
	commands := make(map[string]int)
	for range 7 {
		var got received
		select {
		case got = <-arrived:
		case <-time.After(20 * time.Second):
			t.Fatalf("received only %v", commands)
		}
		q := got.query
		commands[q.Get("CallbackCommand")]++
		if q.Get("CallbackCommand") != got.fields.CallbackCommand || got.room() != "a" {
			t.Errorf("%v tells %s", q, got.body)
		}
		for name, want := range map[string]string{
			"SdkAppid": "88888888", "contenttype": "json", "zone": "1", "ClientIP": "192.0.2.1", "Sign": callbackSign("xxxxyyyy", q.Get("RequestTime")),
		} {
			if q.Get(name) != want {
				t.Errorf("%s is %q, want %q", name, q.Get(name), want)
			}
		}
		if q.Get("OptPlatform") == "" {
			t.Errorf("no OptPlatform in %v", q)
		}
	}
	stop()
	want := map[string]int{"Live.CallbackAfterCreateRoom": 2, "Live.CallbackAfterUpdateRoomInfo": 3, "Live.CallbackAfterDestroyRoom": 2}
	c := s.CallbacksSent()
	if !maps.Equal(commands, want) || !maps.Equal(c.Sent, want) || len(arrived) > 0 {
		t.Errorf("received %v, sent %+v, want %v", commands, c, want)
	}
}

// The vector of the vendor's document; the time comes from a fake clock.
func TestCallbackSign(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := tells(t, simulator.Config{Callbacks: simulator.Callbacks{Token: "xxxxyyyy"}}, nil)
		time.Sleep(time.Until(time.Unix(1669872112, 0)))
		must(t, s.Open("a"))
		synctest.Wait()
		must(t, s.SetCallbacks(simulator.Callbacks{URL: hookURL, Transport: h}))
		must(t, s.Open("b"))
		synctest.Wait()
		got := h.all()
		if len(got) != 2 {
			t.Fatalf("%d callbacks", len(got))
		}
		const want = "17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061"
		if q := got[0].query; q.Get("Sign") != want || q.Get("RequestTime") != "1669872112" || callbackSign("xxxxyyyy", "1669872112") != want {
			t.Errorf("signed by %v", q)
		}
		if q := got[1].query; q.Has("Sign") || q.Has("RequestTime") {
			t.Errorf("without a token: %v", q)
		}
	})
}

// The bodies have the fields of the vendor's samples, of his tables, and of what
// was received, and no others.
func TestCallbackBodies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, h := tells(t, simulator.Config{}, nil)
		began := time.Now().UnixMilli()
		for n := range 40 {
			id := odd(n)
			must(t, s.Open(id))
			must(t, s.Enter(id, 7))
			must(t, s.Flip(id))
			must(t, s.Close(id))
			time.Sleep(time.Second)
		}
		const info = "CoverURL CustomInfo IsMessageDisabled IsPublicVisible MaxMemberCount "
		const created = info + "CreateTime IsSeatEnabled MaxSeatCount Owner_Account RoomId RoomName RoomType TakeSeatMode "
		const destroyed = info + "ActivityStatus BackgroundURL IsSeatEnabled IsUnlimitedRoomEnabled MaxSeatCount Owner_Account RoomName RoomType TakeSeatMode ViewCount "
		want := map[string]bool{
			shape("Create", "CallbackCommand Operator_Account RoomInfo", created):                                                      true,
			shape("Create", "CallbackCommand Operator_Account RoomInfo EventTime", created):                                            true,
			shape("Update", "CallbackCommand Operator_Account RoomInfo EventTime", info+"ActivityStatus RoomId RoomName TakeSeatMode"): true,
			shape("Destroy", "CallbackCommand Operator_Account RoomInfo EventTime EventType RoomId Statistic", destroyed):              true,
			shape("Destroy", "CallbackCommand Operator_Account RoomInfo EventTime EventType RoomId", destroyed+"RoomId"):               true,
		}
		got := make(map[string]bool)
		lives := make(map[string]simulator.Life)
		for _, l := range s.Truth().Lives {
			lives[l.RoomID] = l
		}
		for _, r := range h.all() {
			got[shapeOf(t, r)] = true
			l, ok := lives[r.room()]
			if r.fields.EventTime != 0 && (r.fields.EventTime < began || r.fields.EventTime != r.at.UnixMilli()) || !ok {
				t.Errorf("room %q: EventTime of %s", r.room(), r.body)
			}
			checkInfo(t, r, l)
		}
		if !maps.Equal(got, want) {
			t.Errorf("shapes:\n%q\nwant:\n%q", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
		}
	})
}

// shape names fields; Category is left out, because only some rooms have one.
func shape(command, outer, inner string) string {
	sorted := func(s string) string { return strings.Join(slices.Sorted(slices.Values(strings.Fields(s))), " ") }
	return command + ": " + sorted(outer) + " | " + sorted(inner)
}

func shapeOf(t *testing.T, r received) string {
	var outer map[string]any
	must(t, json.Unmarshal([]byte(r.body), &outer))
	inner := maps.Clone(r.fields.RoomInfo)
	delete(inner, "Category")
	for _, command := range []string{"Create", "Update", "Destroy"} {
		if strings.HasPrefix(r.fields.CallbackCommand, "Live.CallbackAfter"+command+"Room") {
			return shape(command, strings.Join(slices.Collect(maps.Keys(outer)), " "), strings.Join(slices.Collect(maps.Keys(inner)), " "))
		}
	}
	return r.fields.CallbackCommand
}

// checkInfo compares what a callback shows with the life that it is about, which
// was created in the list, then hidden, and ended so.
func checkInfo(t *testing.T, r received, l simulator.Life) {
	t.Helper()
	quoted := func(s string) string { b, _ := json.Marshal(s); return string(b) }
	want := map[string]string{"RoomName": quoted(l.RoomName), "CoverURL": quoted(l.CoverURL), "IsPublicVisible": "false"}
	if len(l.Category) > 0 && r.fields.EventType != "DestroyBySystem" {
		want["Category"] = strings.ReplaceAll(fmt.Sprint(l.Category), " ", ",")
	}
	switch r.fields.CallbackCommand {
	case "Live.CallbackAfterCreateRoom":
		want["IsPublicVisible"], want["CreateTime"], want["Owner_Account"] = "true", fmt.Sprint(l.CreateTime), quoted(l.Owner)
	case "Live.CallbackAfterDestroyRoom":
		want["ViewCount"] = "7"
		switch owner := r.fields.RoomInfo["Owner_Account"]; r.fields.EventType {
		case "DestroyByUser":
			if bytes.HasPrefix(owner, []byte(`"`)) || len(owner) < 17 || r.fields.Statistic["TotalViewers"] != 7 {
				t.Errorf("room %q: owner or statistic of %s", l.RoomID, r.body)
			}
		case "DestroyBySystem":
			want["Owner_Account"] = quoted(l.Owner)
			if r.fields.Operator_Account != "@TIM#SYSTEM" {
				t.Errorf("room %q: %s", l.RoomID, r.body)
			}
		}
	}
	for field, value := range want {
		if got := r.fields.RoomInfo[field]; string(got) != value {
			t.Errorf("room %q: %s is %s, want %s: %s", l.RoomID, field, got, value, r.body)
		}
	}
}

// The world goes on while nobody asks the service, and tells each thing soon. What
// happened before callbacks had a URL is not told.
func TestCallbacksOfMovingWorld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := lively()
		c.Start = time.Now().Add(-time.Hour)
		s, h := tells(t, c, nil)
		began := time.Now()
		time.Sleep(time.Minute)
		s.Freeze()
		time.Sleep(time.Second)
		synctest.Wait()
		got := h.all()
		counts := s.CallbacksSent()
		want := map[string]int{"Live.CallbackAfterUpdateRoomInfo": counts.Sent["Live.CallbackAfterUpdateRoomInfo"]}
		for _, l := range s.Truth().Lives {
			if l.Opened.After(began) {
				want["Live.CallbackAfterCreateRoom"]++
			}
			if l.Ended.After(began) {
				want["Live.CallbackAfterDestroyRoom"]++
			}
		}
		if n := len(got); n < 150 || counts.Answered[200] != n || counts.Pending != 0 || want["Live.CallbackAfterUpdateRoomInfo"] < 10 {
			t.Errorf("%d callbacks, %+v", n, counts)
		}
		if !maps.Equal(counts.Sent, want) {
			t.Errorf("sent %v, want %v", counts.Sent, want)
		}
		for _, r := range got {
			if late := r.at.UnixMilli() - r.fields.EventTime; r.fields.EventTime != 0 && (late < 0 || late > 11) {
				t.Errorf("%d ms late: %s", late, r.body)
			}
		}
	})
}

// Callbacks are late by a half of Lag to all of it, and overtake each other.
func TestCallbackLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := lively()
		c.Callbacks.Lag = 4 * time.Second
		_, h := tells(t, c, nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		overtaken, before := 0, int64(0)
		for _, r := range h.all() {
			if r.fields.EventTime == 0 {
				continue
			}
			if late := r.at.UnixMilli() - r.fields.EventTime; late < 2000 || late > 4011 {
				t.Errorf("%d ms late: %s", late, r.body)
			}
			if r.fields.EventTime < before {
				overtaken++
			}
			before = r.fields.EventTime
		}
		if overtaken < 10 {
			t.Errorf("%d overtaken", overtaken)
		}
	})
}

// What is lost and what comes twice is the same in equal worlds, whoever looks at
// them, and in the share that was asked for.
func TestCallbackFates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := lively()
		c.Start = time.Now()
		c.Callbacks = simulator.Callbacks{Drop: 0.2, Double: 0.3, Lag: time.Second}
		read, a := tells(t, c, nil)
		_, b := tells(t, c, nil)
		for range 1000 {
			read.Truth()
			time.Sleep(170 * time.Millisecond)
		}
		read.Freeze()
		time.Sleep(5 * time.Second)
		counts := read.CallbacksSent()
		bodies := make(map[string]int)
		for _, r := range a.all() {
			bodies[r.query.Get("OptPlatform")+r.body]++
		}
		other := make(map[string]int)
		for _, r := range b.all() {
			other[r.query.Get("OptPlatform")+r.body]++
		}
		for body, n := range bodies {
			if other[body] != n || n > 2 {
				t.Errorf("received %d and %d times: %s", n, other[body], body)
			}
		}
		sent := counts.Answered[200]
		told := float64(len(bodies) + counts.Dropped)
		near := func(what string, n int, share, of float64) {
			if math.Abs(float64(n)-share*of) > 5*math.Sqrt(of*share*(1-share)) {
				t.Errorf("%s: %d of %v, want a share of %v", what, n, of, share)
			}
		}
		near("dropped", counts.Dropped, 0.2, told)
		near("doubled", sent-len(bodies), 0.3, float64(len(bodies)))
		if sent != len(a.all()) || counts.Pending != 0 || told < 500 {
			t.Errorf("%v to tell, %d arrived, %+v", told, len(a.all()), counts)
		}
	})
}

// An answer means nothing: no other attempt, and no redirect is followed. None
// within two seconds is given up.
func TestCallbackAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := map[string]int{"a": 200, "b": 403, "c": 500, "d": 307, "e": 0}
		s, h := tells(t, simulator.Config{}, func(r received) int { return status[r.room()] })
		for id := range status {
			must(t, s.Open(id))
		}
		time.Sleep(2*time.Second - time.Nanosecond)
		if c := s.CallbacksSent(); c.Pending != 1 || c.Unanswered != 0 {
			t.Errorf("after almost two seconds: %+v", c)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		if c := s.CallbacksSent(); c.Pending != 0 || c.Unanswered != 1 {
			t.Errorf("after two seconds: %+v", c)
		}
		time.Sleep(time.Hour)
		want := simulator.CallbackCounts{
			Sent:     map[string]int{"Live.CallbackAfterCreateRoom": 5},
			Answered: map[int]int{200: 1, 403: 1, 500: 1, 307: 1}, Unanswered: 1,
		}
		if c := s.CallbacksSent(); !reflect.DeepEqual(c, want) || len(h.all()) != 5 {
			t.Errorf("%d arrived, %+v, want %+v", len(h.all()), c, want)
		}
	})
}

// The end breaks off what is on its way and keeps what waits. A receiver that
// answers nothing holds up the others, but not for ever.
func TestCallbacksEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hook{answer: func(received) int { return 0 }}
		s := start(t, simulator.Config{Callbacks: simulator.Callbacks{URL: hookURL, Transport: h}})
		stop := sendCallbacks(t, s)
		for n := range 100 {
			must(t, s.Open(fmt.Sprint(n)))
		}
		synctest.Wait()
		if c := s.CallbacksSent(); len(h.all()) != 64 || c.Pending != 100 {
			t.Errorf("%d arrived, %+v", len(h.all()), c)
		}
		began := time.Now()
		stop()
		if c := s.CallbacksSent(); time.Since(began) != 0 || c.Unanswered != 64 || c.Pending != 36 {
			t.Errorf("ended after %v: %+v", time.Since(began), c)
		}
		sendCallbacks(t, s)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if c := s.CallbacksSent(); c.Unanswered != 100 || c.Pending != 0 {
			t.Errorf("after the next call: %+v", c)
		}
	})
}

// A URL can be set when the receiver is known, and taken away.
func TestSetCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := new(hook)
		s := start(t, simulator.Config{})
		sendCallbacks(t, s)
		must(t, s.Open("too early"))
		synctest.Wait()
		must(t, s.SetCallbacks(simulator.Callbacks{URL: hookURL, Transport: h, Lag: time.Second}))
		must(t, s.Open("a"))
		time.Sleep(time.Second)
		synctest.Wait()
		must(t, s.Open("forgotten"))
		must(t, s.SetCallbacks(simulator.Callbacks{}))
		must(t, s.Open("too late"))
		time.Sleep(time.Minute)
		if got := h.all(); len(got) != 1 || got[0].room() != "a" {
			t.Errorf("received %v", got)
		}
		want := simulator.CallbackCounts{Sent: map[string]int{"Live.CallbackAfterCreateRoom": 1}, Answered: map[int]int{200: 1}}
		if c := s.CallbacksSent(); !reflect.DeepEqual(c, want) {
			t.Errorf("%+v, want %+v", c, want)
		}
		if err := s.SetCallbacks(simulator.Callbacks{URL: "app.example"}); err == nil {
			t.Error("a relative URL was accepted")
		}
	})
}

// Callbacks that nobody sends do not fill the memory.
func TestCallbacksAreBounded(t *testing.T) {
	s := start(t, simulator.Config{Callbacks: simulator.Callbacks{URL: hookURL}})
	must(t, s.Open("a"))
	for range 5_001 {
		must(t, s.Recreate("a"))
	}
	if c := s.CallbacksSent(); c.Pending != 10_000 || c.Dropped != 3 {
		t.Errorf("%+v", c)
	}
}

// callbackSign is the vendor's formula, written once more.
func callbackSign(token, requestTime string) string {
	return fmt.Sprintf("%x", sha256.Sum256([]byte(token+requestTime)))
}
