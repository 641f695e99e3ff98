package publisher

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
	"go.uber.org/goleak"

	"roomwatch/publisher/natstest"
)

// serve starts a server on a port of its own.
func serve(t testing.TB, edit func(*server.Options)) *server.Server { return natstest.Start(t, edit) }

func TestCredentials(t *testing.T) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	seed, err := pair.Seed()
	if err != nil {
		t.Fatal(err)
	}
	public, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good, bad := file("good.nk", string(seed)), file("bad.nk", "s3cret")
	password := func(o *server.Options) { o.Username, o.Password = "u", "right" }
	token := func(o *server.Options) { o.Authorization = "right" }
	nkey := func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: public}} }
	tests := []struct {
		name   string
		server func(*server.Options)
		config ConnectConfig
		ok     bool
	}{
		{name: "nothing asked", ok: true},
		{name: "password", server: password, config: ConnectConfig{User: "u", Password: "right"}, ok: true},
		{name: "wrong password", server: password, config: ConnectConfig{User: "u", Password: "s3cret"}},
		{name: "wrong user", server: password, config: ConnectConfig{User: "v", Password: "s3cret"}},
		{name: "no password", server: password},
		{name: "token", server: token, config: ConnectConfig{Token: "right"}, ok: true},
		{name: "user alone is a token", server: token, config: ConnectConfig{User: "right"}, ok: true},
		{name: "wrong token", server: token, config: ConnectConfig{Token: "s3cret"}},
		{name: "nkey", server: nkey, config: ConnectConfig{NKeyFile: good}, ok: true},
		{name: "nkey file that holds none", server: nkey, config: ConnectConfig{NKeyFile: bad}},
		{name: "no nkey file", config: ConnectConfig{NKeyFile: filepath.Join(dir, "none")}},
		{name: "no creds file", config: ConnectConfig{CredsFile: filepath.Join(dir, "none")}},
		{name: "no CA file", config: ConnectConfig{CAFile: filepath.Join(dir, "none")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.config
			c.URL = serve(t, tt.server).ClientURL()
			log := &logged{}
			c.Log = slog.New(slog.NewTextHandler(log, nil))
			nc, err := Connect(t.Context(), c)
			if nc != nil {
				defer nc.Close()
			}
			if tt.ok != (err == nil) || !tt.ok && !errors.Is(err, ErrAuth) {
				t.Errorf("Connect: %v", err)
			}
			if err != nil && strings.Contains(err.Error()+log.String(), "s3cret") {
				t.Errorf("tells a secret: %v\n%s", err, log)
			}
		})
	}
}

func TestUnreachable(t *testing.T) {
	s := serve(t, nil)
	c := ConnectConfig{URL: s.ClientURL()}
	s.Shutdown()
	s.WaitForShutdown()
	if nc, err := Dial(t.Context(), c); err == nil || errors.Is(err, ErrAuth) {
		t.Errorf("Dial: %v, %v", nc, err)
	}
	nc, err := Connect(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if nc.IsConnected() {
		t.Error("connected to nothing")
	}
}

func TestURLTellsNoSecret(t *testing.T) {
	for _, url := range []string{
		"nats://user:s3cret@127.0.0.1:1", "nats://s3cret@127.0.0.1:1", "user:s3cret@127.0.0.1:1",
		"nats://user:s3cret@127.0.0.1:port", "nats://user:s3cret/@127.0.0.1:1", "nats://user:s3cret%zz@127.0.0.1:1",
		"nats://127.0.0.1:1,nats://user:s3cret@127.0.0.1:port", "nats://a:s3cret@127.0.0.1:1, nats://b:s3cret@127.0.0.1:2",
		"nats://127.0.0.1:1/?token=s3cret",
	} {
		log := &logged{}
		c := ConnectConfig{URL: url, Log: slog.New(slog.NewTextHandler(log, nil))}
		_, derr := Dial(t.Context(), c)
		nc, cerr := Connect(t.Context(), c)
		if nc != nil {
			nc.Close()
		}
		if derr == nil {
			t.Errorf("Dial(%q) is no error", url)
		}
		for _, told := range []string{errors.Join(derr, cerr).Error(), log.String()} {
			if strings.Contains(told, "s3cret") {
				t.Errorf("%q tells its secret: %s", url, told)
			}
		}
	}
}

// Nor do the log and the address shown once it is connected, and connected again.
func TestConnectedTellsNoSecret(t *testing.T) {
	s := serve(t, func(o *server.Options) { o.Authorization = "s3cret" })
	port := s.Addr().(*net.TCPAddr).Port
	url := fmt.Sprintf("nats://s3cret@127.0.0.1:%d/?a=s3cret", port)
	log := &logged{}
	nc, err := Connect(t.Context(), ConnectConfig{URL: url, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	again := nc.StatusChanged(nats.CONNECTED)
	s.Shutdown()
	s.WaitForShutdown()
	serve(t, func(o *server.Options) { o.Port, o.Authorization = port, "s3cret" })
	<-again
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 500 { // the line comes a little later than the state
		if strings.Contains(log.String(), "nats connected") {
			break
		}
		<-tick.C
	}
	if told := Server(nc) + log.String(); strings.Contains(told, "s3cret") || !strings.Contains(told, "nats connected") {
		t.Error(told)
	}
}

func TestNoPermission(t *testing.T) {
	s := serve(t, func(o *server.Options) {
		o.Users = []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
			Publish: &server.SubjectPermission{Allow: []string{"$JS.API.>"}},
		}}}
	})
	nc, err := Connect(t.Context(), ConnectConfig{URL: s.ClientURL(), User: "u", Password: "p"})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	b := newBox("E1")
	r := start(t, nc, b)
	for r.Status().LastError == nil {
		select {
		case <-r.done:
			t.Fatal(r.err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	if err := r.Status().LastError; !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), "live.writer.claimed") {
		t.Errorf("last error %v", err)
	}
}

// On a real socket: all is stored, nothing leaks, metrics are as they should be.
func TestRunOnASocket(t *testing.T) {
	before := goleak.IgnoreCurrent()
	s := serve(t, nil)
	nc, err := Connect(t.Context(), ConnectConfig{URL: s.ClientURL()})
	if err != nil {
		t.Fatal(err)
	}
	b := newBox("E1")
	r := start(t, nc, b)
	<-r.Recovered()
	b.add(2500)
	waitStored(b)
	if err := r.stop(); err != nil {
		t.Error(err)
	}
	wantEvents(t, nc, 1, 2500)
	nc.Close()
	s.Shutdown()
	s.WaitForShutdown()
	goleak.VerifyNone(t, before, goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server/ats.Register.func1"))
}

// waitStored returns when all is stored; a test that hangs here has failed.
func waitStored(b *box) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for {
		if _, stored, assigned := b.Position(); stored == assigned {
			return
		}
		<-tick.C
	}
}

// BenchmarkRelay stores b.N events through a real server on a socket.
func BenchmarkRelay(b *testing.B) {
	for _, batches := range []bool{true, false} {
		name := "batches"
		if !batches {
			name = "singles"
		}
		b.Run(name, func(b *testing.B) {
			nc, err := Connect(b.Context(), ConnectConfig{URL: serve(b, nil).ClientURL()})
			if err != nil {
				b.Fatal(err)
			}
			defer nc.Close()
			stream(b, nc, func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = batches })
			out := newBox("E1")
			r := start(b, nc, out)
			<-r.Recovered()
			b.ResetTimer()
			out.add(b.N)
			waitStored(out)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
