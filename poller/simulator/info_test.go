package simulator_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"roomwatch/poller/simulator"
)

// look returns what get_room_info says of a room, as "code id@created hidden?".
func look(t testing.TB, s *simulator.Service, id string) (code int, room map[string]json.RawMessage) {
	t.Helper()
	url := strings.Replace(target, "get_room_list", "get_room_info", 1) + "?" + params(t).Encode()
	body := fmt.Sprintf(`{"RoomId":%q}`, id)
	w := send(s, httptest.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body)))
	var a struct {
		ErrorCode int
		Response  struct{ RoomInfo map[string]json.RawMessage }
	}
	must(t, json.Unmarshal(w.Body.Bytes(), &a))
	return a.ErrorCode, a.Response.RoomInfo
}

// The answer has the fields of the vendor's sample, and Owner_Account as a number.
func TestInfo(t *testing.T) {
	s := start(t, simulator.Config{})
	must(t, s.Open("a"))
	must(t, s.Enter("a", 7))
	code, room := look(t, s, "a")
	var owner int64
	if code != 0 || json.Unmarshal(room["Owner_Account"], &owner) != nil || owner <= 1<<53 {
		t.Errorf("code %d, Owner_Account %s", code, room["Owner_Account"])
	}
	for field, want := range map[string]string{"RoomId": `"a"`, "RoomType": `"Live"`, "ViewCount": "7", "IsPublicVisible": "true", "Category": "[1]"} {
		if string(room[field]) != want {
			t.Errorf("%s is %s, want %s", field, room[field], want)
		}
	}
	for _, id := range []string{"b", "A"} {
		if code, room := look(t, s, id); code != 100004 || room != nil {
			t.Errorf("room %q: code %d, %s", id, code, room)
		}
	}
	if code, _ := look(t, s, ""); code != 100002 {
		t.Errorf("no RoomId: code %d", code)
	}
	if s.Requests() != 0 || s.InfoRequests() != 4 {
		t.Errorf("%d requests of the list, %d of rooms", s.Requests(), s.InfoRequests())
	}
}

// A hidden room lives on, counts, and is in no list.
func TestHiddenRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, simulator.Config{})
		must(t, s.Open("a"))
		must(t, s.Open("b"))
		must(t, s.Flip("a"))
		must(t, s.Enter("a", 3))
		if got := lines(sweep(t, s, 20, 0), func(l listed) string { return l.RoomId }); got != "b\n" {
			t.Errorf("the list shows %q", got)
		}
		code, room := look(t, s, "a")
		if code != 0 || string(room["IsPublicVisible"]) != "false" || string(room["ViewCount"]) != "3" {
			t.Errorf("code %d, %s", code, room)
		}
		truth := s.Truth()
		if len(truth.Live()) != 1 || len(truth.Lives) != 2 || truth.Lives[1].Hidden.IsZero() {
			t.Errorf("truth: %+v", truth)
		}
		must(t, s.Flip("a"))
		if got := lines(sweep(t, s, 20, 0), func(l listed) string { return l.RoomId }); got != "a\nb\n" {
			t.Errorf("shown again, the list shows %q", got)
		}
		must(t, s.Flip("a"))
		must(t, s.Close("a"))
		if code, _ := look(t, s, "a"); code != 100004 {
			t.Errorf("closed while hidden: code %d", code)
		}
	})
}

// get_room_info tells of the past where it lags behind.
func TestInfoLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, simulator.Config{InfoLag: 2 * time.Second})
		step := func(what string, do func() error, before, after string) {
			t.Helper()
			must(t, do())
			says := func() string {
				code, room := look(t, s, "a")
				return fmt.Sprintf("%d %s", code, room["IsPublicVisible"])
			}
			time.Sleep(1900 * time.Millisecond)
			if got := says(); got != before {
				t.Errorf("%s, 1.9 s ago: %s, want %s", what, got, before)
			}
			time.Sleep(100 * time.Millisecond)
			if got := says(); got != after {
				t.Errorf("%s, 2 s ago: %s, want %s", what, got, after)
			}
		}
		step("opened", func() error { return s.Open("a") }, "100004 ", "0 true")
		step("hidden", func() error { return s.Flip("a") }, "0 true", "0 false")
		step("shown", func() error { return s.Flip("a") }, "0 false", "0 true")
		created := s.Truth().Lives[0].CreateTime
		step("re-created", func() error { return s.Recreate("a") }, "0 true", "0 true")
		if _, room := look(t, s, "a"); string(room["CreateTime"]) == fmt.Sprint(created) {
			t.Error("2 s after it was re-created it is the old life")
		}
		step("closed", func() error { return s.Close("a") }, "0 true", "100004 ")
	})
}

// The two calls have quotas, faults and counts of their own.
func TestInfoQuotaAndFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, simulator.Config{InfoQuota: 3, InfoFault: func(n int, _ *http.Request) *simulator.Fault {
			if n == 1 {
				return &simulator.Fault{ErrorCode: 60010}
			}
			return nil
		}})
		must(t, s.Open("a"))
		var codes []int
		for range 5 {
			code, _ := look(t, s, "a")
			codes = append(codes, code)
		}
		if got := fmt.Sprint(codes); got != "[60010 0 0 60011 60011]" {
			t.Errorf("codes %s", got)
		}
		if a := ask(t, s, "", 20); a.ErrorCode != 0 || s.MaxInfoInSecond() != 5 || s.MaxInSecond() != 1 {
			t.Errorf("the list: %+v; most in a second %d and %d", a, s.MaxInfoInSecond(), s.MaxInSecond())
		}
	})
}

// The service can lie for a while in each way, and both.
func TestLies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, simulator.Config{Rooms: 50, Quota: -1})
		id := s.Truth().Live()[0].RoomID
		for _, kind := range []simulator.Lies{simulator.LieInfo, simulator.LieList, simulator.LieInfo | simulator.LieList} {
			s.Lie(kind, 2*time.Second)
			for _, lying := range []bool{true, false} {
				wantCode, wantRooms := 0, 50
				if lying && kind&simulator.LieInfo != 0 {
					wantCode = 100004
				}
				if lying && kind&simulator.LieList != 0 {
					wantRooms = 10
				}
				code, _ := look(t, s, id)
				if n := len(sweep(t, s, 20, 0)); code != wantCode || n != wantRooms {
					t.Errorf("lie %d, now %v: code %d, %d rooms", kind, lying, code, n)
				}
				time.Sleep(2 * time.Second)
			}
		}
	})
}

// Answers take their time.
func TestLatency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, simulator.Config{Latency: 40 * time.Millisecond})
		began := time.Now()
		ask(t, s, "", 20)
		look(t, s, "a")
		if took := time.Since(began); took != 80*time.Millisecond {
			t.Errorf("two answers took %v", took)
		}
	})
}
