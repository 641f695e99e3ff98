package test

import (
	"os/exec"
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
	b := c.Builds[0]
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
	if !slices.Contains(b.Env, "CGO_ENABLED=0") || !slices.Contains(b.Flags, "-trimpath") || len(c.SBOMs) == 0 || c.Checksum.Algorithm != "sha256" {
		t.Errorf("build %+v, %d SBOMs, checksum %q", b, len(c.SBOMs), c.Checksum.Algorithm)
	}
	for _, variable := range []string{"main.releaseVersion=", "main.releaseCommit="} {
		if !strings.Contains(strings.Join(b.Ldflags, " "), variable) {
			t.Errorf("the build does not set %s", variable)
		}
	}
}
