package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goreleaser/goreleaser/v2/pkg/config"
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
	if len(c.SBOMs) == 0 || c.Checksum.Algorithm != "sha256" {
		t.Errorf("%d SBOMs, checksum %q", len(c.SBOMs), c.Checksum.Algorithm)
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
