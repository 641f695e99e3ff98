package test

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
	"github.com/nats-io/nats-server/v2/server"
	"golang.org/x/sys/unix"
	core "k8s.io/api/core/v1"
)

// Without an engine and a cluster, containers are run all the same: in a root that has the
// image and what is mounted, with the command and the variables as they are written. The
// network is one of their own, so that ports are as they are written, too; names of hosts
// lead to its loopback.

// inNetwork names the variable that tells the test that it runs in that network.
const inNetwork = "ROOMWATCH_DEPLOY_TEST_NETWORK"

// own runs the test that calls it once more, in a network and a mount namespace of its own,
// and returns true there.
func own(t *testing.T) bool {
	t.Helper()
	if dir := os.Getenv(inNetwork); dir != "" {
		return true
	}
	if os.Geteuid() != 0 {
		cannot(t, "not root: containers were not tried")
	}
	if text, err := exec.CommandContext(t.Context(), "unshare", "--mount", "--net", "true").CombinedOutput(); err != nil {
		cannot(t, "namespaces are not allowed here: containers were not tried: %v\n%s", err, text)
	}
	dir := filepath.Dir(program(t, "roomwatch")) // compiled where there is a network
	if out, err := helm(t, "version"); err != nil {
		t.Fatalf("helm: %v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "--net", os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "10m")
	cmd.Env = append(os.Environ(), inNetwork+"="+dir, "GOPROXY=off")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()+" ") {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// loopbackUp is what an engine does first with a new network.
func loopbackUp(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo); err != nil {
		t.Fatal(err)
	}
}

// A mount is a file or a directory of this machine in the container.
type mount struct {
	source, target string
	readOnly       bool
}

// A box is a container as far as its programs see it.
type box struct {
	image  image    // zero: that of Dockerfile
	args   []string // empty: those of the image
	bare   bool     // without the entrypoint of the image, as a health check is
	env    []string
	mounts []mount
	user   string // user:group; empty: that of the image
	groups string // besides its own
}

// mounted is what an engine does with the image and the mounts.
const mounted = `
root=$1 user=$2 groups=$3; shift 3
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
  mount --bind "$1" "$root$2"
  if [ "$3" = ro ]; then mount -o remount,bind,ro "$root$2"; fi
  shift 3
done
shift
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user" --groups="$groups" "$root" "$@"
`

// hosts are those that compose.yaml and the values of the chart name.
const hosts = "127.0.0.1 localhost nats roomwatch rw-roomwatch demo\n127.0.0.2 receiver\n127.0.0.3 simulator\n"

// command is the container's process.
func (b box) command(t *testing.T) *exec.Cmd {
	t.Helper()
	root := t.TempDir()
	try := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	if b.image.root == "" {
		b.image = imageFrom(t, dockerfile)
	}
	config := b.image.config
	try(copyTree(b.image.root, root, false, [2]int{}), os.MkdirAll(root+"/etc", 0o755), os.WriteFile(root+"/etc/hosts", []byte(hosts), 0o644))
	if b.user == "" {
		b.user = config.User
	}
	if len(b.args) == 0 {
		b.args = config.Cmd
	}
	if !b.bare {
		b.args = slices.Concat(config.Entrypoint, b.args)
	}
	args := []string{"--mount", "sh", "-ec", mounted, "sh", root, b.user, b.groups}
	for _, m := range b.mounts {
		info, err := os.Stat(m.source)
		try(err)
		at := filepath.Join(root, m.target)
		if info.IsDir() {
			try(os.MkdirAll(at, 0o755))
		} else if _, err := os.Stat(at); err != nil { // over a file of the image, which is a link, nothing is written
			try(os.MkdirAll(filepath.Dir(at), 0o755), os.WriteFile(at, nil, 0o600))
		}
		mode := "rw"
		if m.readOnly {
			mode = "ro"
		}
		args = append(args, m.source, m.target, mode)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "/usr/bin/unshare", slices.Concat(args, []string{"--"}, b.args)...)
	cmd.Env = slices.Concat(config.Env, b.env)
	// chroot looks for the program in the image, the shell for its tools here.
	for i, v := range cmd.Env {
		if v == "PATH=/" {
			cmd.Env[i] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin:/"
		}
	}
	return cmd
}

// ready returns nil when a program says at addr that it works.
func ready(t *testing.T, addr, path string) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addr+path, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", path, resp.Status)
	}
	return nil
}

// natsServer serves by options, or as nats.conf says at their port, and returns its URL.
func natsServer(t *testing.T, opts *server.Options, conf string, env map[string]string) string {
	t.Helper()
	if conf != "" {
		for name, value := range env {
			t.Setenv(name, value)
		}
		port, err := opts.Port, error(nil)
		if opts, err = server.ProcessConfigFile(conf); err != nil {
			t.Fatal(err)
		}
		if port == server.RANDOM_PORT {
			opts.Port = port
		}
	}
	opts.StoreDir, opts.NoSigs, opts.SyncAlways = t.TempDir(), true, false
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS does not serve")
	}
	return s.ClientURL()
}

// simulated is the service, at http://simulator:9000.
func simulated(t *testing.T) (end func()) {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), program(t, "roomwatch"), "simulator", "--addr", "127.0.0.3:9000")
	return started(t, cmd, func() error {
		_, err := get(t, "http://127.0.0.3:9000")
		return err
	})
}

const keyOfSimulator = "key-of-the-simulated-service"

// Each service of compose.yaml that runs our image becomes ready, beside the NATS server
// of nats.conf, with the files that the manual says to make.
func TestComposeContainers(t *testing.T) {
	if !own(t) {
		return
	}
	loopbackUp(t)
	t.Run("live", func(t *testing.T) {
		files := maps.Clone(secretFiles)
		files["secret_key"] = keyOfSimulator
		files["roomnotify.env"] = "NATS_PASSWORD=r\nHOOK_SECRET=whsec_dGhlIGRlbW8gaGFzIG5vdGhpbmcgdG8gaGlkZQ==\nSLACK_URL=https://receiver/slack\n"
		p, err := composed(t, files, "live notify audit")
		if err != nil {
			t.Fatal(err)
		}
		passwords := map[string]string{}
		for name, value := range p.Services["nats"].Environment {
			passwords[name] = *value
		}
		natsServer(t, &server.Options{Port: 4222}, bound(t, p.Services["nats"], "/etc/nats/nats.conf"), passwords)
		simulated(t)
		volumes := map[string]string{}
		for _, name := range []string{"roomwatch", "roomnotify", "roomaudit"} {
			composedService(t, p, p.Services[name], volumes)
		}
	})
	t.Run("demo", func(t *testing.T) {
		p, err := composed(t, nil, "demo")
		if err != nil {
			t.Fatal(err)
		}
		// In a network for all of them the receiver cannot have the demo's port.
		rules := filepath.Join(p.WorkingDir, "roomnotify", "demo.yaml")
		text, err := os.ReadFile(rules)
		if err != nil || !strings.Contains(string(text), "//receiver:8080/") {
			t.Fatalf("%v:\n%s", err, text)
		}
		if err := os.WriteFile(rules, []byte(strings.Replace(string(text), "//receiver:8080/", "//receiver:8079/", 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		received := make(chan string, 1)
		receiver(t, "127.0.0.2:8079", received)
		volumes := map[string]string{}
		for _, name := range []string{"demo", "roomnotify-demo", "roomaudit-demo"} {
			composedService(t, p, p.Services[name], volumes)
		}
		select {
		case path := <-received:
			if path != "/rooms" {
				t.Errorf("roomnotify sends to %s", path)
			}
		case <-time.After(30 * time.Second):
			t.Error("nothing was sent to the receiver")
		}
	})
}

// receiver serves webhooks, and passes on where the first came to.
func receiver(t *testing.T, addr string, received chan<- string) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case received <- r.URL.Path:
		default:
		}
	})}
	done := make(chan error, 1)
	go func() { done <- s.Serve(l) }()
	t.Cleanup(func() {
		_ = s.Close()
		<-done
	})
}

// bound is the file of this machine that a service has at a path.
func bound(t *testing.T, s types.ServiceConfig, target string) string {
	t.Helper()
	for _, v := range s.Volumes {
		if v.Target == target {
			return v.Source
		}
	}
	t.Fatalf("%s has no %s", s.Name, target)
	return ""
}

// boxOf is the container of a service. Its named volumes are those, and new ones are added.
func boxOf(t *testing.T, p *types.Project, s types.ServiceConfig, volumes map[string]string) box {
	t.Helper()
	b := box{args: s.Command}
	for name, value := range s.Environment {
		b.env = append(b.env, name+"="+*value)
	}
	for _, v := range s.Volumes {
		m := mount{source: v.Source, target: v.Target, readOnly: v.ReadOnly}
		if v.Type == types.VolumeTypeVolume {
			if volumes[v.Source] == "" {
				volumes[v.Source] = imageFrom(t, dockerfile).volume(t, v.Target)
			}
			m.source = volumes[v.Source]
		}
		b.mounts = append(b.mounts, m)
	}
	for _, secret := range s.Secrets {
		file := p.Secrets[secret.Source].File
		if err := os.Chmod(file, 0o444); err != nil { // as the manual says
			t.Fatal(err)
		}
		b.mounts = append(b.mounts, mount{file, "/run/secrets/" + secret.Source, true})
	}
	return b
}

// composedService runs a service until the test or it ends, and waits until it is ready.
func composedService(t *testing.T, p *types.Project, s types.ServiceConfig, volumes map[string]string) (end func()) {
	t.Helper()
	b := boxOf(t, p, s, volumes)
	addr := map[string]string{"roomwatch": "127.0.0.1:8080", "roomnotify": "127.0.0.1:8081", "roomaudit": "127.0.0.1:8082"}[s.Command[0]]
	end = started(t, b.command(t), func() error { return ready(t, addr, "/readyz") })
	if check := imageOf(t, dockerfile).Healthcheck.Test; s.Command[0] == "roomwatch" {
		health := box{bare: true, args: check[1:], env: b.env, mounts: b.mounts}
		if text, err := health.command(t).CombinedOutput(); err != nil {
			t.Errorf("%s: %q: %v\n%s", s.Name, check, err, text)
		}
	}
	return end
}

// Each container of the chart becomes ready by its own probes, with the volumes as the
// kubelet makes them; then the pod of `helm test` succeeds, and without roomwatch it fails.
func TestChartContainers(t *testing.T) {
	if !own(t) {
		return
	}
	loopbackUp(t)
	secrets := map[string]map[string]string{
		"roomwatch":      {"secret-key": keyOfSimulator, "http-token": "t", "webhook-token": "w"},
		"roomwatch-nats": {"password": "p"}, "notify-nats": {"password": "r", "ca.crt": ""}, "audit-nats": {"password": "s"},
		"roomnotify":   {"HOOK_SECRET": "whsec_dGhlIGRlbW8gaGFzIG5vdGhpbmcgdG8gaGlkZQ==", "SLACK_URL": "https://receiver/slack"},
		"audit-key":    {"key.pem": ""},
		"certificates": {"ca.pem": ""},
	}
	passwords := map[string]string{"ROOMWATCH_NATS_PASSWORD": "p", "SUBSCRIBER_NATS_PASSWORD": "q", "ROOMNOTIFY_NATS_PASSWORD": "r", "ROOMAUDIT_NATS_PASSWORD": "s"}
	secrets["audit-key"]["key.pem"] = signingKey(t)
	const plain = "nats.url=nats://nats:4222"
	for _, tt := range []struct {
		values string
		set    []string // what leads elsewhere than to this machine
		conf   string
	}{
		{"least", nil, ""},
		{"trial", []string{"secret.secretKey=" + keyOfSimulator}, ""},
		{"standby", []string{"nats.url=nats://nats"}, ""},
		{"callbacks", []string{"secret.secretKey=" + keyOfSimulator}, ""},
		{"programs", []string{plain, "roomaudit.nats.credsName=", "roomaudit.nats.passwordName=password", "roomnotify.nats.caName="}, "../nats/nats.conf"},
	} {
		t.Run(tt.values, func(t *testing.T) {
			r := rendered(t, chart+"/ci/"+tt.values+"-values.yaml", append(tt.set, "endpoint=http://simulator:9000", "sdkAppID=1400000000")...)
			simulated(t)
			if tt.values != "trial" { // which has a server within
				natsServer(t, &server.Options{JetStream: true, Port: 4222}, tt.conf, passwords)
			}
			runPod(t, r, secrets, &r.sets[0].Spec.Template, r.sets[0].Spec.VolumeClaimTemplates)
			for name, part := range r.parts {
				if name == "roomnotify" {
					runPod(t, partOf(r, part), secrets, &part.deployments[0].Spec.Template, nil)
				} else {
					runPod(t, partOf(r, part), secrets, &part.sets[0].Spec.Template, part.sets[0].Spec.VolumeClaimTemplates)
				}
			}
			test := podBox(t, r, secrets, &core.PodTemplateSpec{Spec: r.tests[0].Spec}, nil)
			if text, err := test.command(t).CombinedOutput(); err != nil {
				t.Errorf("helm test: %v\n%s", err, text)
			}
		})
	}
	r := rendered(t, chart+"/ci/least-values.yaml")
	if text, err := podBox(t, r, secrets, &core.PodTemplateSpec{Spec: r.tests[0].Spec}, nil).command(t).CombinedOutput(); err == nil {
		t.Errorf("helm test succeeds where nothing runs:\n%s", text)
	}
}

// signingKey is a private key, as `openssl genpkey -algorithm ed25519` writes it.
func signingKey(t *testing.T) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// partOf is a part of a release with the secrets of the whole.
func partOf(whole release, part *release) release {
	r := *part
	r.secrets = whole.secrets
	return r
}

// runPod runs the container of a pod until the test ends, and waits for its probes.
func runPod(t *testing.T, r release, secrets map[string]map[string]string, pod *core.PodTemplateSpec, claims []core.PersistentVolumeClaim) {
	t.Helper()
	runBox(t, podBox(t, r, secrets, pod, claims), pod)
}

// runBox does so with the box of the pod, until the test or it ends.
func runBox(t *testing.T, b box, pod *core.PodTemplateSpec) (end func()) {
	t.Helper()
	c := pod.Spec.Containers[0]
	addr := map[string]string{}
	for _, p := range c.Ports {
		addr[p.Name] = fmt.Sprintf("127.0.0.1:%d", p.ContainerPort)
	}
	end = started(t, b.command(t), func() error {
		startup, readiness := c.StartupProbe.HTTPGet, c.ReadinessProbe.HTTPGet
		return errors.Join(ready(t, addr[startup.Port.String()], startup.Path), ready(t, addr[readiness.Port.String()], readiness.Path))
	})
	if addr["webhook"] == "" {
		return end
	}
	// It answers there, and takes calls by POST alone.
	if err := ready(t, addr["webhook"], "/webhook"); err == nil || !strings.HasSuffix(err.Error(), ": 405 Method Not Allowed") {
		t.Errorf("at the port of the callbacks: %v", err)
	}
	return end
}

// podBox is the container of a pod, with its volumes as the kubelet makes them: owned by
// root and the group of fsGroup, with the modes of the volume.
func podBox(t *testing.T, r release, secrets map[string]map[string]string, pod *core.PodTemplateSpec, claims []core.PersistentVolumeClaim) box {
	t.Helper()
	c := pod.Spec.Containers[0]
	entries := func(name string) map[string]string {
		t.Helper()
		for _, s := range r.secrets {
			if s.Name == name {
				return s.StringData
			}
		}
		if secrets[name] == nil {
			t.Fatalf("no secret %s", name)
		}
		return secrets[name]
	}
	b := box{args: slices.Concat(c.Command, c.Args)}
	for _, from := range c.EnvFrom {
		for name, value := range entries(from.SecretRef.Name) {
			b.env = append(b.env, name+"="+value)
		}
	}
	for _, e := range c.Env {
		value := e.Value
		if e.ValueFrom != nil {
			ref := e.ValueFrom.SecretKeyRef
			value = entries(ref.Name)[ref.Key]
		}
		b.env = append(b.env, e.Name+"="+value)
	}
	if g := pod.Spec.SecurityContext.FSGroup; g != nil {
		b.groups = strconv.FormatInt(*g, 10)
	}
	dirs := map[string]string{}
	for _, claim := range claims {
		dirs[claim.Name] = groupDir(t, b.groups, 0o2775)
	}
	for _, v := range pod.Spec.Volumes {
		switch {
		case v.Secret != nil:
			files := entries(v.Secret.SecretName)
			if len(v.Secret.Items) > 0 {
				files = map[string]string{}
				for _, i := range v.Secret.Items {
					text, ok := entries(v.Secret.SecretName)[i.Key]
					if !ok {
						t.Fatalf("the secret %s has no %s: the pod would not start", v.Secret.SecretName, i.Key)
					}
					files[i.Path] = text
				}
			}
			dirs[v.Name] = projected(t, b.groups, files, os.FileMode(*v.Secret.DefaultMode))
		case v.ConfigMap != nil:
			i := slices.IndexFunc(r.maps, func(m *core.ConfigMap) bool { return m.Name == v.ConfigMap.Name })
			if i < 0 {
				t.Fatalf("no ConfigMap %s", v.ConfigMap.Name)
			}
			dirs[v.Name] = projected(t, b.groups, r.maps[i].Data, 0o644)
		default: // an empty directory, or a claim that exists
			dirs[v.Name] = groupDir(t, b.groups, 0o2777)
		}
	}
	for _, m := range c.VolumeMounts {
		b.mounts = append(b.mounts, mount{dirs[m.Name], m.MountPath, m.ReadOnly})
	}
	return b
}

// groupDir is an empty volume.
func groupDir(t *testing.T, group string, mode uint32) string {
	t.Helper()
	dir := t.TempDir()
	id, err := strconv.Atoi(group)
	if err := errors.Join(err, os.Chown(dir, 0, id), unix.Chmod(dir, mode)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// projected is a volume of files: they are links to a directory that one link names.
func projected(t *testing.T, group string, files map[string]string, mode os.FileMode) string {
	t.Helper()
	dir := groupDir(t, group, 0o2775)
	id, err := strconv.Atoi(group)
	if err := errors.Join(err, os.Mkdir(dir+"/..v1", 0o755), os.Symlink("..v1", dir+"/..data")); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		path := dir + "/..v1/" + name
		err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chown(path, 0, id), os.Chmod(path, mode|0o440), os.Symlink("..data/"+name, dir+"/"+name))
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
