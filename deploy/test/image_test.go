package test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
)

// Without an engine the lines of a Dockerfile are followed all the same: what COPY copies
// between stages, with modes and owners, and what RUN runs. All tests that run a container
// do so in the result, as its USER, ENTRYPOINT, CMD and ENV say.

// An image is what a Dockerfile makes.
type image struct {
	root   string // its files
	config *dockerspec.DockerOCIImageConfig
}

// authorities is the one file that is taken from the images that builds begin with. golang
// and alpine have it there; here it has the test's own authority.
const authorities = "/etc/ssl/certs/ca-certificates.crt"

// A runner does a RUN line of a stage: root is that of the stage, dir is its directory there.
type runner func(t *testing.T, root, dir, line string)

// imagesMade has the images that were made, by the name of the Dockerfile.
var imagesMade = struct {
	sync.Mutex
	of map[string]image
}{of: map[string]image{}}

// imageFrom is the image of a Dockerfile with the programs that the tests have compiled already.
func imageFrom(t *testing.T, dockerfile string) image {
	t.Helper()
	imagesMade.Lock()
	defer imagesMade.Unlock()
	if _, ok := imagesMade.of[dockerfile]; !ok {
		imagesMade.of[dockerfile] = build(t, dockerfile, compiled)
	}
	return imagesMade.of[dockerfile]
}

// build follows all stages of a Dockerfile. The result outlives the test.
func build(t *testing.T, dockerfile string, run runner) image {
	t.Helper()
	text, err := os.ReadFile(dockerfile)
	if err != nil {
		t.Fatal(err)
	}
	ast, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	stages, _, err := instructions.Parse(ast.AST, nil)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "image")
	if err != nil {
		t.Fatal(err)
	}
	roots := map[string]string{}
	var root string
	for i, stage := range stages {
		root = filepath.Join(dir, strconv.Itoa(i))
		err := os.Mkdir(root, 0o755)
		if stage.BaseName != "scratch" {
			err = errors.Join(err, os.MkdirAll(filepath.Dir(root+authorities), 0o755), os.WriteFile(root+authorities, authority().pem, 0o644))
		}
		if err := errors.Join(err, os.Chmod(root, 0o755)); err != nil {
			t.Fatal(err)
		}
		roots[stage.Name] = root
		follow(t, stage, roots, root, run)
	}
	return image{root, imageOf(t, dockerfile)}
}

// follow does the lines of one stage.
func follow(t *testing.T, stage instructions.Stage, roots map[string]string, root string, run runner) {
	t.Helper()
	dir := "/"
	for _, c := range stage.Commands {
		switch c := c.(type) {
		case *instructions.WorkdirCommand:
			dir = path.Join(dir, c.Path)
			if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
				t.Fatal(err)
			}
		case *instructions.RunCommand:
			run(t, root, filepath.Join(root, dir), strings.Join(c.CmdLine, " "))
		case *instructions.CopyCommand:
			to := c.DestPath
			if !path.IsAbs(to) {
				to = dir + "/" + to
			}
			for _, source := range c.SourcePaths {
				copied(t, c, roots, source, root+to)
			}
		}
	}
}

// copied does a COPY line for one of its sources.
func copied(t *testing.T, c *instructions.CopyCommand, roots map[string]string, source, to string) {
	t.Helper()
	platform, rest, ofPlatform := strings.Cut(source, "/")
	switch {
	case c.From != "" && roots[c.From] == "":
		t.Fatalf("COPY --from=%s: no stage is called so", c.From)
	case c.From != "":
		source = filepath.Join(roots[c.From], source)
	case ofPlatform && platform == "$TARGETPLATFORM": // of the context that goreleaser makes
		source = program(t, rest)
	default:
		copyFromContext(t, source, to)
		return
	}
	owner := [2]int{}
	if c.Chown != "" {
		if _, err := fmt.Sscanf(c.Chown, "%d:%d", &owner[0], &owner[1]); err != nil {
			t.Fatalf("COPY --chown=%s: %v", c.Chown, err)
		}
	}
	info, err := os.Stat(source)
	if err != nil {
		t.Fatalf("COPY %s: %v", source, err)
	}
	if !info.IsDir() && (strings.HasSuffix(to, "/") || len(c.SourcePaths) > 1) {
		to = filepath.Join(to, filepath.Base(source))
	}
	if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), copyTree(source, to, c.Chown != "", owner)); err != nil {
		t.Fatalf("COPY %s: %v", source, err)
	}
}

// copyTree copies a file, or a directory with all in it, with its modes. Files are links
// unless they get another owner.
func copyTree(from, to string, chown bool, owner [2]int) error {
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		at := filepath.Join(to, rel)
		info, err := d.Info()
		if err != nil {
			return err
		}
		if !d.IsDir() && !chown {
			return os.Link(p, at)
		}
		if d.IsDir() {
			err = os.MkdirAll(at, 0o755)
		} else {
			err = copyFile(p, at)
		}
		if !chown {
			s := info.Sys().(*syscall.Stat_t)
			owner = [2]int{int(s.Uid), int(s.Gid)}
		}
		if os.Geteuid() == 0 { // others cannot give a file away
			err = errors.Join(err, os.Chown(at, owner[0], owner[1]))
		}
		return errors.Join(err, os.Chmod(at, info.Mode()))
	})
}

// shell does a RUN line as it is, with /out in the stage.
func shell(t *testing.T, root, dir, line string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-ec", strings.ReplaceAll(line, "/out/", root+"/out/"))
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TARGETOS=linux", "TARGETARCH=", "VERSION=v1.2.3", "COMMIT=abcdef", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("RUN %s: %v\n%s", line, err, text)
	}
}

var goBuild = regexp.MustCompile(`go build .* -o (\S+) (.+)$`)

// compiled does a RUN line, but for what a compiler does: where go build puts programs, those
// are put that the tests have compiled.
func compiled(t *testing.T, root, dir, line string) {
	t.Helper()
	if line == "go mod download" {
		return
	}
	m := goBuild.FindStringSubmatch(line)
	if m == nil {
		shell(t, root, dir, line)
		return
	}
	for _, p := range strings.Fields(m[2]) {
		to := filepath.Join(root, m[1], path.Base(p))
		if err := errors.Join(os.MkdirAll(filepath.Dir(to), 0o755), os.Link(program(t, path.Base(p)), to)); err != nil {
			t.Fatal(err)
		}
	}
}

// volume makes a directory as a new volume takes it over from the image.
func (i image) volume(t *testing.T, target string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "volume")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(i.root, target))
	if errors.Is(err, fs.ErrNotExist) {
		return dir
	}
	if err != nil {
		t.Fatal(err)
	}
	s := info.Sys().(*syscall.Stat_t)
	if err := errors.Join(os.Chown(dir, int(s.Uid), int(s.Gid)), os.Chmod(dir, info.Mode())); err != nil {
		t.Fatal(err)
	}
	return dir
}

// volumes are those that an engine gives each container of the image.
func (i image) volumes(t *testing.T) (all []mount) {
	t.Helper()
	for target := range i.config.Volumes {
		all = append(all, mount{source: i.volume(t, target), target: target})
	}
	return all
}

// list has each file of the image with mode, owner and size.
func (i image) list(t *testing.T) string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(i.root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		s := info.Sys().(*syscall.Stat_t)
		size := info.Size()
		if d.IsDir() {
			size = 0
		}
		all = append(all, fmt.Sprintf("%s %d:%d %d %s", info.Mode(), s.Uid, s.Gid, size, strings.TrimPrefix(p, i.root)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, "\n")
}

// The build's own commands, on the files that its COPY lines let it have, make programs
// that need nothing around them; the image has them, and they work in it.
func TestImage(t *testing.T) {
	img := build(t, dockerfile, shell)
	for _, name := range programs {
		bin := filepath.Join(img.root, name)
		isStatic(t, bin)
		if text, err := exec.CommandContext(t.Context(), bin, "version").Output(); err != nil || !bytes.HasPrefix(text, []byte(name+" v1.2.3\ncommit abcdef\n")) {
			t.Errorf("version: %v\n%s", err, text)
		}
	}
	inContainer(t, img)
}

// The image of a release has the same files, and works as well.
func TestReleasedImage(t *testing.T) {
	img := imageFrom(t, dockerfile+".release")
	if got, want := img.list(t), imageFrom(t, dockerfile).list(t); got != want {
		t.Errorf("the image of a release has\n%s\nthe other one\n%s", got, want)
	}
	inContainer(t, img)
}

func inContainer(t *testing.T, img image) {
	t.Helper()
	if os.Geteuid() != 0 {
		cannot(t, "not root: the programs were not tried in a read-only root")
	}
	if text, err := exec.CommandContext(t.Context(), "unshare", "--mount", "true").CombinedOutput(); err != nil {
		cannot(t, "mount namespaces are not allowed here: the programs were not tried in a read-only root: %v\n%s", err, text)
	}
	addr, volumes := freeAddr(t), img.volumes(t)
	inside := func(env []string, args ...string) *exec.Cmd {
		t.Helper()
		env = append([]string{"ROOMWATCH_NATS_PORT=0", "ROOMWATCH_HTTP_ADDR=" + addr}, env...)
		return box{image: img, args: args, env: env, mounts: volumes}.command(t)
	}
	for _, name := range programs {
		if text, err := inside(nil, name, "version").CombinedOutput(); err != nil || !strings.HasPrefix(string(text), name+" ") {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
	}
	text, err := inside([]string{"ROOMWATCH_DATA_DIR=/elsewhere"}, "roomwatch", "demo").CombinedOutput()
	if err == nil || !strings.Contains(string(text), "read-only file system") {
		t.Errorf("the root can be written: %v\n%s", err, text)
	}
	health := func() *exec.Cmd {
		return box{image: img, bare: true, args: img.config.Healthcheck.Test[1:], env: []string{"ROOMWATCH_HTTP_ADDR=" + addr}, mounts: volumes}.command(t)
	}
	if text, err := health().CombinedOutput(); err == nil {
		t.Errorf("healthy without a daemon:\n%s", text)
	}
	runUntilHealthy(t, inside(nil, "roomwatch", "demo"), func() error {
		if text, err := health().CombinedOutput(); err != nil {
			return fmt.Errorf("healthcheck: %w\n%s", err, text)
		}
		return nil
	})
	if info, err := os.Stat(filepath.Join(volumes[0].source, "demo", "state.db")); err != nil || info.Size() == 0 {
		t.Errorf("state in the volume: %v", err)
	}
	// Without arguments it watches, and says what it lacks.
	if text, err := inside(nil).CombinedOutput(); err == nil || !strings.Contains(string(text), "ROOMWATCH_SDKAPPID") {
		t.Errorf("without arguments: %v\n%s", err, text)
	}
	trusts(t, img, volumes)
}

// trusts fails the test if the programs of the image do not know the authorities that it
// brings along: then no service could be asked over TLS.
func trusts(t *testing.T, img image, volumes []mount) {
	t.Helper()
	var asked atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{authority().server}, MinVersion: tls.VersionTLS12}
	s.StartTLS()
	defer s.Close()
	b := box{image: img, args: []string{"roomwatch", "check"}, mounts: volumes, env: []string{
		"ROOMWATCH_ENDPOINT=" + s.URL, "ROOMWATCH_SDKAPPID=1400000000", "ROOMWATCH_SECRET_KEY=k", "ROOMWATCH_HTTP_ADDR=127.0.0.1:0", "ROOMWATCH_NATS_PORT=0",
	}}
	text, _ := b.command(t).CombinedOutput() // it answers nothing of use
	if asked.Load() == 0 || bytes.Contains(text, []byte("x509")) {
		t.Errorf("a service over TLS was asked %d times:\n%s", asked.Load(), text)
	}
}

// An issuer is a certificate authority, and a server of 127.0.0.1 that it knows.
type issuer struct {
	pem    []byte
	server tls.Certificate
}

var authority = sync.OnceValue(func() issuer {
	try := func(err error) {
		if err != nil {
			panic(err) // unreachable: random numbers do not end
		}
	}
	signs := func(template, parent *x509.Certificate, key *ecdsa.PrivateKey, by *ecdsa.PrivateKey) []byte {
		template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(1), time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), by)
		try(err)
		return der
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	try(err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	try(err)
	ca := &x509.Certificate{Subject: pkix.Name{CommonName: "the test"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caDER := signs(ca, ca, caKey, caKey)
	leaf := signs(&x509.Certificate{Subject: pkix.Name{CommonName: "service"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, ca, key, caKey)
	return issuer{pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), tls.Certificate{Certificate: [][]byte{leaf}, PrivateKey: key}}
})
