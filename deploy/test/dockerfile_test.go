package test

import (
	"context"
	"debug/elf"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/moby/buildkit/client/llb/sourceresolver"
	"github.com/moby/buildkit/frontend/dockerfile/dockerfile2llb"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/opencontainers/go-digest"
)

const dockerfile = "../Dockerfile"

// golangImage stands in for the registry: the image that the build starts from.
type golangImage struct{}

func (golangImage) ResolveImageConfig(_ context.Context, ref string, _ sourceresolver.Opt) (string, digest.Digest, []byte, error) {
	config := []byte(`{"architecture":"amd64","os":"linux","config":{"Env":["PATH=/usr/local/go/bin:/usr/bin:/bin"],"WorkingDir":"/go"}}`)
	return ref, digest.FromBytes(config), config, nil
}

// What `docker build --check` says, and what the image will be. That of a release, of
// programs that are compiled already, is no other.
func TestDockerfile(t *testing.T) {
	image, released := imageOf(t, dockerfile), imageOf(t, dockerfile+".release")
	checkImage(t, image)
	if a, b := asJSON(t, image), asJSON(t, released); a != b {
		t.Errorf("the image of a release is another:\n%s\n%s", a, b)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func imageOf(t *testing.T, path string) *dockerspec.DockerOCIImageConfig {
	t.Helper()
	return imageWith(t, path, map[string]string{"VERSION": "v1.2.3", "COMMIT": "abcdef"})
}

func imageWith(t *testing.T, path string, args map[string]string) *dockerspec.DockerOCIImageConfig {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	opt := dockerfile2llb.ConvertOpt{
		MetaResolver: golangImage{},
		Warn: func(rule, _, _, detail string, at []parser.Range) {
			t.Errorf("line %d: %s: %s", at[0].Start.Line, rule, detail)
		},
	}
	opt.BuildArgs = args
	result, err := dockerfile2llb.Dockerfile2LLB(t.Context(), text, opt)
	if err != nil {
		t.Fatal(err)
	}
	return &result.Image.Config
}

func checkImage(t *testing.T, c *dockerspec.DockerOCIImageConfig) {
	t.Helper()
	if c.User != "65532:65532" {
		t.Errorf("runs as %q; Kubernetes can tell that it is not root from a number alone", c.User)
	}
	if _, ok := c.Volumes["/data"]; !ok || !slices.Contains(c.Env, "ROOMWATCH_DATA_DIR=/data") {
		t.Errorf("volumes %v, environment %q", c.Volumes, c.Env)
	}
	if c.Healthcheck == nil || !slices.Equal(c.Healthcheck.Test, []string{"CMD", "/roomwatch", "healthcheck"}) {
		t.Errorf("healthcheck %+v", c.Healthcheck)
	}
	if len(c.Entrypoint) != 0 || !slices.Equal(c.Cmd, []string{"roomwatch", "run"}) || !slices.Contains(c.Env, "PATH=/") {
		t.Errorf("runs %q %q in %q; the program has to be the first argument", c.Entrypoint, c.Cmd, c.Env)
	}
	if c.Labels["org.opencontainers.image.version"] != "v1.2.3" || c.Labels["org.opencontainers.image.revision"] != "abcdef" {
		t.Errorf("labels %v", c.Labels)
	}
}

// copyFromContext copies what the .dockerignore leaves of a path.
func copyFromContext(t *testing.T, source, dest string) {
	t.Helper()
	f, err := os.Open(dockerfile + ".dockerignore")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	patterns, err := ignorefile.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	ignore, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	copied := 0
	err = filepath.WalkDir(filepath.Join(top, source), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(top, path)
		if err != nil {
			return err
		}
		if ignored, err := ignore.MatchesOrParentMatches(rel); err != nil || ignored {
			return err
		}
		to := filepath.Join(dest, filepath.Base(path))
		if inside, err := filepath.Rel(source, rel); err == nil && inside != "." {
			to = filepath.Join(dest, inside)
		}
		copied++
		return copyFile(path, to)
	})
	if err != nil || copied == 0 {
		t.Fatalf("COPY %s: %d files, %v", source, copied, err)
	}
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o755)
}

// isStatic fails the test if the program needs a loader or a library.
func isStatic(t *testing.T, path string) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the program needs a loader")
		}
	}
	if libs, err := f.ImportedLibraries(); len(libs) > 0 {
		t.Errorf("the program needs %q, %v", libs, err)
	}
}
