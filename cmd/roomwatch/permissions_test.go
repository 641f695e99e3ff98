package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/poller/simulator"
	"roomwatch/publisher/events"
	"roomwatch/publisher/natstest"
)

// natsConfig is what operators copy. These tests run on exactly that file.
const natsConfig = "../../deploy/nats/nats.conf"

const (
	writerPassword, readerPassword = "writer-pass", "reader-pass"
	publishing, subscribing        = "Publish", "Subscription"
	bucketName                     = "live_rooms"
)

// A permission is a line of the file, of one of its users.
type permission struct{ user, way, subject string }

// A guarded rig is a rig whose server was loaded from the file, perhaps with
// one permission less.
type guarded struct {
	*rig
	lacks     permission
	yesterday bool // before roomwatch could be asked over NATS
}

func newGuarded(t *testing.T, lacks permission) *guarded { return newGuardedOf(t, lacks, false) }

func newGuardedOf(t *testing.T, lacks permission, yesterday bool) *guarded {
	t.Helper()
	world, err := simulator.New(simulator.Config{SDKAppID: testApp, SecretKey: testKey, Seed: 1, Rooms: 30, Quota: -1})
	if err != nil {
		t.Fatal(err)
	}
	g := &guarded{lacks: lacks, yesterday: yesterday, rig: &rig{t: t, world: world, api: httptest.NewServer(world), dir: t.TempDir(), port: server.RANDOM_PORT}}
	t.Cleanup(g.api.Close)
	g.up()
	g.port = g.nats.Addr().(*net.TCPAddr).Port
	t.Cleanup(func() { g.stopNATS() })
	return g
}

// natsOptions is the file, with the passwords of these tests.
func natsOptions(t *testing.T) *server.Options {
	t.Helper()
	text, err := os.ReadFile(natsConfig)
	if err != nil {
		t.Fatal(err)
	}
	passwords := strings.NewReplacer("$ROOMWATCH_NATS_PASSWORD", writerPassword, "$SUBSCRIBER_NATS_PASSWORD", readerPassword,
		"$ROOMNOTIFY_NATS_PASSWORD", readerPassword, "$ROOMAUDIT_NATS_PASSWORD", readerPassword) // the last two have tests of their own
	opts := &server.Options{}
	if err := opts.ProcessConfigString(passwords.Replace(string(text))); err != nil {
		t.Fatal(err)
	}
	return opts
}

// up starts the server on the files and the port it had before.
func (g *guarded) up() {
	g.t.Helper()
	opts := natsOptions(g.t)
	opts.Host, opts.Port, opts.StoreDir, opts.NoSigs, opts.NoLog = "127.0.0.1", g.port, g.dir, true, true
	for _, u := range opts.Users {
		missing := func(way string) func(string) bool {
			return func(s string) bool {
				p := permission{u.Username, way, s}
				return p == g.lacks || g.yesterday && p.ofService()
			}
		}
		p := u.Permissions
		p.Publish.Allow = slices.DeleteFunc(p.Publish.Allow, missing(publishing))
		p.Subscribe.Allow = append(slices.DeleteFunc(p.Subscribe.Allow, missing(subscribing)), "nothing") // an empty list allows all
	}
	g.nats = natstest.Start(g.t, func(o *server.Options) { *o = *opts })
}

// as is the environment of one of the file's users.
func (g *guarded) as(user, data string) []string {
	password := writerPassword
	if user == "subscriber" {
		password = readerPassword
	}
	return g.env(data, "NATS_USER="+user, "NATS_PASSWORD="+password, "ROOMWATCH_INTERVAL=300ms", "ROOMWATCH_KV_BUCKET="+bucketName)
}

// allowed lists what the file allows.
func allowed(t *testing.T) []permission {
	t.Helper()
	opts := natsOptions(t)
	var all []permission
	for _, u := range opts.Users {
		if u.Username != "roomwatch" && u.Username != "subscriber" {
			continue
		}
		for _, s := range u.Permissions.Publish.Allow {
			all = append(all, permission{u.Username, publishing, s})
		}
		for _, s := range u.Permissions.Subscribe.Allow {
			all = append(all, permission{u.Username, subscribing, s})
		}
	}
	return all
}

var violation = regexp.MustCompile(`Permissions Violation for (Publish|Subscription) to \\*"([^"\\]+)`)

// names reports whether a line of text says that a permission is missing and who can grant it.
func (p permission) names(text string) bool {
	for line := range strings.Lines(text) {
		m := violation.FindStringSubmatch(line)
		if m != nil && m[1] == p.way && server.SubjectsCollide(m[2], p.subject) && strings.Contains(line, "grant it") {
			return true
		}
	}
	return false
}

// ofService reports whether it is needed only where roomwatch is asked over NATS.
func (p permission) ofService() bool {
	return p.subject == "roomwatch.*.>" || p.subject == "$SRV.>" || p == permission{"roomwatch", publishing, "_INBOX.>"} ||
		p.user == "subscriber" && strings.HasPrefix(p.subject, "roomwatch.")
}

// ofLease reports whether it is needed only where a second roomwatch stands by.
func (p permission) ofLease() bool {
	if p.user == "roomwatch" && (strings.HasPrefix(p.subject, "roomwatch.*.process") || strings.HasPrefix(p.subject, "roomwatch.*.peer")) {
		return true
	}
	return p.way == publishing && p.user == "roomwatch" && (strings.Contains(p.subject, "KV_roomwatch") || strings.HasPrefix(p.subject, "$KV.roomwatch"))
}

// With the permissions of the example file all commands work. With any one less,
// something that users rely on does not, and says which permission lacks.
func TestLeastPermissions(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for requests that NATS does not answer")
	}
	t.Parallel()
	if _, err := buildDaemon(); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	all := slices.DeleteFunc(allowed(t), func(p permission) bool { return p.ofService() || p.ofLease() }) // which have tests of their own
	for _, lacks := range append(all, permission{user: "nobody"}) {
		name := strings.Join([]string{lacks.user, "without", lacks.way, lacks.subject}, " ")
		wg.Go(func() {
			t.Run(name, func(t *testing.T) {
				g := newGuarded(t, lacks)
				if lacks.user != "subscriber" {
					g.writes(t)
				}
				if lacks.user != "roomwatch" {
					g.reads(t)
				}
			})
		})
	}
	wg.Wait()
}

// writes lets roomwatch make the stream and fill it, lose its state and rebuild
// it, lose the stream and fill the bucket anew, and check all that.
func (g *guarded) writes(t *testing.T) {
	complains := false
	data := ""
	for _, step := range []string{"first start", "rebuild", "restart", "lost stream"} {
		switch step {
		case "first start", "rebuild":
			data = t.TempDir()
		case "lost stream":
			g.stopNATS()
			if err := os.RemoveAll(filepath.Join(g.dir, "jetstream", "LIVE", "streams", "LIVE")); err != nil {
				t.Fatal(err)
			}
			g.up()
		}
		before, keys := g.messages(), g.stream("KV_"+bucketName).State
		p := startProcess(t, g.as("roomwatch", data), "run")
		eventually(t, step, func() bool {
			out := p.output.String()
			if complains = g.lacks.names(lines(out, " fail")); complains {
				return true
			}
			if strings.HasPrefix(g.lacks.subject, "live.watch.") {
				return false // nothing else waits for the pulse, and NATS does not answer at once
			}
			switch step {
			case "restart": // of which the first look compares the bucket
				_ = g.world.Enter(g.world.Truth().Lives[0].RoomID, 1)
				return !strings.Contains(g.lacks.subject, "DIRECT.GET") && g.messages() > before+1
			case "rebuild": // the rooms are known already: one has to change
				_ = g.world.Enter(g.world.Truth().Lives[0].RoomID, 1)
				return strings.Contains(out, "state is rebuilt") && g.messages() > before+1
			}
			_ = g.world.Enter(g.world.Truth().Lives[0].RoomID, 1)
			now := g.stream("KV_" + bucketName).State
			return now.FirstSeq > keys.LastSeq && (step == "lost stream" || g.messages() > 30 && now.Msgs >= 30) // the claim and the rooms
		})
		if status := p.stop(); status != 0 {
			t.Errorf("%s: exit status %d:\n%s", step, status, p.output)
		}
		if complains {
			break
		}
	}
	if want := g.lacks.user == "roomwatch"; complains != want {
		t.Errorf("a lacking permission was named: %t, want %t", complains, want)
	}
	p := startProcess(t, g.as("roomwatch", t.TempDir()), "check")
	status := p.wait(time.Minute)
	// check publishes nothing, so it sees no more than what it needs itself.
	want := 0
	if g.lacks.user == "roomwatch" && (g.lacks.way == subscribing || strings.Contains(g.lacks.subject, "STREAM.INFO.")) {
		want = 1
	}
	if out := p.output.String(); status != want || g.lacks.names(out) != (want == 1) {
		t.Errorf("check: exit status %d, want %d:\n%s", status, want, out)
	}
}

// reads lets a subscriber print the stream across a restart of the server, check
// it, follow it, and handle its events.
func (g *guarded) reads(t *testing.T) {
	startProcess(t, g.as("roomwatch", t.TempDir()), "run")
	eventually(t, "events", func() bool { return g.messages() > 30 })
	p := startProcess(t, g.as("subscriber", t.TempDir()), "tail", "--since", "1h")
	ended := func() bool {
		select {
		case <-p.exited:
			return true
		default:
			return false
		}
	}
	printed := func(n int) func() bool {
		return func() bool { return ended() || strings.Count(p.output.String(), " views") >= n }
	}
	eventually(t, "events on the screen", printed(30))
	if !ended() {
		g.stopNATS()
		g.up()
		before := strings.Count(p.output.String(), " views")
		eventually(t, "events after the restart", func() bool {
			_ = g.world.Enter(g.world.Truth().Lives[0].RoomID, 1)
			return printed(before + 1)()
		})
	}
	if violation.MatchString(p.output.String()) {
		p.wait(10 * time.Second) // it ends by itself
	}
	complains := ended() && p.cmd.ProcessState.ExitCode() == 1 && g.lacks.names(p.output.String())
	complains = complains || g.verifies(t) || g.subscribes(t) || g.watches(t)
	if want := g.lacks.user == "subscriber"; complains != want {
		t.Errorf("a lacking permission was named: %t, want %t:\n%s", complains, want, p.output)
	}
}

// verifies runs a check of the whole stream. It returns whether that told of the
// permission that lacks.
func (g *guarded) verifies(t *testing.T) bool {
	p := startProcess(t, g.as("subscriber", t.TempDir()), "verify")
	status := p.wait(time.Minute)
	complains := status == 1 && g.lacks.names(p.output.String())
	if !complains && status != 0 {
		t.Errorf("verify: exit status %d:\n%s", status, p.output)
	}
	return complains
}

// subscriber connects as the file's subscriber. NATS tells it of missing permissions.
func (g *guarded) subscriber(t *testing.T) (js jetstream.JetStream, told <-chan error) {
	t.Helper()
	errs := make(chan error, 100)
	nc, err := nats.Connect(g.nats.ClientURL(), nats.UserInfo("subscriber", readerPassword), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { errs <- err }))
	if err != nil {
		t.Fatal(err)
	}
	if js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return js, errs
}

// errListed ends a Follow that has told which rooms are live.
var errListed = errors.New("listed")

// subscribes is a subscriber in Go, as the README has it: it follows the rooms
// until it knows them, and handles events until one is acknowledged. It returns
// whether NATS told it of the missing permission.
func (g *guarded) subscribes(t *testing.T) bool {
	js, told := g.subscriber(t)
	defer js.Conn().Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 2)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		done <- events.Follow(ctx, js, events.Options{}, func(c events.Change) error {
			if c.Step == events.Ready {
				return errListed
			}
			return nil
		})
	})
	wg.Go(func() {
		done <- events.Subscribe(ctx, js, events.Options{Durable: "greeter"}, func(context.Context, events.Event) error { return nil })
	})
	listed := false
	for look := time.NewTicker(50 * time.Millisecond); ; {
		select {
		case err := <-told:
			if g.lacks.names(err.Error() + "; grant it") {
				return true
			}
		case err := <-done:
			if listed = errors.Is(err, errListed); !listed {
				t.Fatalf("a subscriber ended: %v", err)
			}
		case <-look.C:
			if listed && g.acknowledged("greeter") {
				return false
			}
		}
	}
}

// watches is a client of the bucket: it watches until it has seen it whole, more than
// the server sends without being asked to go on. It returns whether NATS told it of the
// missing permission.
func (g *guarded) watches(t *testing.T) bool {
	g.fillBucket(t)
	js, told := g.subscriber(t)
	defer js.Conn().Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	done := make(chan error, 1)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { done <- watchBucket(ctx, js) })
	for {
		select {
		case err := <-told:
			if g.lacks.names(err.Error() + "; grant it") {
				return true
			}
		case err := <-done:
			if err != nil {
				t.Errorf("the bucket: %v", err)
			}
			if js.Conn().Flush() == nil && len(told) > 0 { // of the end of the watch
				continue
			}
			return false
		}
	}
}

// fillBucket puts into the stream what roomwatch does not: large events of another application.
func (g *guarded) fillBucket(t *testing.T) {
	nc, err := nats.Connect(g.nats.ClientURL(), nats.UserInfo("roomwatch", writerPassword), nats.CustomInboxPrefix("_INBOX_roomwatch"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	for i := range 60 {
		if _, err := nc.Request(fmt.Sprintf("live.room.created.1.room%d", i), make([]byte, 1<<19), 10*time.Second); err != nil {
			t.Fatal(err)
		}
	}
}

// watchBucket reads one room and then all of them, as often as the large ones are not all there.
func watchBucket(ctx context.Context, js jetstream.JetStream) error {
	for ctx.Err() == nil {
		kv, err := js.KeyValue(ctx, bucketName)
		if err != nil {
			return err
		}
		if _, err := kv.Get(ctx, "1.room0"); err != nil {
			continue // it comes
		}
		w, err := kv.WatchAll(ctx)
		if err != nil {
			return err
		}
		n := 0
		for e := range w.Updates() {
			if e == nil {
				break
			}
			if strings.HasPrefix(e.Key(), "1.") {
				n++
			}
		}
		if err := w.Stop(); err != nil || n == 60 {
			return err
		}
	}
	return ctx.Err()
}

// acknowledged reports whether a consumer has acknowledged anything.
func (g *guarded) acknowledged(durable string) bool {
	return slices.ContainsFunc(g.stream("LIVE").Consumer, func(c *server.ConsumerInfo) bool { return c.Name == durable && c.AckFloor.Stream > 0 })
}

// messages returns how many messages the stream has taken.
func (g *guarded) messages() uint64 { return g.stream("LIVE").State.LastSeq }

// stream returns what a stream has, past all permissions.
func (g *guarded) stream(name string) server.StreamDetail {
	account, err := g.nats.JszAccount(&server.JSzOptions{Account: "LIVE", Streams: true, Consumer: true})
	if err == nil {
		for _, s := range account.Streams {
			if s.Name == name {
				return s
			}
		}
	}
	return server.StreamDetail{}
}

// lines returns the lines of text that have part in them.
func lines(text, part string) string {
	var found strings.Builder
	for line := range strings.Lines(text) {
		if strings.Contains(line, part) {
			found.WriteString(line)
		}
	}
	return found.String()
}
