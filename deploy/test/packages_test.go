package test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/goreleaser/goreleaser/v2/pkg/config"
	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // the formats of the release
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm"
	"github.com/sassoftware/go-rpmutils"
)

// made are the man pages, completions and scripts, by the release's own hooks, once for all tests.
var made = sync.OnceValues(func() (string, error) {
	c, err := config.Load(top + "/.goreleaser.yaml")
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp("", "roomwatch-deploy-test")
	if err != nil {
		return "", err
	}
	for _, hook := range c.Before.Hooks {
		line := strings.NewReplacer("{{ .Version }}", "1.2.3", " dist-", " "+dir+"/dist-").Replace(hook)
		cmd := exec.Command("sh", "-ec", line)
		cmd.Dir = top
		if out, err := cmd.CombinedOutput(); err != nil {
			return "", fmt.Errorf("%s: %w\n%s", line, err, out)
		}
	}
	return dir, nil
})

// packed makes the package of one program, as goreleaser does with its part of
// .goreleaser.yaml; change may alter what goes into it.
func packed(t *testing.T, name, format, version string, change func(*nfpm.Info)) string {
	t.Helper()
	dir, err := made()
	if err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(top + "/.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(c.NFPMs, func(n config.NFPM) bool { return n.PackageName == name && slices.Contains(n.Formats, format) })
	if i < 0 {
		t.Fatalf("no %s of %s", format, name)
	}
	n := c.NFPMs[i]
	if !slices.Equal(n.IDs, []string{name}) {
		t.Errorf("the package of %s has the programs %q", name, n.IDs)
	}
	committed := time.Unix(1_700_000_000, 0)
	contents := files.Contents{{Source: program(t, name), Destination: filepath.Join(n.Bindir, name), FileInfo: &files.ContentFileInfo{Mode: 0o755, MTime: committed}}}
	for _, f := range n.Contents {
		source := f.Source
		switch {
		case strings.HasPrefix(source, "dist-"):
			source = filepath.Join(dir, source)
		case source != "":
			source = filepath.Join(top, source)
		}
		contents = append(contents, &files.Content{Source: source, Destination: f.Destination, Type: f.Type, Packager: f.Packager, FileInfo: &files.ContentFileInfo{Mode: f.FileInfo.Mode}})
	}
	script := func(path string) string {
		if strings.HasPrefix(path, "dist-") {
			return filepath.Join(dir, path)
		}
		return filepath.Join(top, path)
	}
	info := nfpm.WithDefaults(&nfpm.Info{
		Name: n.PackageName, Arch: "amd64", Platform: "linux", Version: version, MTime: committed,
		Section: n.Section, Maintainer: n.Maintainer, Vendor: n.Vendor, License: n.License, Description: n.Description,
		Overridables: nfpm.Overridables{
			Recommends: n.Recommends, Depends: n.Dependencies, Contents: contents,
			Scripts: nfpm.Scripts{PostInstall: script(n.Scripts.PostInstall), PreRemove: script(n.Scripts.PreRemove), PostRemove: script(n.Scripts.PostRemove)},
		},
	})
	if change != nil {
		change(info)
	}
	p, err := nfpm.Get(format)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), p.ConventionalFileName(info))
	w, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(p.Package(info, w), w.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// ofDeb are the files of a package: mode and owner by path.
func ofDeb(t *testing.T, path string) map[string]string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "dpkg-deb", "--fsys-tarfile", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for r := tar.NewReader(bytes.NewReader(out)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if name := strings.TrimSuffix(strings.TrimPrefix(h.Name, "."), "/"); h.Typeflag == tar.TypeReg || strings.HasPrefix(name, "/etc/") {
			all[name] = fmt.Sprintf("%#o %s", h.FileInfo().Mode().Perm(), h.Uname)
		}
	}
}

func readRPM(t *testing.T, path string) *rpmutils.Rpm {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	r, err := rpmutils.ReadRpm(f)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// ofRPM are the files of a package: mode and owner by path, and which of them are
// configuration that an upgrade does not replace.
func ofRPM(t *testing.T, path string) (all map[string]string, kept []string) {
	t.Helper()
	list, err := readRPM(t, path).Header.GetFiles()
	if err != nil {
		t.Fatal(err)
	}
	all = map[string]string{}
	for _, f := range list {
		all[f.Name()] = fmt.Sprintf("%#o %s", f.Mode()&0o7777, f.UserName())
		if f.Flags()&rpmutils.RPMFILE_CONFIG != 0 && f.Flags()&rpmutils.RPMFILE_NOREPLACE != 0 {
			kept = append(kept, f.Name())
		}
	}
	return all, kept
}

// What is in the packages: the same files with the same modes in both formats, but for
// the places where the distributions differ.
func TestPackages(t *testing.T) {
	for _, name := range programs {
		t.Run(name, func(t *testing.T) {
			deb, rpm := packed(t, name, "deb", "1.2.3", nil), packed(t, name, "rpm", "1.2.3", nil)
			ofRPM, kept := ofRPM(t, rpm)
			ofDeb := ofDeb(t, deb)
			want := map[string]string{
				"/usr/bin/" + name: "0755 root",
				"/usr/lib/systemd/system/" + name + ".service": "0644 root",
				"/etc/" + name:                                           "0750 root",
				"/etc/" + name + "/" + name + ".env":                     "0640 root",
				"/usr/share/bash-completion/completions/" + name:         "0644 root",
				"/usr/share/fish/vendor_completions.d/" + name + ".fish": "0644 root",
				"/usr/share/doc/" + name + "/README.md":                  "0644 root",
				"/usr/share/doc/" + name + "/CHANGELOG.md":               "0644 root",
			}
			conf := []string{"/etc/" + name + "/" + name + ".env"}
			switch name {
			case "roomwatch":
				for page := range pages(t) {
					want["/usr/share/man/man1/"+page] = "0644 root"
				}
				for _, example := range []string{"nats.conf", "alerts.yml", "dashboard.json"} {
					want["/usr/share/doc/roomwatch/examples/"+example] = "0644 root"
				}
			case "roomnotify": // reads its rules as a user of its own
				want["/etc/roomnotify"], want["/etc/roomnotify/rules.yaml"] = "0755 root", "0644 root"
				conf = append(conf, "/etc/roomnotify/rules.yaml")
			}
			inRPM := maps.Clone(want)
			inRPM["/usr/share/licenses/"+name+"/LICENSE"], inRPM["/usr/share/zsh/site-functions/_"+name] = "0644 root", "0644 root"
			want["/usr/share/doc/"+name+"/copyright"], want["/usr/share/zsh/vendor-completions/_"+name] = "0644 root", "0644 root"
			if !maps.Equal(ofDeb, want) {
				t.Errorf("the deb has\n%s\nwant\n%s", lines(ofDeb), lines(want))
			}
			if !maps.Equal(ofRPM, inRPM) {
				t.Errorf("the rpm has\n%s\nwant\n%s", lines(ofRPM), lines(inRPM))
			}
			if slices.Sort(kept); !slices.Equal(kept, conf) {
				t.Errorf("an upgrade of the rpm keeps %q, want %q", kept, conf)
			}
			listed := command(t, "dpkg-deb", "--info", deb, "conffiles")
			if got := strings.Fields(listed); !slices.Equal(got, conf) {
				t.Errorf("an upgrade of the deb keeps %q, want %q", got, conf)
			}
			if other := command(t, "dpkg-deb", "--field", deb, "Package", "Version", "Architecture", "Recommends"); other != "Package: "+name+"\nVersion: 1.2.3\nArchitecture: amd64\nRecommends: ca-certificates\n" {
				t.Errorf("the deb is\n%s", other)
			}
		})
	}
}

// pages are the man pages that were made.
func pages(t *testing.T) map[string]bool {
	t.Helper()
	dir, err := made()
	if err != nil {
		t.Fatal(err)
	}
	list, err := filepath.Glob(dir + "/dist-man/*.1")
	if err != nil || len(list) < 5 {
		t.Fatalf("%d man pages, %v", len(list), err)
	}
	all := map[string]bool{}
	for _, path := range list {
		all[filepath.Base(path)] = true
	}
	return all
}

func lines(m map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(m)) {
		fmt.Fprintf(&b, "%s %s\n", m[k], k)
	}
	return b.String()
}

func command(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return string(out)
}

// What dpkg does with them: an edited file of variables outlives an upgrade, and the data
// outlives everything.
func TestPackageUpgrade(t *testing.T) {
	if os.Geteuid() != 0 {
		cannot(t, "not root: dpkg did not install the packages")
	}
	root := t.TempDir()
	for _, dir := range []string{"var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/roomwatch"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	put := func(path, text string, mode fs.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, path), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	put("var/lib/dpkg/status", "", 0o644)
	dpkg := func(args ...string) {
		t.Helper()
		command(t, append([]string{"dpkg", "--root=" + root, "--force-script-chrootless", "--force-confold", "--log=/dev/null"}, args...)...)
	}
	const edited = "ROOMWATCH_SDKAPPID=1400000000\n"
	has := func(path, want string) {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(root, path))
		if string(b) != want || want == "" && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is %q, %v, want %q", path, b, err, want)
		}
	}
	dpkg("--install", packed(t, "roomwatch", "deb", "1.2.3", nil))
	put("etc/roomwatch/roomwatch.env", edited, 0o640)
	put("etc/roomwatch/secret-key", "k", 0o600)
	put("var/lib/roomwatch/state.db", "state", 0o600)
	const fresh = "#ROOMWATCH_SDKAPPID=1\n"
	other := filepath.Join(t.TempDir(), "roomwatch.env")
	if err := os.WriteFile(other, []byte(fresh), 0o600); err != nil {
		t.Fatal(err)
	}
	dpkg("--install", packed(t, "roomwatch", "deb", "1.3.0", func(info *nfpm.Info) {
		for _, f := range info.Contents {
			if f.Destination == "/etc/roomwatch/roomwatch.env" {
				f.Source = other
			}
		}
	}))
	if v := command(t, "dpkg-query", "--admindir="+root+"/var/lib/dpkg", "-W", "-f", "${Version} ${Status}", "roomwatch"); v != "1.3.0 install ok installed" {
		t.Errorf("installed is %s", v)
	}
	has("etc/roomwatch/roomwatch.env", edited)
	has("etc/roomwatch/roomwatch.env.dpkg-dist", fresh)
	dpkg("--remove", "roomwatch")
	has("usr/bin/roomwatch", "")
	has("etc/roomwatch/roomwatch.env", edited)
	has("var/lib/roomwatch/state.db", "state")
	dpkg("--purge", "roomwatch")
	has("etc/roomwatch/roomwatch.env", "")
	has("etc/roomwatch/secret-key", "k")
	has("var/lib/roomwatch/state.db", "state")
}

// What the scripts of the packages ask of systemd, with the arguments that dpkg and rpm
// give them. The init system is a program that writes down what it is asked.
func TestPackageScripts(t *testing.T) {
	if os.Geteuid() != 0 {
		cannot(t, "not root: /run cannot be replaced")
	}
	dir, err := made()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.WriteFile(bin+"/systemctl", []byte("#!/bin/sh\necho \"$*\"\n[ \"$1\" != try-restart ]\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ script, args, want string }{
		{"postinstall", "configure", "daemon-reload"},
		{"postinstall", "configure 1.2.3", "daemon-reload, try-restart NAME.service"}, // which fails, and is not held against the package
		{"postinstall", "1", "daemon-reload"},
		{"postinstall", "2", "daemon-reload, try-restart NAME.service"},
		{"preremove", "upgrade 1.3.0", ""},
		{"preremove", "1", ""},
		{"preremove", "remove", "--no-reload disable --now NAME.service"},
		{"preremove", "0", "--no-reload disable --now NAME.service"},
		{"postremove", "remove", "daemon-reload"},
		{"postremove", "1", "daemon-reload"},
	} {
		for _, name := range programs {
			path := filepath.Join(dir, "dist-scripts", name+"."+tt.script)
			if tt.script == "postremove" {
				path = filepath.Join(top, "deploy/packages", tt.script)
			}
			run := func(prepare string, env ...string) string {
				t.Helper()
				cmd := exec.CommandContext(t.Context(), "unshare", append([]string{"--mount", "sh", "-ec", prepare + `; script=$1; shift; exec sh "$script" "$@"`, "sh", path}, strings.Fields(tt.args)...)...)
				cmd.Env = append([]string{"PATH=" + bin + ":" + os.Getenv("PATH")}, env...)
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Errorf("%s of %s %s: %v\n%s", tt.script, name, tt.args, err, out)
				}
				return strings.Join(strings.Split(strings.TrimSpace(string(out)), "\n"), ", ")
			}
			const booted = "mount -t tmpfs tmpfs /run; mkdir -p /run/systemd/system"
			if got, want := run(booted), strings.ReplaceAll(tt.want, "NAME", name); got != want {
				t.Errorf("%s of %s %s asks for %q, want %q", tt.script, name, tt.args, got, want)
			}
			// A root that is being made, and a machine with another init system.
			if got := run(booted, "DPKG_ROOT=/elsewhere") + run("mount -t tmpfs tmpfs /run"); got != "" {
				t.Errorf("%s of %s %s asks for %q where there is no systemd", tt.script, name, tt.args, got)
			}
		}
	}
}
