package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/publisher/events"
)

const watchRule = "rules:\n  w: {watch: true, targets: [a]}\n"

// about is what the messages of the watch of an application have in common.
func about(t events.Type, id string, app int, at time.Time) events.About {
	return events.About{SpecVersion: "1.0", ID: id, Source: fmt.Sprintf("/live/%d", app), Type: t, Time: at.UTC(), DataContentType: "application/json"}
}

func (r *rig) say(t events.Type, app int, message any) {
	r.t.Helper()
	body, err := json.Marshal(message)
	if err == nil {
		_, err = r.js.Publish(r.t.Context(), fmt.Sprintf("live.%s.%d", t, app), body)
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// pulse tells once a minute that an application is watched, for so long.
func (r *rig) pulse(app int, d time.Duration) {
	r.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(events.PulseEvery) {
		r.alive(app, true, time.Now())
	}
}

func (r *rig) alive(app int, watching bool, until time.Time) {
	r.t.Helper()
	r.say(events.WatchAlive, app, events.Alive{About: about(events.WatchAlive, fmt.Sprint(time.Now().UnixNano()), app, time.Now()), Data: events.AliveData{Watching: watching, Until: until.UTC()}})
}

func (r *rig) resumed(app int, from, to time.Time, why string) {
	r.t.Helper()
	id := "resumed-" + from.UTC().Format("2006-01-02T15:04:05.000Z")
	r.say(events.WatchResumed, app, events.Resumed{About: about(events.WatchResumed, id, app, time.Now()), Data: events.ResumedData{From: from.UTC().Truncate(time.Millisecond), To: to.UTC(), Why: why}})
}

// watchesTold returns what target a was told of the watch, in full.
func (r *rig) watchesTold() (list []form.Watch) {
	r.t.Helper()
	for _, q := range r.to.requests("a.example") {
		var p struct{ Data struct{ Watch form.Watch } }
		if err := json.Unmarshal([]byte(q.body), &p); err != nil {
			r.t.Fatal(err)
		}
		list = append(list, p.Data.Watch)
	}
	return list
}

// near reports whether a time is another one, as the way to NATS takes some milliseconds.
func near(a, b time.Time) bool { return a.Sub(b).Abs() < time.Second }

// When the pulse stops the target is told, once, also by those that are started
// later. When it is back, too, with the gap as roomwatch knows it.
func TestPulseStopsAndIsBack(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+watchRule, func(r *rig) {
		stop := r.start()
		r.pulse(1, 10*time.Minute)
		if got := r.to.taken(t, "a.example"); got != "" {
			t.Fatalf("told %s while the pulse goes on", got)
		}
		last := time.Now().Add(-events.PulseEvery)
		r.until("the silence is told", func() bool { return len(r.to.requests("a.example")) == 1 })
		if at := r.to.requests("a.example")[0].at; at.Sub(last) < maxSilence || at.Sub(last) > maxSilence+2*pulseLook {
			t.Errorf("told %s after the last pulse, want three minutes", at.Sub(last))
		}
		stop()
		stop = r.start() // the next one knows that it was told
		time.Sleep(20 * time.Minute)
		from, to := last.Add(-5*time.Second), time.Now().Add(-time.Second)
		r.resumed(1, from, to, "stopped")
		r.pulse(1, 10*time.Minute)
		r.takes("a", "1 stopped", "1 resumed")
		got := r.watchesTold()
		if w := got[0]; w.App != 1 || !near(w.Since, last) || !w.Until.IsZero() || w.Why != form.Silent {
			t.Errorf("told of the silence: %+v, want since %s", w, last)
		}
		if w := got[1]; w.App != 1 || !near(w.Since, from) || !near(w.Until, to) || w.Why != "stopped" {
			t.Errorf("told of the gap: %+v, want %s to %s", w, from, to)
		}
		stop()
		stop = r.start()
		r.pulse(1, 10*time.Minute)
		r.takes("a", "1 stopped", "1 resumed")
		if s := r.subjects(); s != "" {
			t.Errorf("the store still has %q", s)
		}
		stop()
	})
}

// roomwatch that runs and cannot read the list says so itself.
func TestPulseThatDoesNotWatch(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+watchRule, func(r *rig) {
		stop := r.start()
		r.alive(1, false, time.Time{}) // it has never watched: nothing has stopped
		time.Sleep(time.Minute)
		until := time.Now()
		r.pulse(1, time.Second)
		for range 10 {
			r.alive(1, time.Since(until) < 2*time.Minute, until)
			time.Sleep(events.PulseEvery)
		}
		r.takes("a", "1 stopped")
		r.resumed(1, until, time.Now(), "unreachable")
		r.pulse(1, 5*time.Minute)
		r.takes("a", "1 stopped", "1 resumed")
		got := r.watchesTold()
		if w := got[0]; !near(w.Since, until) || w.Why != form.Unreachable {
			t.Errorf("told %+v, want since %s", w, until)
		}
		if w := got[1]; !near(w.Since, until) || w.Why != "unreachable" {
			t.Errorf("told %+v", w)
		}
		stop()
	})
}

// While NATS is away nobody knows who watches, and after it the pulse takes its time.
// A roomwatch that could not reach it has watched all the same.
func TestNATSAwayIsNoSilence(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+watchRule, func(r *rig) {
		stop := r.start()
		r.pulse(1, 10*time.Minute)
		r.srv.Down()
		time.Sleep(30 * time.Minute)
		r.srv.Up()
		r.until("NATS is back", func() bool { _, err := r.js.Stream(r.t.Context(), "LIVE"); return err == nil })
		time.Sleep(2 * time.Minute) // roomwatch connects, and has a minute for its next pulse
		r.pulse(1, 10*time.Minute)
		if got := r.to.taken(t, "a.example"); got != "" {
			t.Errorf("told %s", got)
		}
		time.Sleep(10 * time.Minute) // roomwatch alone is cut off
		r.pulse(1, 5*time.Minute)
		r.takes("a", "1 stopped", "1 resumed")
		if w := r.watchesTold()[1]; w.Why != form.Unheard {
			t.Errorf("told %+v", w)
		}
		stop()
	})
}

// An old pulse is believed only after roomnotify has looked for as long as a silence
// has to last. Who dies before it is noted tells it again, with the same id.
func TestSilenceFoundAtTheStart(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+watchRule, func(r *rig) {
		r.pulse(1, 5*time.Minute)
		time.Sleep(time.Hour)
		began := time.Now()
		for range 2 {
			stop := r.start()
			n := len(r.to.requests("a.example"))
			r.until("the silence is told", func() bool { return len(r.to.requests("a.example")) > n })
			stop()
			s, err := r.js.Stream(r.t.Context(), "NOTIFY")
			if err == nil {
				err = s.Purge(r.t.Context(), jetstream.WithPurgeSubject("notify.watch.>"))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		got := r.to.requests("a.example")
		if waited := got[0].at.Sub(began); waited < maxSilence {
			t.Errorf("told %s after the start", waited)
		}
		if len(got) != 2 || got[0].id != got[1].id || got[0].id == "" {
			t.Errorf("told with the ids %s", r.requests())
		}
	})
}

// NATS that goes away between a notification and its note makes nobody hear it twice.
func TestSilenceOnceWhileNATSIsAway(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+watchRule, func(r *rig) {
		stop := r.start()
		r.pulse(1, 5*time.Minute)
		var once sync.Once
		r.to.answers(func(http.ResponseWriter, *http.Request) bool {
			once.Do(r.srv.Down)
			return false
		})
		r.until("the silence is told", func() bool { return len(r.to.requests("a.example")) == 1 })
		time.Sleep(time.Minute)
		r.srv.Up()
		r.until("it is noted", func() bool {
			s, err := r.js.Stream(r.t.Context(), "NOTIFY")
			if err != nil {
				return false
			}
			_, err = s.GetLastMsgForSubject(r.t.Context(), "notify.watch.a.w.1")
			return err == nil
		})
		r.takes("a", "1 stopped")
		stop()
	})
}

// A rule tells of its applications alone, and keeps to its hours. What it told is
// removed by hand when the rule is gone.
func TestWatchOfSomeAtTheirHours(t *testing.T) {
	file := "targets:\n" + hook("a", "") + "  c: {kind: slack, url: \"${CHAT}\", language: zh}\n" +
		"rules:\n  w: {watch: true, apps: [1], quiet: {from: \"00:00\", to: \"01:30\", zone: UTC}, targets: [a]}\n  c: {watch: true, apps: [2], text: \"{{.Room.Name}}\", targets: [c]}\n"
	inBubble(t, file, func(r *rig) {
		stop := r.start()
		r.alive(1, true, time.Now())
		r.alive(2, true, time.Now())
		time.Sleep(time.Hour)
		r.pulse(1, 5*time.Minute)
		if got := r.to.taken(t, "a.example"); got != "" {
			t.Errorf("told %s at night", got)
		}
		if got := r.subjects(); got != "held.a.w 2; watch.c.c.2 1" {
			t.Errorf("the store has %q", got)
		}
		if got := r.to.requests("chat.example"); len(got) != 1 || !strings.Contains(got[0].body, "应用 2 无人监看") {
			t.Errorf("the chat was told %v", got)
		}
		r.until("it is morning", func() bool { return len(r.to.requests("a.example")) > 0 })
		var digest struct {
			Data struct{ Items []form.Notification }
		}
		if err := json.Unmarshal([]byte(r.to.requests("a.example")[0].body), &digest); err != nil {
			t.Fatal(err)
		}
		if i := digest.Data.Items; len(i) < 2 || i[0].Type != form.WatchStopped || i[1].Type != form.WatchResumed || i[1].Watch.Why != form.Unheard {
			t.Errorf("the digest has %+v", i)
		}
		stop()
		s, err := openStore(r.t.Context(), r.js, storeConfig{name: "notify"}, false)
		if err != nil {
			t.Fatal(err)
		}
		for text, want := range map[string]int{file: 0, strings.Replace(file, "watch: true, apps: [2]", "events: [room.created]", 1): 1} {
			list, err := s.leftovers(r.t.Context(), parseRules(t, text), "LIVE", func(string) string { return "" })
			if err != nil || len(list) != want || want == 1 && !strings.Contains(list[0], "--subject=notify.watch.c.c.2") {
				t.Errorf("leftovers are %q, %v, want %d", list, err, want)
			}
		}
	})
}

// check shows the pulse of each application, and test what a rule of the watch would tell.
func TestCommandsOfTheWatch(t *testing.T) {
	b := newBench(t, "targets:\n  hook: {kind: webhook, url: \"${HOOK_URL}\", secret: \"${HOOK_SECRET}\"}\nrules:\n  w: {watch: true, targets: [hook]}\n")
	if _, out := b.run("check"); !strings.Contains(out, "watch      WARN    the stream has no pulse") {
		t.Errorf("without a pulse:\n%s", out)
	}
	r := &rig{t: t, js: b.js}
	r.alive(1, true, time.Now())
	r.alive(2, false, time.Now().Add(-time.Hour))
	if status, out := b.run("check"); status != 0 || !strings.Contains(out, "watch      ok      application 1: watched") || !strings.Contains(out, "watch      WARN    application 2: roomwatch runs, and cannot read the list") {
		t.Errorf("status %d:\n%s", status, out)
	}
	if status, out := b.run("test", "--rule", "w"); status != 0 || len(b.to.requests("")) != 1 {
		t.Fatalf("status %d:\n%s", status, out)
	}
	if body := b.to.requests("")[0].body; !strings.Contains(body, `"type":"watch.stopped"`) || !strings.Contains(body, `"test":true`) {
		t.Errorf("test sent %s", body)
	}
}
