package natsconn

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nkeys"
)

// All that is wrong is named at once, each with its variable; no secret is told.
func TestSettings(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	seed, err := pair(t, nkeys.CreateUser).Seed()
	if err != nil {
		t.Fatal(err)
	}
	account, err := pair(t, nkeys.CreateAccount).Seed()
	if err != nil {
		t.Fatal(err)
	}
	text, none := file("text", "root:s3cret:0:0::/root:/bin/sh\n"), filepath.Join(dir, "none")
	nkey, accountKey := file("nkey", string(seed)), file("account", string(account))
	cert, key := selfSigned(t)
	_, otherKey := selfSigned(t)
	tests := []struct {
		name   string
		config Config
		want   []string // none: nothing is wrong
	}{
		{name: "nothing"},
		{name: "one server", config: Config{URL: "nats://127.0.0.1:4222"}},
		{name: "many servers", config: Config{URL: "a, b:1,tls://[::1]:65535 ,nats://u:s3cret@d"}},
		{name: "over TCP", config: Config{URL: "tcp://10.0.0.7:4222"}},
		{name: "over WebSocket", config: Config{URL: "ws://a,wss://b"}},
		{name: "in the process", config: Config{URL: "::", InProcess: inProcess{}}},
		{name: "a user alone", config: Config{User: "s3cret"}},
		{name: "all files", config: Config{NKeyFile: nkey, CAFile: cert, CertFile: cert, KeyFile: key}},

		{name: "a comma", config: Config{URL: ","}, want: []string{"NATS_URL names no server"}},
		{name: "no port of this world", config: Config{URL: "nats://127.0.0.1:99999"}, want: []string{"NATS_URL: server 1", "port"}},
		{name: "port 0", config: Config{URL: "nats://a,127.0.0.1:0"}, want: []string{"NATS_URL: server 2", "port"}},
		{name: "another scheme", config: Config{URL: "foo://x"}, want: []string{"NATS_URL: server 1", "scheme"}},
		{name: "no host", config: Config{URL: "nats://u:s3cret@"}, want: []string{"NATS_URL: server 1", "host"}},
		{name: "a secret that is no URL", config: Config{URL: "nats://bob:s3cret%ZZ@h"}, want: []string{"NATS_URL: server 1", "NATS_PASSWORD"}},
		{name: "a secret in the place of a port", config: Config{URL: "nats://bob:123456"}, want: []string{"NATS_URL: server 1"}},
		{name: "half over WebSocket", config: Config{URL: "ws://a,nats://b"}, want: []string{"NATS_URL: some servers"}},
		{name: "a password alone", config: Config{Password: "s3cret"}, want: []string{"NATS_PASSWORD is set without NATS_USER"}},
		{name: "token and password", config: Config{User: "u", Password: "s3cret", Token: "s3cret"}, want: []string{"NATS_TOKEN and NATS_USER are both set"}},
		{name: "passwords", config: Config{User: "u", Password: "s3cret", PasswordFile: text}, want: []string{"NATS_PASSWORD and NATS_PASSWORD_FILE are both set"}},
		{name: "a file of a password alone", config: Config{PasswordFile: text}, want: []string{"NATS_PASSWORD_FILE is set without NATS_USER"}},
		{name: "no file of a password", config: Config{User: "u", PasswordFile: none}, want: []string{"NATS_PASSWORD_FILE: open " + none}},
		{name: "tokens", config: Config{Token: "s3cret", TokenFile: text}, want: []string{"NATS_TOKEN and NATS_TOKEN_FILE are both set"}},
		{name: "an empty file of a token", config: Config{TokenFile: file("empty", "\ufeff\n")}, want: []string{"NATS_TOKEN_FILE: " + filepath.Join(dir, "empty") + ": it is empty"}},
		{name: "a file of a token and a user", config: Config{User: "u", TokenFile: text}, want: []string{"NATS_TOKEN_FILE and NATS_USER are both set"}},
		{name: "a file of a token and a token in the URL", config: Config{URL: "nats://s3cret@h", TokenFile: text}, want: []string{"NATS_URL has a user"}},
		{name: "creds and nkey", config: Config{CredsFile: none, NKeyFile: nkey}, want: []string{"NATS_CREDS and NATS_NKEY are both set"}},
		{name: "the secret for its file", config: Config{NKeyFile: string(seed)}, want: []string{"NATS_NKEY: it is set to the secret itself; name a file"}},
		{name: "the token for its file", config: Config{CredsFile: "eyJs3cret.e.e"}, want: []string{"NATS_CREDS: it is set to the secret itself"}},
		{name: "the key for its file", config: Config{CertFile: cert, KeyFile: "-----BEGIN PRIVATE KEY-----\ns3cret"}, want: []string{"NATS_KEY: it is set to the secret itself"}},
		{name: "text for creds", config: Config{CredsFile: text}, want: []string{"NATS_CREDS: " + text + ": it holds no token"}},
		{name: "a seed for creds", config: Config{CredsFile: nkey}, want: []string{"NATS_CREDS: " + nkey}},
		{name: "text for an nkey", config: Config{NKeyFile: text}, want: []string{"NATS_NKEY: " + text}},
		{name: "another's nkey", config: Config{NKeyFile: accountKey}, want: []string{"NATS_NKEY: " + accountKey}},
		{name: "text for an authority", config: Config{CAFile: text}, want: []string{"NATS_CA: " + text + ": it holds no certificate"}},
		{name: "a certificate without its key", config: Config{CertFile: cert}, want: []string{"NATS_KEY is missing"}},
		{name: "a key without its certificate", config: Config{KeyFile: key}, want: []string{"NATS_CERT is missing"}},
		{name: "another's key", config: Config{CertFile: cert, KeyFile: otherKey}, want: []string{"NATS_CERT and NATS_KEY: "}},
		{name: "all at once", config: Config{URL: ",", CredsFile: none, NKeyFile: none, CAFile: none, CertFile: none, KeyFile: none, Password: "s3cret"},
			want: []string{"NATS_URL ", "NATS_CREDS: open " + none, "NATS_NKEY: open " + none, "NATS_CA: open " + none, "NATS_CERT and NATS_KEY: open " + none, "NATS_PASSWORD is set"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.config.Check()
			if len(tt.want) == 0 {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil {
				t.Fatal("nothing is wrong with it")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in: %v", want, err)
				}
			}
			if told := err.Error(); strings.Contains(told, "s3cret") || strings.Contains(told, "123456") || strings.Contains(told, string(seed)) {
				t.Errorf("tells a secret: %v", err)
			}
		})
	}
}

// inProcess is a server that is never asked.
type inProcess struct{}

func (inProcess) InProcessConn() (net.Conn, error) { return nil, net.ErrClosed }
