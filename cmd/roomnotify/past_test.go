package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/roomnotify/form"
	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/publisher/events"
	"roomwatch/publisher/natstest"
)

// pastRules have all that holds back, delays and leaves out.
const pastRules = `rules:
  few: {events: [room.created, room.ended], limit: 2, targets: [a, c]}
  large: {milestones: [10, 100, 1000], targets: [a, c]}
  calm: {events: [room.created], quiet: {from: "00:20", to: "00:40", zone: UTC}, targets: [a, c]}
  bren: {events: [room.ended], owners: ["/^b/"], min_views: 20, targets: [c]}
  watch: {watch: true, limit: 1, targets: [a, c]}
`

// A dry run tells exactly what the daemon has told: the same bodies, at the same
// moments, whatever happened.
func TestDryRunTellsWhatWasTold(t *testing.T) {
	for seed := range uint64(2) {
		if testing.Short() && seed > 0 {
			break
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			file := "targets:\n" + hook("a", ", limit: 5") + "  c: {kind: slack, url: \"${CHAT}\", limit: 4, digest: \"{{.Total}}\\n{{range .Titles}}{{.}};{{end}}\"}\n" + pastRules
			inBubble(t, file, func(r *rig) {
				r.alive(88888888, true, time.Now())
				stop := r.start()
				now := time.Now()
				time.Sleep(now.Truncate(time.Second).Add(1500 * time.Millisecond).Sub(now)) // nothing happens at the moment of a tick
				from := time.Now()
				r.happen(rand.New(rand.NewPCG(1, seed)), time.Hour)
				end := time.Now()
				stop()
				for _, target := range r.file.Targets {
					r.retold(&target, from, end)
				}
			})
		})
	}
}

// happen lets rooms come, be watched and go for so long, now and then many at once, and
// roomwatch be silent for some minutes.
func (r *rig) happen(rng *rand.Rand, d time.Duration) {
	r.t.Helper()
	burst, silent := 0, time.Time{}
	outage := time.Now().Add(45 * time.Minute)
	views := map[string]int{}
	beat := time.Now()
	for end := time.Now().Add(d); time.Now().Before(end); {
		if now := time.Now(); now.Sub(beat) >= time.Minute {
			if beat = now; rng.IntN(25) == 0 {
				silent = now.Add(time.Duration(1+rng.IntN(6)) * time.Minute)
			}
			if now.After(outage) {
				outage, silent = now.Add(time.Hour), now.Add(6*time.Minute)
			}
			if now.After(silent) {
				if !silent.IsZero() && rng.IntN(2) == 0 { // roomwatch had stopped
					r.resumed(88888888, silent.Add(-2*time.Minute), now, "stopped")
				}
				silent = time.Time{}
				r.alive(88888888, true, now)
			}
		}
		name := fmt.Sprintf("room%d", rng.IntN(30))
		what := name
		if _, live := r.of[name]; live && rng.IntN(3) == 0 {
			what = "-" + name
		}
		if views[name] += rng.IntN(60); rng.IntN(10) == 0 {
			views[name] *= 5
		}
		what += fmt.Sprintf("=%d", views[name])
		if strings.HasPrefix(what, "-") {
			delete(views, name)
		}
		r.publish(r.next(what))
		if burst--; burst < 0 {
			time.Sleep(time.Duration(20+rng.IntN(100)) * time.Second)
			if rng.IntN(4) == 0 {
				burst = rng.IntN(12)
			}
			continue
		}
		time.Sleep(time.Duration(5+rng.IntN(4)) * time.Second)
	}
}

// retold lets the past happen again for a target, and compares.
func (r *rig) retold(target *rules.Target, from, end time.Time) {
	r.t.Helper()
	p := &past{js: r.js, stream: "LIVE", prefix: "live", from: from, end: end}
	again, err := p.tell(r.t.Context(), r.file, target)
	if err != nil {
		r.t.Fatal(err)
	}
	to := form.Target{Kind: target.Kind, URL: target.URL, Secret: target.Secret, Texts: target.Texts, Digests: target.Digests}
	var got, want []string
	digests, watches := 0, 0
	for _, x := range again.told {
		req, err := to.Request(r.t.Context(), x.n, x.at)
		if err != nil {
			r.t.Fatal(err)
		}
		body, err := io.ReadAll(req.Body)
		if err != nil {
			r.t.Fatal(err)
		}
		got = append(got, x.at.UTC().Format(time.RFC3339Nano)+" "+string(body))
		if x.n.Digest != nil {
			digests++
		}
		if x.n.Watch != nil {
			watches++
		}
	}
	host := strings.TrimPrefix(strings.TrimPrefix(target.URL, "https://"), "http://")
	host, _, _ = strings.Cut(host, "/")
	for _, q := range r.to.requests(host) {
		want = append(want, q.at.UTC().Format(time.RFC3339Nano)+" "+q.body)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		lost, more := without(want, got), without(got, want)
		r.t.Errorf("%s: told %d, and again %d; of them %d were told and not again, %d not told; the first:\n%s\n%s", target.Name, len(want), len(got), len(lost), len(more),
			strings.Join(lost[:min(3, len(lost))], "\n"), strings.Join(more[:min(3, len(more))], "\n"))
	}
	if len(want) < 40 || digests < 3 || watches == 0 {
		r.t.Errorf("%s: %d notifications, %d digests, %d of the watch: too little happened", target.Name, len(want), digests, watches)
	}
}

// test --since prints what would have been told, sends nothing, and leaves nothing behind.
func TestDryRunCommand(t *testing.T) {
	b := newBench(t, "targets:\n  hook: {kind: webhook, url: \"${HOOK_URL}\", secret: \"${HOOK_SECRET}\"}\n  chat: {kind: discord, url: \"${HOOK_URL}\", text: \"Neu: {{.Room.Name}}\"}\nrules:\n"+
		"  new: {events: [room.created], limit: 2, targets: [hook]}\n  chat: {events: [room.ended], targets: [chat]}\n")
	r := &rig{t: t, js: b.js, of: map[string]events.Event{}}
	r.put("x", "y", "z", "-x")
	status, out := b.run("test", "--since", "1h")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if status != 0 || len(lines) != 5 {
		t.Fatalf("status %d:\n%s", status, out)
	}
	for i, want := range []string{"  hook  new   New room: Room x", "  hook  new   New room: Room y", "  chat  chat  Neu: Room x",
		"chat: notifications 1, digests 0, held back at the end 0, late events skipped 0", "hook: notifications 2, digests 0, held back at the end 1, late events skipped 0"} {
		if !strings.HasSuffix(lines[i], want) {
			t.Errorf("line %d is %q, want %q", i, lines[i], want)
		}
	}
	if status, out := b.run("test", "--since", "1h", "--rule", "new", "--target", "hook"); status != 0 || strings.Count(out, "\n") != 3 {
		t.Errorf("status %d:\n%s", status, out)
	}
	for _, args := range [][]string{{"test", "--since", "0s"}, {"test", "--since", "1h", "--rule", "nwe"}, {"test", "--since", "1h", "--target", "nobody"}} {
		if status, out := b.run(args...); status != 2 {
			t.Errorf("%v: status %d:\n%s", args, status, out)
		}
	}
	if n := len(b.to.requests("")); n != 0 {
		t.Errorf("%d requests", n)
	}
	live, err := b.js.Stream(t.Context(), "LIVE")
	if err != nil {
		t.Fatal(err)
	}
	for name := range live.ConsumerNames(t.Context()).Name() {
		t.Errorf("consumer %s is left", name)
	}
	if _, err := b.js.Stream(t.Context(), "NOTIFY"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("the store was made: %v", err)
	}
}

// A dry run needs no more than the user of subscribers may; the user of the daemon may
// not make such consumers, and is told which permission is missing.
func TestDryRunPermissions(t *testing.T) {
	natstest.SetPasswords(t)
	srv := natstest.Guarded(t, natsConfig, "subscriber", "")
	nc, err := nats.Connect(srv.ClientURL(), nats.UserInfo("admin", "pass"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	r := &rig{t: t, js: natstest.Live(t, nc), of: map[string]events.Event{}}
	r.put("x")
	r.alive(88888888, true, time.Now())
	file := parseRules(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", watch: true, targets: [a]}\n")
	run := func(user string) (string, error) {
		var out strings.Builder
		cfg := &config{Name: "notify", Stream: "LIVE", Prefix: "live", NATSURL: srv.ClientURL(), NATS: environ.NATS{NATSUser: user, NATSPassword: "pass"}}
		err := (&dryRun{cfg: cfg, file: file, since: time.Hour, w: &out}).run(t.Context())
		return out.String(), err
	}
	if out, err := run("subscriber"); err != nil || !strings.Contains(out, "New room: Room x") {
		t.Errorf("%v:\n%s", err, out)
	}
	if out, err := run("roomnotify"); err == nil || !strings.Contains(err.Error(), "grant it") {
		t.Errorf("%v:\n%s", err, out)
	}
}
