package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"roomwatch/diff"
)

const testApp = 88888888

// A desk is a Receiver whose callbacks are noted.
type desk struct {
	*Receiver
	token string
	told  []string
	log   bytes.Buffer
}

func newDesk(t *testing.T, token string) *desk {
	t.Helper()
	d := &desk{token: token}
	var err error
	d.Receiver, err = New(Config{
		SDKAppID: testApp, Token: func() string { return d.token }, Metrics: prometheus.NewRegistry(),
		Log: slog.New(slog.NewTextHandler(&d.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Tell: func(c diff.Callback) {
			d.told = append(d.told, fmt.Sprint([...]string{"updated", "created", "destroyed"}[c.Kind], ":", c.RoomID))
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *desk) call(method, target, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequestWithContext(context.Background(), method, target, strings.NewReader(body)))
	return w
}

// target is where the service calls with a token and a time.
func target(token string, at time.Time, more ...string) string {
	stamp := strconv.FormatInt(at.Unix(), 10)
	sum := sha256.Sum256([]byte(token + stamp))
	q := url.Values{"SdkAppid": {strconv.Itoa(testApp)}, "CallbackCommand": {"Live.CallbackAfterCreateRoom"}, "contenttype": {"json"}, "Sign": {hex.EncodeToString(sum[:])}, "RequestTime": {stamp}}
	for i := 0; i < len(more); i += 2 {
		q.Del(more[i])
		if more[i+1] != "" {
			q.Set(more[i], more[i+1])
		}
	}
	return Path + "?" + q.Encode()
}

// The vector of the vendor's documentation.
func TestSignOfTheDocumentation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, "xxxxyyyy")
		at := time.Unix(1669872112, 0)
		time.Sleep(time.Until(at)) // the bubble's clock begins in 2000
		q := "?SdkAppid=88888888&Sign=17773bc39a671d7b9aa835458704d2a6db81360a5940292b587d6d760d484061&RequestTime=1669872112"
		if w := d.call("POST", Path+q, `{"CallbackCommand":"Live.CallbackAfterCreateRoom","RoomInfo":{"RoomId":"a"}}`); w.Code != 200 {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	})
}

func TestReceive(t *testing.T) {
	const (
		create = `{"CallbackCommand":"Live.CallbackAfterCreateRoom","Operator_Account":"admin","RoomInfo":{"RoomId":"a","RoomType":"Live","CreateTime":1703589922}}`
		// As really received: no Category, no Statistic.
		destroy = `{"CallbackCommand":"Live.CallbackAfterDestroyRoom","Operator_Account":"@TIM#SYSTEM","RoomId":"b","EventType":"DestroyBySystem","EventTime":1756986061775,"RoomInfo":{"RoomId":"b","Owner_Account":10100015411,"ViewCount":1}}`
		update  = `{"CallbackCommand":"Live.CallbackAfterUpdateRoomInfo","RoomId":"直播间"}`
	)
	now := time.Now()
	for _, tt := range []struct {
		name, method, target, body string
		status                     int
		says, told                 string
		outcome                    outcome
	}{
		{"created", "POST", target("t", now), create, 200, `{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0}`, "created:a", taken},
		{"destroyed", "POST", target("t", now), destroy, 200, "OK", "destroyed:b", taken},
		{"updated", "POST", target("t", now), update, 200, "OK", "updated:直播间", taken},
		{"the command is in the address alone", "POST", target("t", now), `{"RoomId":"c"}`, 200, "OK", "created:c", taken},
		{"the other spelling", "POST", target("t", now, "SdkAppid", "", "SdkAppId", "88888888"), create, 200, "OK", "created:a", taken},
		{"an upper-case sign", "POST", upperSign(target("t", now)), create, 200, "OK", "created:a", taken},
		{"another command", "POST", target("t", now), `{"CallbackCommand":"Mic.CallbackAfterSeatInfoChanged","RoomInfo":{}}`, 200, "OK", "", otherCommand},
		{"another command, of a room with a number", "POST", target("t", now), `{"CallbackCommand":"Group.CallbackAfterSendMsg","RoomId":7,"RoomInfo":[]}`, 200, "OK", "", otherCommand},
		{"nearly too old", "POST", target("t", now.Add(-58*time.Second)), create, 200, "OK", "created:a", taken},
		{"too old", "POST", target("t", now.Add(-62*time.Second)), create, 403, "clock", "", wrongTime},
		{"of the future", "POST", target("t", now.Add(70*time.Second)), create, 403, "clock", "", wrongTime},
		{"wrong token", "POST", target("x", now), create, 403, "token", "", wrongSign},
		{"no sign", "POST", target("t", now, "Sign", ""), create, 403, "token", "", wrongSign},
		{"no time", "POST", target("t", now, "RequestTime", ""), create, 403, "token", "", wrongSign},
		{"of no token, signed so", "POST", target("", now), create, 403, "token", "", wrongSign},
		{"another application", "POST", target("t", now, "SdkAppid", "1400000000"), create, 403, "88888888", "", otherApp},
		{"no application", "POST", target("t", now, "SdkAppid", ""), create, 403, "88888888", "", otherApp},
		{"GET", "GET", target("t", now), "", 405, "POST", "", badRequest},
		{"elsewhere", "POST", "/" + target("t", now)[len(Path):], create, 404, Path, "", badRequest},
		{"no JSON", "POST", target("t", now), `RoomId=a`, 400, "JSON", "", badRequest},
		{"cut JSON", "POST", target("t", now), create[:40], 400, "JSON", "", badRequest},
		{"no RoomId", "POST", target("t", now), `{"CallbackCommand":"Live.CallbackAfterDestroyRoom"}`, 400, "0 bytes", "", badRequest},
		{"a RoomId of 48 bytes", "POST", target("t", now), `{"RoomId":"` + strings.Repeat("r", 48) + `"}`, 200, "OK", "created:" + strings.Repeat("r", 48), taken},
		{"a RoomId of 49 bytes", "POST", target("t", now), `{"RoomId":"` + strings.Repeat("r", 49) + `"}`, 400, "49 bytes", "", badRequest},
		{"a RoomId that is a number", "POST", target("t", now), `{"RoomId":7}`, 400, "JSON", "", badRequest},
		{"64 KiB", "POST", target("t", now), pad(create, 64<<10), 200, "OK", "created:a", taken},
		{"more than 64 KiB", "POST", target("t", now), pad(create, 64<<10+1), 413, "65536", "", badRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDesk(t, "t")
			w := d.call(tt.method, tt.target, tt.body)
			if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.says) {
				t.Errorf("answered %d %q, want %d with %q", w.Code, w.Body, tt.status, tt.says)
			}
			if got := strings.Join(d.told, " "); got != tt.told {
				t.Errorf("told %q, want %q", got, tt.told)
			}
			if n := testutil.ToFloat64(d.metrics.callbacks.WithLabelValues(string(tt.outcome))); n != 1 {
				t.Errorf("outcome %s is not counted", tt.outcome)
			}
			if st := d.Status(); st.Taken+st.Refused != 1 || (st.Taken == 1) != (tt.status == 200) || st.Last.IsZero() == (tt.status == 200) {
				t.Errorf("status %+v", st)
			}
			if sign := tt.target[strings.Index(tt.target, "Sign=")+5:]; strings.Contains(tt.target, "Sign=") && strings.Contains(d.log.String()+w.Body.String(), sign[:20]) {
				t.Errorf("the sign is shown: %s %s", d.log.String(), w.Body)
			}
		})
	}
}

func upperSign(target string) string {
	before, sign, _ := strings.Cut(target, "Sign=")
	return before + "Sign=" + strings.ToUpper(sign[:64]) + sign[64:]
}

func pad(body string, to int) string { return body + strings.Repeat(" ", to-len(body)) }

// For three minutes after the token was changed, the one before holds, too.
func TestTokenIsExchanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t, "old")
		try := func(token string, want int) {
			t.Helper()
			if w := d.call("POST", target(token, time.Now()), `{"RoomId":"a"}`); w.Code != want {
				t.Errorf("%s: %d, want %d", token, w.Code, want)
			}
		}
		try("old", 200)
		try("new", 403)
		time.Sleep(time.Hour)
		d.token = "new"
		try("new", 200)
		try("old", 200)
		time.Sleep(3*time.Minute - time.Second)
		try("old", 200)
		time.Sleep(2 * time.Second)
		try("old", 403)
		try("new", 200)
		d.token = "newest"
		try("new", 200)
		try("old", 403)
	})
}

// Refusals for the time are counted until one callback is in time; a wrong sign says
// nothing of clocks.
func TestOutdatedCallbacks(t *testing.T) {
	d := newDesk(t, "t")
	now := time.Now()
	var got []int
	for _, where := range []string{target("t", now.Add(-5*time.Minute)), target("x", now.Add(-5*time.Minute)), target("t", now.Add(-5*time.Minute)), target("t", now)} {
		d.call("POST", where, `{"RoomId":"a"}`)
		got = append(got, d.Status().Outdated)
		if st := d.Status(); st.Outdated > 0 && (st.Offset > -299*time.Second || st.Offset < -302*time.Second) {
			t.Errorf("off by %s", st.Offset)
		}
	}
	if !slices.Equal(got, []int{1, 1, 2, 0}) {
		t.Errorf("outdated in a row: %v", got)
	}
}

// The answer does not wait for what is done about a callback.
func TestAnswerComesFirst(t *testing.T) {
	done := make(chan struct{})
	r, err := New(Config{
		SDKAppID: testApp, Token: func() string { return "t" }, Log: slog.New(slog.DiscardHandler),
		Tell: func(diff.Callback) { <-done },
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(r)
	defer srv.Close()
	defer close(done)
	client := &http.Client{Timeout: 5 * time.Second}
	for range 3 { // each on a connection of its own, or they would wait for each other
		res, err := client.Post(srv.URL+target("t", time.Now()), "application/json", strings.NewReader(`{"RoomId":"a"}`)) //nolint:noctx // it has a timeout
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || string(body) != answer || res.ContentLength != int64(len(answer)) {
			t.Errorf("%q of %d bytes, %v", body, res.ContentLength, err)
		}
		_ = res.Body.Close()
		client.CloseIdleConnections()
	}
}

// A body that does not come is not waited for without end.
func TestBodyThatDoesNotCome(t *testing.T) {
	d := newDesk(t, "t")
	deadline := &recorder{ResponseRecorder: httptest.NewRecorder()}
	d.ServeHTTP(deadline, httptest.NewRequestWithContext(t.Context(), http.MethodPost, target("t", time.Now()), strings.NewReader(`{"RoomId":"a"}`)))
	if left := time.Until(deadline.at); left < 9*time.Second || left > 10*time.Second {
		t.Errorf("the body may take %s", left)
	}
}

type recorder struct {
	*httptest.ResponseRecorder
	at time.Time
}

func (r *recorder) SetReadDeadline(t time.Time) error {
	r.at = t
	return nil
}
