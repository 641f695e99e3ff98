package simulator_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tencentyun/tls-sig-api-v2-golang/tencentyun"

	"roomwatch/poller/simulator"
)

const (
	appID  = 88888888
	key    = "secret"
	admin  = "administrator"
	target = "http://sim.example/v4/live_engine_http_srv/get_room_list"
)

// start returns a Service for appID; the other fields are those of c.
func start(t testing.TB, c simulator.Config) *simulator.Service {
	t.Helper()
	c.SDKAppID, c.SecretKey = appID, key
	s, err := simulator.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func sign(t testing.TB, app int, key, identifier string, ttl int) string {
	t.Helper()
	sig, err := tencentyun.GenUserSig(app, key, identifier, ttl)
	must(t, err)
	return sig
}

// params returns the parameters of a good request.
func params(t testing.TB) url.Values {
	return url.Values{
		"sdkappid": {strconv.Itoa(appID)}, "identifier": {admin},
		"usersig": {sign(t, appID, key, admin, 86400)}, "random": {"4294967295"}, "contenttype": {"json"},
	}
}

// An answer is what a test looks at in an answer of the API.
type answer struct {
	ActionStatus, ErrorInfo, RequestId string //nolint:revive // the API's name
	ErrorCode                          int
	Response                           *struct {
		Next     string
		RoomList []listed
	}
}

type listed struct {
	RoomName, RoomId, Owner_Account, CoverURL string //nolint:revive // the API's names
	Category                                  []int64
	CreateTime, ActivityStatus, ViewCount     int64
}

// ask sends a good request and returns the whole answer.
func ask(t testing.TB, s *simulator.Service, next string, count int) answer {
	t.Helper()
	body := fmt.Sprintf(`{"Next":%q,"Count":%d}`, next, count)
	url := target + "?" + params(t).Encode()
	return decode(t, send(s, httptest.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))))
}

func send(s *simulator.Service, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

func decode(t testing.TB, w *httptest.ResponseRecorder) answer {
	t.Helper()
	if w.Code != http.StatusOK {
		t.Fatalf("HTTP status %d, want 200 always", w.Code)
	}
	var a answer
	if err := json.Unmarshal(w.Body.Bytes(), &a); err != nil {
		t.Fatalf("answer %q: %v", w.Body, err)
	}
	return a
}

// sweep reads the list from the first page to the empty Next, one page a pause.
func sweep(t testing.TB, s *simulator.Service, count int, pause time.Duration) []listed {
	t.Helper()
	var all []listed
	for next, page := "", 1; page < 10_000; page++ {
		a := ask(t, s, next, count)
		if a.ErrorCode != 0 {
			t.Fatalf("page %d: ErrorCode %d", page, a.ErrorCode)
		}
		all = append(all, a.Response.RoomList...)
		if next = a.Response.Next; next == "" {
			return all
		}
		if pause > 0 {
			time.Sleep(pause) // in a bubble only
		}
	}
	t.Fatal("the list has no end")
	return nil
}

// show writes rooms as a test can compare them: id@created=views and the rest.
func show(r listed) string {
	return fmt.Sprintf("%q@%d=%d %q %q %q %v %d",
		r.RoomId, r.CreateTime, r.ViewCount, r.RoomName, r.Owner_Account, r.CoverURL, r.Category, r.ActivityStatus)
}

func showLife(l simulator.Life) string {
	return show(listed{
		RoomId: l.RoomID, CreateTime: l.CreateTime, ViewCount: l.ViewCount, RoomName: l.RoomName,
		Owner_Account: l.Owner, CoverURL: l.CoverURL, Category: l.Category, ActivityStatus: l.ActivityStatus,
	})
}

// lines joins what f makes of each element.
func lines[T any](all []T, f func(T) string) string {
	var b strings.Builder
	for _, v := range all {
		b.WriteString(f(v) + "\n")
	}
	return b.String()
}

func TestNewRefuses(t *testing.T) {
	good := simulator.Config{SDKAppID: appID, SecretKey: key, Rooms: 5}
	tests := []struct {
		name string
		edit func(*simulator.Config)
	}{
		{"no SDKAppID", func(c *simulator.Config) { c.SDKAppID = 0 }},
		{"no SecretKey", func(c *simulator.Config) { c.SecretKey = "" }},
		{"negative Rooms", func(c *simulator.Config) { c.Rooms = -1 }},
		{"negative rate", func(c *simulator.Config) { c.Enters = -1 }},
		{"Opens without Rooms", func(c *simulator.Config) { c.Rooms, c.Opens = 0, 1 }},
		{"negative NextLife", func(c *simulator.Config) { c.NextLife = -1 }},
		{"unknown Next", func(c *simulator.Config) { c.Next = simulator.NextFrozen + 1 }},
		{"negative Forget", func(c *simulator.Config) { c.Forget = -1 }},
		{"negative InfoLag", func(c *simulator.Config) { c.InfoLag = -1 }},
		{"relative Callbacks.URL", func(c *simulator.Config) { c.Callbacks.URL = "/webhook" }},
		{"Callbacks.URL of ftp", func(c *simulator.Config) { c.Callbacks.URL = "ftp://app.example/webhook" }},
		{"negative Callbacks.Lag", func(c *simulator.Config) { c.Callbacks.Lag = -1 }},
		{"Callbacks.Drop above 1", func(c *simulator.Config) { c.Callbacks.Drop = 1.1 }},
		{"Callbacks.Double no number", func(c *simulator.Config) { c.Callbacks.Double = math.NaN() }},
		{"Forget less than InfoLag", func(c *simulator.Config) { c.Forget, c.InfoLag = 1, 2 }},
		{"one ID for all", func(c *simulator.Config) { c.RoomIDs = func(int) string { return "a" } }},
		{"empty ID", func(c *simulator.Config) { c.RoomIDs = func(int) string { return "" } }},
		{"ID of 49 bytes", func(c *simulator.Config) { c.RoomIDs = func(int) string { return strings.Repeat("x", 49) } }},
	}
	if _, err := simulator.New(good); err != nil {
		t.Fatalf("New(%+v): %v", good, err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := good
			tt.edit(&c)
			if _, err := simulator.New(c); err == nil {
				t.Errorf("New(%+v) = nil error", c)
			}
		})
	}
}
