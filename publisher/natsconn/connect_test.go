package natsconn

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
	"github.com/nats-io/nkeys"

	"roomwatch/diff/logtest"
)

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
		config Config
		ok     bool
	}{
		{name: "nothing asked", ok: true},
		{name: "password", server: password, config: Config{User: "u", Password: "right"}, ok: true},
		{name: "wrong password", server: password, config: Config{User: "u", Password: "s3cret"}},
		{name: "wrong user", server: password, config: Config{User: "v", Password: "s3cret"}},
		{name: "no password", server: password},
		{name: "token", server: token, config: Config{Token: "right"}, ok: true},
		{name: "user alone is a token", server: token, config: Config{User: "right"}, ok: true},
		{name: "wrong token", server: token, config: Config{Token: "s3cret"}},
		{name: "nkey", server: nkey, config: Config{NKeyFile: good}, ok: true},
		{name: "nkey file that holds none", server: nkey, config: Config{NKeyFile: bad}},
		{name: "no nkey file", config: Config{NKeyFile: filepath.Join(dir, "none")}},
		{name: "no creds file", config: Config{CredsFile: filepath.Join(dir, "none")}},
		{name: "no CA file", config: Config{CAFile: filepath.Join(dir, "none")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := tt.config
			c.URL = serve(t, tt.server).ClientURL()
			log := &logtest.Buffer{}
			c.Log = slog.New(slog.NewTextHandler(log, nil))
			conn, err := Connect(t.Context(), c)
			if conn != nil {
				defer conn.Close()
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
	c := Config{URL: s.ClientURL()}
	s.Shutdown()
	s.WaitForShutdown()
	if conn, err := Dial(t.Context(), c); err == nil || errors.Is(err, ErrAuth) {
		t.Errorf("Dial: %v, %v", conn, err)
	}
	conn, err := Connect(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if conn.IsConnected() {
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
		log := &logtest.Buffer{}
		c := Config{URL: url, Log: slog.New(slog.NewTextHandler(log, nil))}
		_, derr := Dial(t.Context(), c)
		conn, cerr := Connect(t.Context(), c)
		if conn != nil {
			conn.Close()
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
	log := &logtest.Buffer{}
	conn, err := Connect(t.Context(), Config{URL: url, Log: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	again := conn.Client().StatusChanged(nats.CONNECTED)
	s.Shutdown()
	s.WaitForShutdown()
	serve(t, func(o *server.Options) { o.Port, o.Authorization = port, "s3cret" })
	<-again
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 500 { // the line comes a little later than the state
		if strings.Contains(log.String(), "NATS connected") {
			break
		}
		<-tick.C
	}
	if told := conn.Server() + log.String(); strings.Contains(told, "s3cret") || !strings.Contains(told, "NATS connected") {
		t.Error(told)
	}
}
