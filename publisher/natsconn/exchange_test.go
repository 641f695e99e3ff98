package natsconn

import (
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

// A secretOfTest is what files hold and what makes a server take that alone.
type secretOfTest struct {
	files map[string]string
	edit  func(*server.Options)
}

// The files are exchanged below a connection, and the server takes what is new
// alone: the connection comes back. What cannot be used changes nothing and is
// named without its value; a byte order mark is no part of a value.
func TestExchangedFiles(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	tests := []struct {
		name   string
		config Config
		secret func(t *testing.T, text string) secretOfTest
	}{
		{"NATS_NKEY", Config{NKeyFile: in("seed")}, func(t *testing.T, _ string) secretOfTest {
			user := pair(t, nkeys.CreateUser)
			seed, err := user.Seed()
			if err != nil {
				t.Fatal(err)
			}
			return secretOfTest{map[string]string{"seed": string(seed)}, func(o *server.Options) { o.Nkeys = []*server.NkeyUser{{Nkey: public(t, user)}} }}
		}},
		{"NATS_CREDS", Config{CredsFile: in("creds")}, func(t *testing.T, _ string) secretOfTest {
			content, edit := decentralised(t)
			return secretOfTest{map[string]string{"creds": content}, edit}
		}},
		{"NATS_PASSWORD_FILE", Config{User: "u", PasswordFile: in("password")}, func(_ *testing.T, text string) secretOfTest {
			return secretOfTest{map[string]string{"password": text}, func(o *server.Options) { o.Username, o.Password = "u", text }}
		}},
		{"NATS_TOKEN_FILE", Config{TokenFile: in("token")}, func(_ *testing.T, text string) secretOfTest {
			return secretOfTest{map[string]string{"token": text}, func(o *server.Options) { o.Authorization = text }}
		}},
		{"NATS_CA and NATS_CERT and NATS_KEY", Config{CAFile: in("ca"), CertFile: in("cert"), KeyFile: in("key")}, func(t *testing.T, _ string) secretOfTest {
			cert, key := selfSigned(t)
			files := map[string]string{}
			for name, path := range map[string]string{"ca": cert, "cert": cert, "key": key} {
				content, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				files[name] = string(content)
			}
			return secretOfTest{files, mutualTLS(t, cert, key)}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			first, second := tt.secret(t, "first-s3cret"), tt.secret(t, "second-s3cret")
			put := func(files map[string]string, before string) {
				for name, content := range files {
					write(t, in(name), before+content+"\n")
				}
			}
			put(first.files, "")
			s := serve(t, first.edit)
			port := s.Addr().(*net.TCPAddr).Port
			log := &logtest.Buffer{}
			c := tt.config
			c.URL, c.Log = s.ClientURL(), slog.New(slog.NewTextHandler(log, nil))
			conn, err := Connect(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			again := conn.Client().StatusChanged(nats.CONNECTED)
			restart := func(edit func(*server.Options)) {
				t.Helper()
				s.Shutdown()
				s.WaitForShutdown()
				s = serve(t, func(o *server.Options) {
					edit(o)
					o.Port = port
				})
				select {
				case <-again:
				case <-time.After(20 * time.Second):
					t.Fatalf("it does not connect again: %v\n%s", conn.Client().LastError(), log)
				}
			}
			for name := range first.files {
				write(t, in(name), " \n")
			}
			restart(first.edit)
			put(second.files, "\ufeff")
			restart(second.edit)
			told := log.String()
			for variable := range strings.SplitSeq(tt.name, " and ") {
				if !strings.Contains(told, variable) {
					t.Errorf("%s is not named:\n%s", variable, told)
				}
			}
			if n := strings.Count(told, "put the right value"); n > 2 || !strings.Contains(told, "secret read again") {
				t.Errorf("it is told %d times that a file cannot be used:\n%s", n, told)
			}
			if strings.Contains(told, "s3cret") {
				t.Errorf("tells a secret:\n%s", told)
			}
		})
	}
}
