package test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// A unit is what systemd reads of a service as far as it begins its process.
type unit struct {
	name        string
	start       []string
	environment []string
	files       []string
	credentials map[string]string // its path in /etc by name
	state       string
	fatal       []string // exit statuses after which it is not started again
}

// parsed reads the unit of a program where its package has put it.
func parsed(t *testing.T, root, name string) unit {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "usr/lib/systemd/system", name+".service"))
	if err != nil {
		t.Fatal(err)
	}
	u := unit{name: name, credentials: map[string]string{}}
	for line := range strings.SplitSeq(string(text), "\n") {
		key, value, ok := strings.Cut(line, "=")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		value = strings.NewReplacer("%S", "/var/lib", "%d", "/run/credentials").Replace(value)
		switch key {
		case "ExecStart":
			u.start = strings.Fields(value)
		case "Environment":
			u.environment = append(u.environment, value)
		case "EnvironmentFile":
			u.files = append(u.files, value)
		case "LoadCredential":
			id, path, _ := strings.Cut(value, ":")
			u.credentials[id] = path
		case "StateDirectory":
			u.state = value
		case "RestartPreventExitStatus":
			u.fatal = strings.Fields(value)
		}
	}
	return u
}

// env is the environment of the process: the variables of the unit, over which those of
// its files go.
func (u unit) env(t *testing.T, root string) []string {
	t.Helper()
	env := append([]string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"}, u.environment...)
	for _, path := range u.files {
		path, optional := strings.CutPrefix(path, "-")
		text, err := os.ReadFile(filepath.Join(root, path))
		if optional && errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.SplitSeq(string(text), "\n") {
			if strings.Contains(line, "=") && !strings.HasPrefix(line, "#") {
				env = append(env, line)
			}
		}
	}
	return env
}

// aService is what the unit asks for, as far as mount namespaces and chroot go: a root
// that is read-only but for its state, files of credentials, another user.
const aService = `
root=$1 state=$2; shift 2
mount --bind "$root" "$root"
if [ -n "$state" ]; then mount --bind "$root/var/lib/$state" "$root/var/lib/$state"; fi
mount -o remount,bind,ro "$root"
exec chroot --userspec=61184:61184 --groups= "$root" "$@"
`

// command is the command of a unit, or another of the same program, as the unit runs it.
func (u unit) command(t *testing.T, root string, args ...string) *exec.Cmd {
	t.Helper()
	const user = 61184 // the first of those that DynamicUser= gives
	if len(args) == 0 {
		args = u.start[1:]
	}
	credentials := filepath.Join(root, "run/credentials")
	if err := errors.Join(os.RemoveAll(credentials), os.MkdirAll(credentials, 0o755)); err != nil {
		t.Fatal(err)
	}
	for id, path := range u.credentials {
		b, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			t.Fatal(err)
		}
		to := filepath.Join(credentials, id)
		if err := errors.Join(os.WriteFile(to, b, 0o400), os.Chown(to, user, user)); err != nil {
			t.Fatal(err)
		}
	}
	if u.state != "" {
		dir := filepath.Join(root, "var/lib", u.state)
		if err := errors.Join(os.MkdirAll(filepath.Dir(dir), 0o755), os.MkdirAll(dir, 0o700), os.Chown(dir, user, user)); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "/usr/bin/unshare", append([]string{"--mount", "sh", "-ec", aService, "sh", root, u.state, u.start[0]}, args...)...)
	cmd.Env = u.env(t, root)
	return cmd
}

// unpacked is a root that has nothing but the packages of the three programs.
func unpacked(t *testing.T, format string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil { // root's own directories are open to all
		t.Fatal(err)
	}
	for _, name := range programs {
		path := packed(t, name, format, "1.2.3", nil)
		if format == "deb" {
			command(t, "dpkg-deb", "--extract", path, root)
			continue
		}
		r := readRPM(t, path)
		list, err := r.Header.GetFiles()
		if err := errors.Join(err, r.ExpandPayload(root)); err != nil {
			t.Fatal(err)
		}
		for _, f := range list { // as rpm does; the library leaves the modes out
			if err := os.Chmod(filepath.Join(root, f.Name()), os.FileMode(f.Mode()&0o777)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return root
}

// started runs cmd until the test has ended, or until end is called, and waits until healthy
// returns nil. The context of cmd has to outlive that of the test, or it would be killed.
func started(t *testing.T, cmd *exec.Cmd, healthy func() error) (end func()) {
	t.Helper()
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() {
		if err := stop(cmd); err != nil {
			t.Errorf("%q: %v\n%s", cmd.Args, err, out)
		}
	})
	t.Cleanup(end)
	if err := within(healthy); err != nil {
		t.Fatalf("%q: %v\n%s", cmd.Args, err, out)
	}
	return end
}

// The programs of the packages, run by the commands, variables and credentials of their
// units: from an empty root, after what the manual says has to be set.
func TestPackagesStart(t *testing.T) {
	if os.Geteuid() != 0 {
		cannot(t, "not root: the packages were not started in a root of their own")
	}
	for _, format := range []string{"deb", "rpm"} {
		t.Run(format, func(t *testing.T) {
			root := unpacked(t, format)
			for _, name := range programs {
				text := command(t, "chroot", root, "/usr/bin/"+name, "version")
				if !strings.HasPrefix(text, name+" ") {
					t.Errorf("%s is %s", name, text)
				}
			}
			if text, err := exec.CommandContext(t.Context(), "unshare", "--mount", "true").CombinedOutput(); err != nil {
				cannot(t, "mount namespaces are not allowed here: the packages were not started: %v\n%s", err, text)
			}
			service, nats, page := freeAddr(t), freeAddr(t), freeAddr(t)
			_, port, err := net.SplitHostPort(nats)
			if err != nil {
				t.Fatal(err)
			}
			started(t, exec.CommandContext(context.WithoutCancel(t.Context()), program(t, "roomwatch"), "simulator", "--addr", service), func() error {
				_, err := get(t, "http://"+service)
				return err
			})
			add := func(path, text string, mode os.FileMode) {
				t.Helper()
				f, err := os.OpenFile(filepath.Join(root, path), os.O_APPEND|os.O_CREATE|os.O_WRONLY, mode)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := f.WriteString(text); errors.Join(err, f.Close()) != nil {
					t.Fatal(err)
				}
			}
			add("etc/roomwatch/roomwatch.env", "ROOMWATCH_SDKAPPID=1400000000\nROOMWATCH_ENDPOINT=http://"+service+"\nROOMWATCH_NATS_PORT="+port+"\nROOMWATCH_HTTP_ADDR="+page+"\n", 0)
			add("etc/roomwatch/secret-key", "key-of-the-simulated-service\n", 0o600)
			watch := parsed(t, root, "roomwatch")
			if text, err := watch.command(t, root, "check").CombinedOutput(); err != nil {
				t.Errorf("roomwatch check: %v\n%s", err, text)
			}
			started(t, watch.command(t, root), func() error { return ready(t, page, "/readyz") })
			for _, name := range programs[1:] {
				addr := freeAddr(t)
				add("etc/"+name+"/"+name+".env", "NATS_URL=nats://"+nats+"\n"+strings.ToUpper(name)+"_HTTP_ADDR="+addr+"\n", 0)
				add("etc/"+name+"/nats-password", "of nobody\n", 0o600)
				if name == "roomnotify" {
					add("etc/roomnotify/secrets.env", "HOOK_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=\nSLACK_URL=https://127.0.0.1:1/\n", 0o600)
				}
				started(t, parsed(t, root, name).command(t, root), func() error { return ready(t, addr, "/readyz") })
			}
		})
	}
}

// A state of another application requires operator action: the service ends with a status
// after which systemd does not start it again.
func TestPackageOfAnotherApplication(t *testing.T) {
	if os.Geteuid() != 0 {
		cannot(t, "not root: the package was not started in a root of its own")
	}
	root := unpacked(t, "deb")
	env := filepath.Join(root, "etc/roomwatch/roomwatch.env")
	if err := os.WriteFile(filepath.Join(root, "etc/roomwatch/secret-key"), []byte("k"), 0o600); err != nil {
		t.Fatal(err)
	}
	u := parsed(t, root, "roomwatch")
	// The first has its state by the time it answers; the second finds it.
	for _, app := range []string{"1400000000", "1400000001"} {
		addr := freeAddr(t)
		if err := os.WriteFile(env, []byte("ROOMWATCH_SDKAPPID="+app+"\nROOMWATCH_ENDPOINT=http://127.0.0.1:1\nROOMWATCH_NATS_PORT=0\nROOMWATCH_HTTP_ADDR="+addr+"\n"), 0o640); err != nil {
			t.Fatal(err)
		}
		if app == "1400000000" {
			if text, err := exec.CommandContext(t.Context(), "unshare", "--mount", "true").CombinedOutput(); err != nil {
				cannot(t, "mount namespaces are not allowed here: %v\n%s", err, text)
			}
			runUntilHealthy(t, u.command(t, root), func() error {
				_, err := get(t, "http://"+addr+"/healthz")
				return err
			})
			continue
		}
		cmd := u.command(t, root)
		text, err := cmd.CombinedOutput()
		if err == nil || !slices.Contains(u.fatal, fmt.Sprint(cmd.ProcessState.ExitCode())) || !bytes.Contains(text, []byte("another application")) {
			t.Errorf("with the state of another application: %v, systemd gives up after %q\n%s", err, u.fatal, text)
		}
	}
}

// edited changes the unit of a program, which must have each of the old texts.
func edited(t *testing.T, root, name string, oldNew ...string) {
	t.Helper()
	path := filepath.Join(root, "usr/lib/systemd/system", name+".service")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for i := 0; i < len(oldNew); i += 2 {
		if !strings.Contains(text, oldNew[i]) {
			t.Fatalf("the unit of %s has no %q", name, oldNew[i])
		}
	}
	if err := os.WriteFile(path, []byte(strings.NewReplacer(oldNew...).Replace(text)), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The programs of the packages at a NATS that lets nobody in without a password, or a key: each logs
// in with the credential that its unit loads, and with that of nobody it is not let in.
func TestPackagesLogIn(t *testing.T) {
	if os.Geteuid() != 0 {
		cannot(t, "not root: the packages were not started in a root of their own")
	}
	if text, err := exec.CommandContext(t.Context(), "unshare", "--mount", "true").CombinedOutput(); err != nil {
		cannot(t, "mount namespaces are not allowed here: the packages were not started: %v\n%s", err, text)
	}
	service := freeAddr(t)
	started(t, exec.CommandContext(context.WithoutCancel(t.Context()), program(t, "roomwatch"), "simulator", "--addr", service), func() error {
		_, err := get(t, "http://"+service)
		return err
	})
	t.Run("password", func(t *testing.T) {
		root := unpacked(t, "deb")
		passwords := map[string]string{"roomwatch": "one-hush", "roomnotify": "two-hush", "roomaudit": "three-hush"}
		env := map[string]string{"SUBSCRIBER_NATS_PASSWORD": "four-hush"}
		for name, password := range passwords {
			env[strings.ToUpper(name)+"_NATS_PASSWORD"] = password
		}
		nats := natsServer(t, &server.Options{Port: server.RANDOM_PORT}, "../nats/nats.conf", env)
		edited(t, root, "roomwatch", "\n#LoadCredential=nats-password", "\nLoadCredential=nats-password", "\n#Environment=NATS_PASSWORD", "\nEnvironment=NATS_PASSWORD")
		for _, name := range programs {
			logsIn(t, root, name, service, "NATS_URL="+nats+"\nNATS_USER="+name+"\n", "nats-password", "of-nobody-hush", passwords[name])
		}
	})
	t.Run("key", func(t *testing.T) {
		root := unpacked(t, "deb")
		options := &server.Options{Port: server.RANDOM_PORT, JetStream: true}
		seeds := map[string]string{}
		for _, name := range append(slices.Clone(programs), "nobody") {
			pair, err := nkeys.CreateUser()
			if err != nil {
				t.Fatal(err)
			}
			public, errPublic := pair.PublicKey()
			seed, errSeed := pair.Seed()
			if err := errors.Join(errPublic, errSeed); err != nil {
				t.Fatal(err)
			}
			if seeds[name] = string(seed); name != "nobody" {
				options.Nkeys = append(options.Nkeys, &server.NkeyUser{Nkey: public})
			}
		}
		nats := natsServer(t, options, "", nil)
		for _, name := range programs {
			comment := ""
			if name == "roomwatch" {
				comment = "#"
			}
			edited(t, root, name, "\n"+comment+"LoadCredential=nats-password:/etc/"+name+"/nats-password", "\nLoadCredential=nats.nk:/etc/"+name+"/nats.nk",
				"\n"+comment+"Environment=NATS_PASSWORD_FILE=%d/nats-password", "\nEnvironment=NATS_NKEY=%d/nats.nk")
			logsIn(t, root, name, service, "NATS_URL="+nats+"\n", "nats.nk", seeds["nobody"], seeds[name])
		}
	})
}

// logsIn starts a program by its unit, first with the credential of nobody and then with its own.
func logsIn(t *testing.T, root, name, service, variables, credential, wrong, right string) {
	t.Helper()
	write := func(path, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, "etc", name, path), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	addr := freeAddr(t)
	variables += strings.ToUpper(name) + "_HTTP_ADDR=" + addr + "\n"
	switch name {
	case "roomwatch":
		variables += "ROOMWATCH_SDKAPPID=1400000000\nROOMWATCH_ENDPOINT=http://" + service + "\n"
		write("secret-key", keyOfSimulator, 0o600)
	case "roomnotify":
		write("secrets.env", "HOOK_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=\nSLACK_URL=https://127.0.0.1:1/\n", 0o600)
	}
	write(name+".env", variables, 0o640)
	write(credential, wrong+"\n", 0o600)
	u, out := parsed(t, root, name), &output{}
	cmd := u.command(t, root)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	err := within(func() error {
		if !strings.Contains(strings.ToLower(out.String()), "authorization violation") {
			return errors.New("nothing is said of the credential")
		}
		return nil
	})
	_ = stop(cmd) // whether it was still trying is its own matter
	if err != nil || strings.Contains(out.String(), wrong) {
		t.Errorf("%s with the %s of nobody: %v\n%s", name, credential, err, out)
	}
	write(credential, right+"\n", 0o600)
	started(t, u.command(t, root), func() error { return ready(t, addr, "/readyz") })
}
