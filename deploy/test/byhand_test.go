package test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// byHand runs commands in a root that has the programs of this machine, and nothing in
// /usr/local and /etc. Its systemctl writes down what it is asked.
const byHand = `
root=$1 script=$2
mount --rbind /usr "$root/usr"
mount --bind "$root/local" "$root/usr/local"
mount --rbind /dev "$root/dev"
cd "$root/src"
exec chroot "$root" /usr/bin/env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin sh -ec "cd /src; $script"
`

// The manual's commands that install the programs without a package, typed as they stand
// there, leave the files, the modes and what is asked of systemd; then each program starts
// by its unit.
func TestUnitsByHand(t *testing.T) {
	if os.Geteuid() != 0 {
		cannot(t, "not root: nothing was installed in a root of its own")
	}
	if text, err := exec.CommandContext(t.Context(), "unshare", "--mount", "true").CombinedOutput(); err != nil {
		cannot(t, "mount namespaces are not allowed here: %v\n%s", err, text)
	}
	manual, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(manual), "\n## systemd\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var script strings.Builder
	for line := range strings.Lines(section) {
		if typed, ok := strings.CutPrefix(line, "    "); ok {
			script.WriteString(typed)
		}
	}
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	put := func(path, text string, mode os.FileMode) {
		t.Helper()
		path = filepath.Join(root, path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), mode)); err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"usr", "dev", "local/bin", "etc/systemd/system"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range []string{"bin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+link, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	put("local/sbin/systemctl", "#!/bin/sh\necho \"$*\" >>/asked\n", 0o755)
	put("path/to/the/key", "key-of-the-simulated-service\n", 0o644)
	put("path/to/its/password", "of nobody\n", 0o644)
	for _, name := range programs {
		copied, err := os.ReadFile(program(t, name))
		if err != nil {
			t.Fatal(err)
		}
		put("src/"+name, string(copied), 0o600)
	}
	// What an archive of a release has of deploy, and the repository, too.
	for _, dir := range []string{"systemd", "roomnotify"} {
		if err := os.CopyFS(filepath.Join(root, "src/deploy", dir), os.DirFS(filepath.Join(top, "deploy", dir))); err != nil {
			t.Fatal(err)
		}
	}
	command(t, "unshare", "--mount", "sh", "-ec", byHand, "sh", root, script.String())

	for path, mode := range map[string]fs.FileMode{
		"local/bin/roomwatch": 0o755, "local/bin/roomaudit": 0o755, "local/bin/roomnotify": 0o755,
		"etc/roomwatch": fs.ModeDir | 0o700, "etc/roomwatch/secret-key": 0o600, "etc/roomwatch/roomwatch.env": 0o644,
		"etc/roomaudit": fs.ModeDir | 0o750, "etc/roomaudit/nats-password": 0o600, "etc/roomaudit/roomaudit.env": 0o644,
		// roomnotify reads its rules as a user of its own
		"etc/roomnotify": fs.ModeDir | 0o755, "etc/roomnotify/nats-password": 0o600, "etc/roomnotify/roomnotify.env": 0o644,
		"etc/roomnotify/rules.yaml": 0o644, "etc/roomnotify/secrets.env": 0o600,
	} {
		if info, err := os.Stat(filepath.Join(root, path)); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v, want mode %v", path, info, err, mode)
		}
	}
	asked, err := os.ReadFile(filepath.Join(root, "asked"))
	if want := "enable --now roomwatch\nenable --now roomaudit\nenable --now roomnotify\n"; err != nil || string(asked) != want {
		t.Errorf("systemd is asked for %q, %v, want %q", asked, err, want)
	}
	if t.Failed() {
		return
	}

	units := filepath.Join(root, "usr/lib/systemd/system")
	err = errors.Join(os.Rename(filepath.Join(root, "local"), filepath.Join(root, "usr/local")), os.CopyFS(units, os.DirFS(filepath.Join(root, "etc/systemd/system"))))
	if err != nil {
		t.Fatal(err)
	}
	service, page, nats := freeAddr(t), freeAddr(t), freeAddr(t)
	_, port, _ := strings.Cut(nats, ":")
	started(t, exec.CommandContext(context.WithoutCancel(t.Context()), program(t, "roomwatch"), "simulator", "--addr", service), func() error {
		_, err := get(t, "http://"+service)
		return err
	})
	add := func(path, text string) {
		t.Helper()
		f, err := os.OpenFile(filepath.Join(root, path), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteString(text); errors.Join(err, f.Close()) != nil {
			t.Fatal(err)
		}
	}
	add("etc/roomwatch/roomwatch.env", "ROOMWATCH_ENDPOINT=http://"+service+"\nROOMWATCH_NATS_PORT="+port+"\nROOMWATCH_HTTP_ADDR="+page+"\n")
	started(t, parsed(t, root, "roomwatch").command(t, root), func() error { return ready(t, page, "/readyz") })
	add("etc/roomnotify/secrets.env", "HOOK_SECRET=whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=\nSLACK_URL=https://127.0.0.1:1/\n")
	for _, name := range programs[1:] {
		addr := freeAddr(t)
		add("etc/"+name+"/"+name+".env", "NATS_URL=nats://"+nats+"\n"+strings.ToUpper(name)+"_HTTP_ADDR="+addr+"\n")
		started(t, parsed(t, root, name).command(t, root), func() error { return ready(t, addr, "/readyz") })
	}
}
