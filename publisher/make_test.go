package publisher

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
	"roomwatch/publisher/streams"
)

// What NATS refuses whoever asks again ends the start, with the variable to
// change; and a look at it finds it before.
func TestStreamThatCannotBeMade(t *testing.T) {
	tests := []struct {
		name    string
		other   []string // subjects of another stream
		config  StreamConfig
		want    []string
		inspect bool // whether a look at it finds it
	}{
		{name: "replicas on a single server", config: StreamConfig{Name: "LIVE", Prefix: "live", Replicas: 3},
			want: []string{"ROOMWATCH_STREAM_REPLICAS", "to 1"}, inspect: true},
		{name: "subjects of another stream", other: []string{"x", "live.room.>"}, config: live,
			want: []string{"stream OTHER has", "ROOMWATCH_STREAM", "ROOMWATCH_SUBJECT_PREFIX", "nats stream edit OTHER --subjects="}, inspect: true},
		{name: "the same subjects", other: []string{"live.>"}, config: live, want: []string{"stream OTHER has"}, inspect: true},
		{name: "subjects of NATS", config: StreamConfig{Name: "LIVE", Prefix: "$JS"}, want: []string{"ROOMWATCH_SUBJECT_PREFIX"}},
		{name: "a short age", config: StreamConfig{Name: "LIVE", Prefix: "live", MaxAge: time.Millisecond}, want: []string{"ROOMWATCH_STREAM_MAX_AGE", "100ms"}},
		{name: "a name that is none", config: StreamConfig{Name: "LI VE", Prefix: "live"}, want: []string{"ROOMWATCH_STREAM"}, inspect: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			bubble(t, func(t *testing.T, _ *natstest.Server, nc *nats.Conn, b *box) {
				if tt.other != nil {
					js, err := jetstream.New(nc)
					if err != nil {
						t.Fatal(err)
					}
					if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: tt.other}); err != nil {
						t.Fatal(err)
					}
				}
				if found, err := Inspect(t.Context(), natsconn.Of(nc), tt.config, app); errors.Is(err, ErrUnfit) != tt.inspect {
					t.Errorf("Inspect: %q, %v", found, err)
				} else if tt.inspect && !strings.Contains(err.Error(), tt.want[0]) {
					t.Errorf("Inspect: no %q in: %v", tt.want[0], err)
				}
				r := startWith(t, Config{Conn: natsconn.Of(nc), Outbox: b, Stream: tt.config})
				r.wantEnd(t)
				if !errors.Is(r.err, ErrUnfit) {
					t.Fatalf("ended with %v", r.err)
				}
				for _, want := range append(tt.want, tt.config.Name) {
					if !strings.Contains(r.err.Error(), want) {
						t.Errorf("no %q in: %v", want, r.err)
					}
				}
			})
		})
	}
}

// Who may not make the stream waits for somebody who may, and is told what to run.
func TestStreamThatMayNotBeMade(t *testing.T) {
	s := serve(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.CREATE.>"}},
		}}}
	})
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URL: s.ClientURL(), User: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn.Client(), jetstream.WithDefaultTimeout(200*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	c := StreamConfig{Name: "LIVE", Prefix: "live", Replicas: 3, MaxAge: 36 * time.Hour, MaxBytes: 5 << 20}
	_, _, err = c.preflight(t.Context(), conn, js, app, 0)
	const command = "`nats stream add LIVE --subjects='live.>' --storage=file --replicas=3 --max-age=36h --max-bytes=5242880 --allow-batch --allow-direct --defaults`"
	if !errors.Is(err, nats.ErrPermissionViolation) || errors.Is(err, ErrUnfit) || !strings.Contains(err.Error(), command) {
		t.Errorf("%v\nwant %s", err, command)
	}
	if got, want := c.command("2.11.11"), strings.Replace(command, " --allow-batch", "", 1); got != want {
		t.Errorf("before 2.12: %s, want %s", got, want)
	}
}

// Who may not ask whose the subjects are is told so, and not that time was up.
func TestOwnerThatMayNotBeAsked(t *testing.T) {
	s := serve(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.NAMES"}},
		}}}
	})
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URL: s.ClientURL(), User: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	found, err := Inspect(t.Context(), conn, live, app)
	if err != nil || !strings.Contains(found, `Publish to "$JS.API.STREAM.NAMES"`) || !strings.Contains(found, "ask the account administrator to grant it") {
		t.Errorf("%q, %v", found, err)
	}
}

// That events are stored one by one is told with what changes it: the nats command
// edits no stream of a server that has no batches.
func TestSlow(t *testing.T) {
	for version, want := range map[string]string{"2.11.11": "nats-server 2.12 or newer is faster, this is 2.11.11", "2.12.3": "`nats stream edit LIVE --allow-batch`"} {
		have := jetstream.StreamConfig{Name: "LIVE", Metadata: map[string]string{streams.VersionKey: version}}
		if got := slow(have); !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", version, got, want)
		}
		have.AllowAtomicPublish = true
		if got := slow(have); got != "" {
			t.Errorf("%s with batches: %q", version, got)
		}
	}
}

// A server without JetStream says nothing at all; the error says how that is fixed.
func TestWithoutJetStream(t *testing.T) {
	s := serve(t, func(o *server.Options) { o.JetStream = false })
	conn, err := natsconn.Connect(t.Context(), natsconn.Config{URL: s.ClientURL()})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn.Client())
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = live.preflight(t.Context(), conn, js, app, 0)
	_, ierr := Inspect(t.Context(), conn, live, app)
	for _, err := range []error{err, ierr} {
		if err == nil || errors.Is(err, ErrUnfit) || !strings.Contains(err.Error(), "start nats-server with -js") {
			t.Error(err)
		}
	}
}
