package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/roomwatch/config"
	"roomwatch/cmd/roomwatch/web"
	"roomwatch/diff"
	"roomwatch/poller"
	"roomwatch/poller/simulator"
	"roomwatch/poller/webhook"
	"roomwatch/publisher"
	"roomwatch/publisher/natstest"
	"roomwatch/state"
)

const (
	testApp = 88888888
	testKey = "5bd2850fff3ecb11d7c805251c51ee463a25727bddc2385f3fa8bfee1bb93b5e"
)

// serveJetStream returns the address of a NATS server, and a connection to it.
func serveJetStream(t *testing.T) (string, *nats.Conn) {
	t.Helper()
	s := natstest.Start(t, nil)
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return s.ClientURL(), nc
}

// runDaemon runs a daemon on a simulated service until the test ends.
func runDaemon(t *testing.T, natsURL string, c simulator.Config) *Daemon {
	t.Helper()
	c.SDKAppID, c.SecretKey = testApp, testKey
	world, err := simulator.New(c)
	if err != nil {
		t.Fatal(err)
	}
	service := httptest.NewServer(world)
	t.Cleanup(service.Close)
	for name, value := range map[string]string{
		"ROOMWATCH_SDKAPPID": strconv.Itoa(testApp), "ROOMWATCH_SECRET_KEY": testKey,
		"ROOMWATCH_ENDPOINT": service.URL, "ROOMWATCH_REQUESTS_PER_SECOND": "500", "ROOMWATCH_INTERVAL": "100ms",
		"NATS_URL": natsURL, "ROOMWATCH_DATA_DIR": t.TempDir(), "ROOMWATCH_HTTP_ADDR": "off",
	} {
		t.Setenv(name, value)
	}
	cfg, err := config.Read((*config.Config).Validate)
	if err != nil {
		t.Fatal(err)
	}
	d, err := New(t.Context(), &cfg, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, d.Close()); err != nil {
			t.Error(err)
		}
	})
	return d
}

// A stream that takes no events is told as it is, and after a minute roomwatch is not ready.
func TestReasonOfAFullStream(t *testing.T) {
	url, nc := serveJetStream(t)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "LIVE", Subjects: []string{"live.>"}, MaxMsgs: 20, Discard: jetstream.DiscardNew, AllowAtomicPublish: true, AllowDirect: true,
	}); err != nil {
		t.Fatal(err)
	}
	d := runDaemon(t, url, simulator.Config{Seed: 1, Rooms: 30, Enters: 200, Quota: -1})
	for end := time.Now().Add(30 * time.Second); d.pub.Status().LastError == nil; <-time.After(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("no error of the stream")
		}
	}
	pub := d.pub.Status()
	for after, want := range map[time.Duration]string{time.Second: web.Degraded, outboxPatience + time.Second: web.Failing} {
		found := false
		for _, c := range (rules{cfg: d.cfg}).conditions(pub.LastErrorSince.Add(after), poller.Status{}, pub, state.Status{}, webhook.Status{}, publisher.BucketStatus{}) {
			if c.About != "stream" {
				continue
			}
			found = true
			if c.Level != want || !strings.Contains(c.Text, "maximum messages exceeded") || !strings.Contains(c.Text, "nats stream edit LIVE") {
				t.Errorf("after %s: %+v, want %s", after, c, want)
			}
		}
		if !found {
			t.Errorf("after %s: no condition", after)
		}
	}
}

// What is wrong is said of the part that it is wrong with.
func TestConditionOfTheSink(t *testing.T) {
	r := rules{cfg: &config.Config{DataDir: "/data", Interval: time.Second}}
	now := time.Now()
	report := &poller.Report{Begin: now, End: now}
	failure := poller.Failure{Err: fmt.Errorf("page 1: %w: %w", poller.ErrSink, syscall.ENOSPC), At: now}
	for _, poll := range []poller.Status{
		{LastFailure: failure, FailingSince: now},
		{LastFailure: failure, FailingSince: now, LastComplete: report},
	} {
		list := r.conditions(now, poll, publisher.Status{Connected: true}, state.Status{}, webhook.Status{}, publisher.BucketStatus{})
		if len(list) != 1 || !strings.Contains(list[0].Text, "no space left on device") || !strings.Contains(list[0].Fix, "ROOMWATCH_DATA_DIR, /data, has room") {
			t.Errorf("%+v", list)
		}
	}
}

// Refused point reads are told, and are no reason not to be ready.
func TestConditionOfRefusedReads(t *testing.T) {
	r := rules{cfg: &config.Config{Interval: time.Minute}}
	now := time.Now()
	poll := poller.Status{LastComplete: &poller.Report{Begin: now, End: now}, ReadsRefused: poller.Failure{Err: errors.New("code 60010"), At: now}}
	list := r.conditions(now, poll, publisher.Status{Connected: true}, state.Status{}, webhook.Status{}, publisher.BucketStatus{})
	if len(list) != 1 || list[0].Level != web.Degraded || list[0].About != "reads" || !strings.Contains(list[0].Text, "code 60010") {
		t.Errorf("%+v", list)
	}
}

// Ends that reads have proved and that wait are told, with the rule that holds them.
func TestConditionOfHeldEnds(t *testing.T) {
	r := rules{cfg: &config.Config{Interval: time.Minute, MassEndPercent: 50}}
	now := time.Now()
	poll := poller.Status{LastComplete: &poller.Report{Begin: now, End: now}}
	held := state.Status{Held: diff.HeldEnds{Proved: 30, Absent: 31, Known: 41}}
	list := r.conditions(now, poll, publisher.Status{Connected: true}, held, webhook.Status{}, publisher.BucketStatus{})
	want := "31 of 41 rooms are missing, passed or not found at once: 30 ends that point reads have proved wait until the reads of more than 50% of the rooms agree, each room's own over at least 1m0s"
	if len(list) != 1 || list[0].About != "guard" || list[0].Level != web.Degraded || list[0].Text != want || list[0].Fix == "" {
		t.Errorf("conditions %+v", list)
	}
}

// One event waits, two events wait.
func TestConditionsCount(t *testing.T) {
	r := rules{cfg: &config.Config{Interval: time.Minute, MassEndSweeps: 1}}
	now := time.Now()
	poll := poller.Status{LastComplete: &poller.Report{Begin: now, End: now}}
	for waiting, wants := range map[uint64][]string{1: {"; 1 event waits on disk", "now 1 waiting event"}, 2000: {"; 2,000 events wait on disk", "now 2,000 waiting events"}} {
		st := state.Status{Waiting: waiting, Removed: true, Guarded: true, Doubted: 1}
		list := fmt.Sprint(r.conditions(now, poll, publisher.Status{}, st, webhook.Status{}, publisher.BucketStatus{}))
		for _, want := range append(wants, "until 1 complete sweep in a row, ", "agree; so far: 1 ") {
			if !strings.Contains(list, want) {
				t.Errorf("no %q in %s", want, list)
			}
		}
	}
}

// Callbacks that are refused for their time, one after the other, are told as a clock that is off.
func TestConditionOfOutdatedCallbacks(t *testing.T) {
	r := rules{cfg: &config.Config{Interval: time.Minute}}
	now := time.Now()
	poll := poller.Status{LastComplete: &poller.Report{Begin: now, End: now}}
	for n, want := range map[int]int{9: 0, 10: 1} {
		list := r.conditions(now, poll, publisher.Status{Connected: true}, state.Status{}, webhook.Status{Outdated: n, Offset: -5 * time.Minute}, publisher.BucketStatus{})
		if len(list) != want || want == 1 && (list[0].About != "callbacks" || !strings.Contains(list[0].Text, "-5m0s off")) {
			t.Errorf("after %d: %+v", n, list)
		}
	}
}

// The API's document names every part that a condition can be about.
func TestConditionsAreDocumented(t *testing.T) {
	source, err := os.ReadFile("conditions.go")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../web/openapi.json")
	if err != nil {
		t.Fatal(err)
	}
	var api struct {
		Components struct {
			Schemas struct {
				Condition struct {
					Properties struct{ About struct{ Enum []string } }
				}
			}
		}
	}
	if err := json.Unmarshal(document, &api); err != nil {
		t.Fatal(err)
	}
	told := api.Components.Schemas.Condition.Properties.About.Enum
	found := regexp.MustCompile(`(?:condition\([a-zA-Z.]+|about :?=) ?,? ?"([a-z]+)"`).FindAllStringSubmatch(string(source), -1)
	if len(found) < 10 {
		t.Fatalf("found only %q", found)
	}
	for _, m := range found {
		if !slices.Contains(told, m[1]) {
			t.Errorf("a condition is about %q; the document knows %q", m[1], told)
		}
	}
}
