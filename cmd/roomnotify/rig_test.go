package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/roomnotify/form"
	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/diff/logtest"
	"roomwatch/publisher/events"
	"roomwatch/publisher/natstest"
)

const hookSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="

// A request is what a receiver got and took.
type request struct {
	host, id string
	at       time.Time
	body     string
	answered int
}

// what says in short what a generic notification tells: "a created".
func (r request) what(t *testing.T) string {
	t.Helper()
	var p struct {
		Type string
		Data struct {
			Milestone int64
			Event     *events.Event
			Watch     *form.Watch
			Items     []struct {
				Type  string
				Event events.Event
			}
		}
	}
	if err := json.Unmarshal([]byte(r.body), &p); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	switch {
	case p.Data.Watch != nil:
		return fmt.Sprintf("%d %s", p.Data.Watch.App, strings.TrimPrefix(p.Type, "watch."))
	case p.Type == "digest":
		var rooms []string
		for _, i := range p.Data.Items {
			rooms = append(rooms, i.Event.Data.Room.RoomID)
		}
		return "digest " + strings.Join(rooms, ",")
	case p.Data.Milestone > 0:
		return fmt.Sprintf("%s %d", p.Data.Event.Data.Room.RoomID, p.Data.Milestone)
	}
	return p.Data.Event.Data.Room.RoomID + " " + strings.TrimPrefix(p.Type, "room.")
}

// A receiver takes notifications; those of the generic form must be signed right.
type receiver struct {
	t      testing.TB
	mu     sync.Mutex
	got    []request
	plain  bool                                              // the targets have a body of their own and no secret
	answer func(w http.ResponseWriter, r *http.Request) bool // false: not answered yet
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the sender died
	}
	id := req.Header.Get("webhook-id")
	if id != "" && !r.plain {
		hook, err := standardwebhooks.NewWebhook(hookSecret)
		if err == nil {
			err = hook.Verify(body, req.Header)
		}
		if err != nil && !strings.Contains(err.Error(), "too old") && !strings.Contains(err.Error(), "too new") {
			r.t.Errorf("signature: %v", err)
		}
	}
	status := http.StatusOK
	r.mu.Lock()
	answer := r.answer
	r.mu.Unlock()
	note := &statusWriter{ResponseWriter: w, status: status}
	if answer == nil || !answer(note, req) {
		_, _ = io.WriteString(note, `{"ok":true,"code":0,"errcode":0}`)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, request{host: req.Host, id: id, at: time.Now(), body: string(body), answered: note.status})
}

type statusWriter struct {
	http.ResponseWriter
	status int
}

func (w *statusWriter) WriteHeader(s int) { w.status = s; w.ResponseWriter.WriteHeader(s) }

func (r *receiver) answers(f func(w http.ResponseWriter, r *http.Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = f
}

// with answers everything with a status.
func with(status int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(status)
		return true
	}
}

// requests returns what was sent to a host, whatever it answered.
func (r *receiver) requests(host string) []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []request
	for _, q := range r.got {
		if host == "" || q.host == host {
			list = append(list, q)
		}
	}
	return list
}

// taken returns in short what a host was told and took.
func (r *receiver) taken(t *testing.T, host string) string {
	t.Helper()
	var list []string
	for _, q := range r.requests(host) {
		if q.answered == http.StatusOK {
			list = append(list, q.what(t))
		}
	}
	return strings.Join(list, "; ")
}

// A rig is a roomnotify with a real JetStream server and a real HTTP server in a
// bubble: hours pass at once.
type rig struct {
	t        *testing.T
	srv      *natstest.Server
	js       jetstream.JetStream
	to       *receiver
	file     *rules.File
	daemon   *daemon // that was started last
	path     string  // of the rule file, where it is one
	seqRules int     // how often it was written
	log      *logtest.Buffer
	pipe     *pipeListener
	dial     dialFunc // of e-mail
	seq      uint64
	of       map[string]events.Event // the newest of each room
}

// hook is a target of the generic form.
func hook(name, more string) string {
	return fmt.Sprintf("  %s: {kind: webhook, url: \"http://%s.example/path-hush\", secret: \"${HOOK_SECRET}\"%s}\n", name, name, more)
}

func parseRules(t testing.TB, text string) *rules.File {
	t.Helper()
	f, err := rules.Parse([]byte(text), rules.Source{Lookup: func(name string) (string, bool) {
		if name == "HOOK_SECRET" {
			return hookSecret, true
		}
		return "https://" + strings.ToLower(name) + ".example/path-hush", true
	}, ReadFile: environ.ReadFile})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func inBubble(t *testing.T, file string, f func(*rig)) {
	t.Helper()
	natstest.Run(t, func(t *testing.T, srv *natstest.Server) {
		r := &rig{t: t, srv: srv, to: &receiver{t: t}, log: &logtest.Buffer{}, of: map[string]events.Event{}, file: parseRules(t, file)}
		r.js = natstest.Live(t, srv.Connect())
		r.pipe = &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
		server := &http.Server{Handler: r.to}
		go func() { _ = server.Serve(r.pipe) }()
		defer func() { _ = server.Close() }()
		f(r)
	})
}

// start runs roomnotify; stop ends it as SIGTERM does, and it must end well.
func (r *rig) start() (stop func()) {
	r.t.Helper()
	ctx, cancel := context.WithCancel(r.t.Context())
	https := r.transport()
	d := newDaemon(&config{Name: "notify", Stream: "LIVE", Prefix: "live", Replicas: 1, MaxAge: 720 * time.Hour, Rules: r.path}, r.file,
		slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	d.js, d.transport, d.dial, r.daemon = r.js, https, r.dial, d
	done := make(chan error, 1)
	go func() { done <- d.run(ctx) }()
	for _, t := range r.file.Targets { // a new durable begins with what comes after it
		if len(r.file.Of(t.Name)) > 0 {
			r.until("somebody waits for the events of "+t.Name, func() bool {
				c, err := r.js.Consumer(r.t.Context(), "LIVE", "notify-"+t.Name)
				return err == nil && c.CachedInfo().NumWaiting > 0
			})
		}
	}
	return func() {
		r.t.Helper()
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("run: %v", err)
		}
		https.CloseIdleConnections()
	}
}

// uncounted is a tally that nobody reads.
func uncounted() tally { return newMetrics(newStatus()).of("a") }

// transport reaches all hosts by the pipe.
func (r *rig) transport() *http.Transport {
	return &http.Transport{DialContext: r.pipe.dial, DialTLSContext: r.pipe.dial}
}

// put publishes an event of a room; "a=5" is a with 5 views, new or changed, and
// "-a" its end.
func (r *rig) put(list ...string) {
	r.t.Helper()
	for _, what := range list {
		r.publish(r.next(what))
		time.Sleep(50 * time.Millisecond) // rooms are told beside each other; these shall come in order
	}
}

func (r *rig) publish(e events.Event) {
	r.t.Helper()
	body, err := events.Encode(e)
	if err != nil {
		r.t.Fatal(err)
	}
	m := nats.NewMsg(events.SubjectOf("live", e))
	m.Data = body
	m.Header.Set(nats.MsgIdHdr, e.ID)
	// After hours in a bubble the connection may just be made anew, and then the request
	// or its answer is lost: it is asked again, and under one id it is stored once.
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		_, err := r.js.PublishMsg(r.t.Context(), m)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			r.t.Fatal(err)
		}
	}
}

func (r *rig) next(what string) events.Event {
	r.seq++
	name, ended := strings.CutPrefix(what, "-")
	name, views, _ := strings.Cut(name, "=")
	e := roomEvent(r.seq, name, time.Now())
	if views != "" {
		_, _ = fmt.Sscan(views, &e.Data.Room.ViewCount)
	}
	if before, live := r.of[name]; live {
		e.Type, e.Data.Version = events.ViewCountChanged, before.Data.Version+1
		e.Data.Room.CreateTime = before.Data.Room.CreateTime
		count := before.Data.Room.ViewCount
		e.Data.Previous = &events.Previous{ViewCount: &count}
	}
	r.of[name] = e
	if ended {
		e.Type, e.Data.Previous = events.RoomEnded, nil
		delete(r.of, name)
	}
	return e
}

func roomEvent(seq uint64, room string, at time.Time) events.Event {
	return events.Event{
		SpecVersion: "1.0", ID: fmt.Sprintf("01JD3ZK8V6Q4-%016d", seq), Source: "/live/88888888", Type: events.RoomCreated, Subject: room,
		Time: at.UTC().Truncate(time.Millisecond), Sequence: fmt.Sprintf("%016d", seq), DataContentType: "application/json",
		Data: events.Data{Version: 1, Sweep: 1, Room: events.Room{RoomID: room, RoomName: "Room " + room, OwnerAccount: "bren", Category: []int64{}, CreateTime: at.Unix()}},
	}
}

// until lets time pass until ok holds, at most two days.
func (r *rig) until(what string, ok func() bool) {
	r.t.Helper()
	step := 20 * time.Millisecond
	for end := time.Now().Add(24 * time.Hour); time.Now().Before(end); time.Sleep(step) {
		synctest.Wait()
		if ok() {
			return
		}
		step = min(step+step/50, 10*time.Second)
	}
	r.t.Fatalf("never: %s; requests:\n%s\nlog:\n%s", what, r.requests(), r.log)
}

func (r *rig) requests() string {
	var b strings.Builder
	for _, q := range r.to.requests("") {
		fmt.Fprintf(&b, "%s %s %d %s\n", q.at.Format(time.TimeOnly), q.host, q.answered, q.id)
	}
	return b.String()
}

// takes waits until a host has taken exactly this.
func (r *rig) takes(host string, want ...string) {
	r.t.Helper()
	full := strings.Join(want, "; ")
	r.until(host+" takes "+full+", not "+r.to.taken(r.t, host+".example"), func() bool { return r.to.taken(r.t, host+".example") == full })
}

// subjects returns how many messages the store has on each subject, but for told milestones.
func (r *rig) subjects() string {
	r.t.Helper()
	s, err := r.js.Stream(r.t.Context(), "NOTIFY")
	if err != nil {
		r.t.Fatal(err)
	}
	i, err := s.Info(r.t.Context(), jetstream.WithSubjectFilter("notify.>"))
	if err != nil {
		r.t.Fatal(err)
	}
	var list []string
	for subject, n := range i.State.Subjects {
		if !strings.HasPrefix(subject, "notify.told") && !strings.HasPrefix(subject, "notify.place") && !strings.HasPrefix(subject, "notify.digest") {
			list = append(list, fmt.Sprintf("%s %d", strings.TrimPrefix(subject, "notify."), n))
		}
	}
	slices.Sort(list)
	return strings.Join(list, "; ")
}

// acked waits until NATS waits for nothing of target a.
func (r *rig) acked() {
	r.t.Helper()
	r.until("all is acknowledged", func() bool {
		c, err := r.js.Consumer(r.t.Context(), "LIVE", "notify-a")
		return err == nil && c.CachedInfo().NumAckPending == 0 && c.CachedInfo().NumPending == 0
	})
}

// A pipeListener is a network without sockets.
type pipeListener struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	a, b := net.Pipe()
	select {
	case l.conns <- b:
		return a, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-l.done:
		return nil, net.ErrClosed
	}
}
