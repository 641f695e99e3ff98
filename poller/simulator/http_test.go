package simulator_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"roomwatch/poller/simulator"
)

const goodBody = `{"Next":"","Count":20}`

// Each mistake in a request has the code of the vendor's table.
func TestErrorCodes(t *testing.T) {
	set := func(name, value string) func(url.Values) {
		return func(q url.Values) { q.Set(name, value) }
	}
	without := func(name string) func(url.Values) {
		return func(q url.Values) { q.Del(name) }
	}
	otherUser := func(q url.Values) {
		q.Set("identifier", "bob")
		q.Set("usersig", sign(t, appID, key, "bob", 60))
	}
	tests := []struct {
		name         string
		edit         func(url.Values)
		method, path string
		body         string
		want         int
	}{
		{name: "good"},
		{name: "unknown field and parameter", edit: set("x", "y"), body: `{"Next":"","Count":1,"SortDirection":"descend"}`},
		{name: "GET", method: "GET", want: 60002},
		{name: "other path", path: "/v4/live_engine_http_srv/get_room_stats", want: 60009},
		{name: "no random", edit: without("random"), want: 60002},
		{name: "random of 33 bits", edit: set("random", "4294967296"), want: 60002},
		{name: "no sdkappid", edit: without("sdkappid"), want: 60012},
		{name: "sdkappid in upper case", edit: func(q url.Values) { q.Set("SdkAppId", q.Get("sdkappid")); q.Del("sdkappid") }, want: 60012},
		{name: "other sdkappid", edit: set("sdkappid", "88888889"), want: 60006},
		{name: "other contenttype", edit: set("contenttype", "JSON"), want: 60025},
		{name: "no identifier", edit: without("identifier"), want: 60004},
		{name: "no usersig", edit: without("usersig"), want: 60004},
		{name: "illegal usersig", edit: set("usersig", "xxx"), want: 70003},
		{name: "truncated usersig", edit: func(q url.Values) { q.Set("usersig", q.Get("usersig")[:40]) }, want: 70003},
		{name: "expired usersig", edit: set("usersig", sign(t, appID, key, admin, -1)), want: 70001},
		{name: "usersig of another key", edit: set("usersig", sign(t, appID, "other", admin, 60)), want: 70009},
		{name: "usersig of another user", edit: set("usersig", sign(t, appID, key, "bob", 60)), want: 70013},
		{name: "usersig of another app", edit: set("usersig", sign(t, appID+1, key, admin, 60)), want: 70014},
		{name: "no administrator", edit: otherUser, want: 60010},
		{name: "no body", body: " ", want: 60003},
		{name: "half a body", body: `{"Next":"","Count"`, want: 60003},
		{name: "two bodies", body: goodBody + goodBody, want: 60003},
		{name: "no object", body: `[]`, want: 60003},
		{name: "nothing in it", body: `{}`, want: 100002},
		{name: "no Next", body: `{"Count":20}`, want: 100002},
		{name: "Next null", body: `{"Next":null,"Count":20}`, want: 100002},
		{name: "Next a number", body: `{"Next":0,"Count":20}`, want: 100002},
		{name: "next in lower case", body: `{"next":"","Count":20}`, want: 100002},
		{name: "no Count", body: `{"Next":""}`, want: 100002},
		{name: "Count a string", body: `{"Next":"","Count":"20"}`, want: 100002},
		{name: "Count 0", body: `{"Next":"","Count":0}`, want: 100002},
		{name: "Count 1", body: `{"Next":"","Count":1}`},
		{name: "Count 21", body: `{"Next":"","Count":21}`, want: 100002},
		{name: "malformed Next", body: `{"Next":"x","Count":20}`, want: 100002},
	}
	s := start(t, simulator.Config{Rooms: 3, Quota: -1})
	ids := make(map[string]bool)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := decode(t, send(s, request(t, tt.method, tt.path, tt.body, tt.edit)))
			good := tt.want == 0
			if a.ErrorCode != tt.want || (a.ActionStatus == "OK") != good || (a.ErrorInfo == "") != good || (a.Response != nil) != good {
				t.Errorf("%+v, want ErrorCode %d", a, tt.want)
			}
			if ids[a.RequestId] || a.RequestId == "" {
				t.Errorf("RequestId %q is not unique", a.RequestId)
			}
			ids[a.RequestId] = true
		})
	}
}

// request builds a request that is good but for what is given.
func request(t *testing.T, method, path, body string, edit func(url.Values)) *http.Request {
	q := params(t)
	if edit != nil {
		edit(q)
	}
	u, err := url.Parse(target)
	must(t, err)
	if path != "" {
		u.Path = path
	}
	u.RawQuery = q.Encode()
	if method == "" {
		method = "POST"
	}
	if body == "" {
		body = goodBody
	}
	return httptest.NewRequestWithContext(t.Context(), method, u.String(), strings.NewReader(body))
}

// A UserSig is good up to its last second, by the clock of the service.
func TestUserSigExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, simulator.Config{Rooms: 1})
		sig := sign(t, appID, key, admin, 60)
		for i, want := range []int{0, 0, 70001} {
			a := decode(t, send(s, request(t, "", "", "", func(q url.Values) { q.Set("usersig", sig) })))
			if a.ErrorCode != want {
				t.Errorf("after %ds: ErrorCode %d, want %d", []int{0, 60, 61}[i], a.ErrorCode, want)
			}
			time.Sleep([]time.Duration{time.Minute, time.Second, 0}[i])
		}
	})
}

// The quota holds in any window of one second, not in each second of a clock.
func TestQuota(t *testing.T) {
	tests := []struct {
		name  string
		quota int
		steps string // pauses in milliseconds before requests, many at once as n×
		want  string // o: answered, x: 60011
		most  int
	}{
		{"evenly", 0, "100 100 100 100 100 100 100 100 100 100 100 100", "oooooooooooo", 10},
		{"a burst", 0, "0 0 0 0 0 0 0 0 0 0 0", "oooooooooox", 11},
		{"the window slides", 3, "0 900 0 99 1 0", "oooxxx", 5},
		{"the second is half open", 2, "0 0 1000 0", "oooo", 2},
		{"refused ones count", 2, "0 0 500 500 500", "ooxoo", 3},
		{"none", -1, "0 0 0 0 0 0 0 0 0 0 0", "ooooooooooo", 11},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := start(t, simulator.Config{Rooms: 1, Quota: tt.quota})
				got := ""
				for step := range strings.FieldsSeq(tt.steps) {
					pause, err := time.ParseDuration(step + "ms")
					must(t, err)
					time.Sleep(pause)
					switch code := ask(t, s, "", 20).ErrorCode; code {
					case 0:
						got += "o"
					case 60011:
						got += "x"
					default:
						got += fmt.Sprint(code)
					}
				}
				if got != tt.want || s.MaxInSecond() != tt.most || s.Requests() != len(tt.want) {
					t.Errorf("%s, %d in a second, %d in all; want %s, %d", got, s.MaxInSecond(), s.Requests(), tt.want, tt.most)
				}
			})
		})
	}
}
