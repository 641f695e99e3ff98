package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/goreleaser/goreleaser/v2/pkg/config"
	"gopkg.in/yaml.v3"
)

// The release's configuration is read as strictly as goreleaser reads it, and
// promises what the CI compiles.
func TestRelease(t *testing.T) {
	c, err := config.Load(top + "/.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Builds) != 3 {
		t.Fatalf("%d programs", len(c.Builds))
	}
	for _, b := range c.Builds {
		builds(t, b)
	}
	described := map[string]bool{}
	for _, s := range c.SBOMs { // by syft, in SPDX, if nothing else is said
		described[s.Artifacts] = s.Cmd == "" && len(s.Args) == 0 && len(s.Documents) == 0 && len(s.IDs) == 0
	}
	if !described["archive"] || !described["package"] {
		t.Errorf("archives and packages have no SBOM as the manual says: %+v", c.SBOMs)
	}
	if c.Checksum.NameTemplate != "checksums.txt" || c.Checksum.Algorithm != "sha256" || c.Checksum.Split || c.Checksum.Disable || len(c.Checksum.IDs) != 0 {
		t.Errorf("checksums %+v", c.Checksum)
	}
	if !strings.Contains(strings.Join(c.Builds[0].Ldflags, " "), "roomwatch/cmd/internal/program.releaseCommit=") {
		t.Error("roomwatch does not know its commit")
	}
}

// builds checks one program of the release.
func builds(t *testing.T, b config.Build) {
	t.Helper()
	var targets []string
	for _, os := range b.Goos {
		for _, arch := range b.Goarch {
			targets = append(targets, os+"/"+arch)
		}
	}
	out, err := exec.CommandContext(t.Context(), "bash", "-c", ". "+top+"/.ci/targets && echo $targets").Output()
	if err != nil {
		t.Fatal(err)
	}
	compiled := strings.Fields(string(out))
	slices.Sort(targets)
	slices.Sort(compiled)
	if len(targets) != 6 || !slices.Equal(targets, compiled) {
		t.Errorf("releases %q, the CI compiles %q", targets, compiled)
	}
	if !slices.Contains(b.Env, "CGO_ENABLED=0") || !slices.Contains(b.Flags, "-trimpath") || !strings.Contains(strings.Join(b.Ldflags, " "), "roomwatch/cmd/internal/program.releaseVersion=") {
		t.Errorf("build %+v", b)
	}
	if _, err := os.Stat(filepath.Join(top, b.Main, "main.go")); err != nil || filepath.Base(b.Main) != b.Binary {
		t.Errorf("%s from %s: %v", b.Binary, b.Main, err)
	}
}

// applied puts into the templates of the release what goreleaser would, strictly.
func applied(t *testing.T, text string, env map[string]string) string {
	t.Helper()
	parsed, err := template.New("").Option("missingkey=error").Funcs(template.FuncMap{
		"incpatch": func(string) string { return "1.2.4" },
		"isEnvSet": func(name string) bool { return env[name] != "" },
		"envOrDefault": func(name, other string) string {
			if v := env[name]; v != "" {
				return v
			}
			return other
		},
	}).Parse(text)
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	var b strings.Builder
	if err := parsed.Execute(&b, map[string]string{
		"Version": "1.2.3", "FullCommit": "abcdef", "ShortCommit": "abc", "CommitDate": "2026-11-30T00:00:00Z", "CommitTimestamp": "1700000000",
		"ConventionalFileName": "roomwatch_1.2.3_amd64.deb",
	}); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return b.String()
}

// Each template of the release is one, and names what goreleaser knows.
func TestReleaseTemplates(t *testing.T) {
	text, err := os.ReadFile(top + "/.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var file yaml.Node
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	templates := 0
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode && strings.Contains(n.Value, "{{") {
			templates++
			if _, err := time.Parse(time.RFC3339, applied(t, n.Value, nil)); n.Anchor == "mtime" && err != nil {
				t.Error(err)
			}
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	if walk(&file); templates < 10 {
		t.Errorf("%d templates", templates)
	}
}

// The image of a release: one is made only where it is said where it goes; it is for what
// is compiled, of all programs, and knows its version and commit.
func TestImageOfRelease(t *testing.T) {
	c, err := config.Load(top + "/.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.DockersV2) != 1 {
		t.Fatalf("%d images", len(c.DockersV2))
	}
	d := c.DockersV2[0]
	registry := map[string]string{"REGISTRY": "registry.example/live"}
	if without, with := applied(t, d.Disable, nil), applied(t, d.Disable, registry); without != "true" || with != "false" {
		t.Errorf("disabled without a registry: %s, with one: %s", without, with)
	}
	if len(d.Images) != 1 || len(d.Tags) != 1 || applied(t, d.Images[0], registry)+":"+applied(t, d.Tags[0], registry) != "registry.example/live/roomwatch:1.2.3" {
		t.Errorf("images %q, tags %q", d.Images, d.Tags)
	}
	var compiled []string
	for _, arch := range c.Builds[0].Goarch {
		compiled = append(compiled, "linux/"+arch)
	}
	if !slices.Equal(d.Platforms, compiled) || !slices.Equal(d.IDs, programs) || d.SBOM != "true" || len(d.Flags) != 0 || len(d.ExtraFiles) != 0 {
		t.Errorf("the image %+v", d)
	}
	args := map[string]string{}
	for name, value := range d.BuildArgs {
		args[name] = applied(t, value, registry)
	}
	checkImage(t, imageWith(t, filepath.Join(top, d.Dockerfile), args))
	tokens := c.Release.Disable
	if without, with := applied(t, tokens, nil), applied(t, tokens, map[string]string{"GITLAB_TOKEN": "x"}); without != "true" || with != "false" {
		t.Errorf("nothing is uploaded without a token: %s, with one: %s", without, with)
	}
}

// The archives: one for each target, of all programs; what else goes into them exists.
func TestReleasedArchives(t *testing.T) {
	c, err := config.Load(top + "/.goreleaser.yaml")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := made()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Archives) != 1 {
		t.Fatalf("%d archives of a target", len(c.Archives))
	}
	a := c.Archives[0]
	if len(a.IDs) != 0 || a.NameTemplate != "" || !slices.Equal(a.Formats, []string{"tar.gz"}) {
		t.Errorf("archives %+v", a)
	}
	if o := a.FormatOverrides; len(o) != 1 || o[0].Goos != "windows" || !slices.Equal(o[0].Formats, []string{"zip"}) {
		t.Errorf("archives of other systems %+v", o)
	}
	for _, f := range a.Files {
		from := top
		if strings.HasPrefix(f.Source, "dist-") {
			from = dir
		}
		if found, err := filepath.Glob(filepath.Join(from, f.Source)); err != nil || len(found) == 0 {
			t.Errorf("%s: %d files, %v", f.Source, len(found), err)
		}
	}
}
