package test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	core "k8s.io/api/core/v1"
)

// The steps of the manual by which files come back into a volume that was lost, followed to
// the letter: the tools of busybox are those of this machine.

// manual is what tells how to run roomwatch.
func manual(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// scripts are those that the manual gives to a container that has a volume at /data, in their
// order: what follows start in a line, up to the end of the quotes.
func scripts(t *testing.T, start string) (all []string) {
	t.Helper()
	for _, m := range regexp.MustCompile(`(?m)^    .*`+regexp.QuoteMeta(start)+` sh -ec '([^']+)'`).FindAllStringSubmatch(manual(t), -1) {
		all = append(all, m[1])
	}
	if len(all) == 0 {
		t.Fatalf("the manual has no step with %q", start)
	}
	return all
}

// busybox runs a script as user and groups where dir is /data.
func busybox(t *testing.T, dir, user, groups, script string, stdin []byte) {
	t.Helper()
	const inside = `mount --bind "$1" /mnt; exec chroot --userspec="$2" --groups="$3" / sh -ec "$4"`
	cmd := exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-ec", inside, "sh", dir, user, groups, strings.ReplaceAll(script, "/data", "/mnt"))
	cmd.Stdin = bytes.NewReader(stdin)
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, text)
	}
}

// A told is what `roomwatch verify` says of the stream.
type told struct{ Events, Epochs, Faults int }

// verified asks it as the subscriber of nats.conf does.
func verified(t *testing.T) (told, error) {
	t.Helper()
	b := box{args: []string{"roomwatch", "verify", "--json"}, env: []string{"NATS_URL=nats://nats:4222", "NATS_USER=subscriber", "NATS_PASSWORD=q"}}
	cmd := b.command(t)
	out, err := cmd.Output()
	var last struct{ Summary told }
	if i := bytes.LastIndexByte(bytes.TrimSpace(out), '\n'); err == nil {
		err = json.Unmarshal(out[i+1:], &last)
	}
	if err != nil {
		return told{}, fmt.Errorf("verify: %w: %s", err, out)
	}
	return last.Summary, nil
}

// settled waits until nothing has been told for a while, and returns what was.
func settled(t *testing.T) told {
	t.Helper()
	var last told
	err := within(func() error {
		now, err := verified(t)
		if err == nil && (now.Events == 0 || now != last) {
			err = fmt.Errorf("before %+v, now %+v", last, now)
		}
		last = now
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return last
}

// goesOn waits until more is told than before, and fails the test unless it continues the same epoch.
func goesOn(t *testing.T, before told) {
	t.Helper()
	var now told
	err := within(func() (err error) {
		if now, err = verified(t); err == nil && now.Events <= before.Events {
			err = errors.New("nothing more was told")
		}
		return err
	})
	if err != nil || now.Epochs != 1 || now.Faults != 0 {
		t.Errorf("before %+v, after the restore %+v: %v", before, now, err)
	}
}

// A volume of compose is lost: state and trail come back, the events go on in their epoch, and
// the record of them has no gap.
func TestRestoreCompose(t *testing.T) {
	if !own(t) {
		return
	}
	loopbackUp(t)
	files := maps.Clone(secretFiles)
	files["secret_key"] = keyOfSimulator
	p, err := composed(t, files, "live audit")
	if err != nil {
		t.Fatal(err)
	}
	passwords := map[string]string{}
	for name, value := range p.Services["nats"].Environment {
		passwords[name] = *value
	}
	natsServer(t, &server.Options{Port: 4222}, bound(t, p.Services["nats"], "/etc/nats/nats.conf"), passwords)
	world := simulated(t)
	volumes := map[string]string{}
	watch := composedService(t, p, p.Services["roomwatch"], volumes)
	audit := composedService(t, p, p.Services["roomaudit"], volumes)
	world() // so that nothing is told after the backup
	before := settled(t)
	backup, err := box{bare: true, args: []string{"/roomwatch", "backup", "-"}, env: boxOf(t, p, p.Services["roomwatch"], volumes).env, mounts: boxOf(t, p, p.Services["roomwatch"], volumes).mounts}.command(t).Output()
	if err != nil || len(backup) == 0 {
		t.Fatalf("backup: %d bytes, %v", len(backup), err)
	}
	trail, err := exec.CommandContext(t.Context(), "tar", "-c", "-C", volumes["roomaudit"]+"/audit", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	watch()
	audit()
	for volume, stdin := range map[string][]byte{"roomwatch": backup, "roomaudit": trail} {
		volumes[volume] = t.TempDir() // as the engine makes one for busybox
		for _, script := range scripts(t, "-v roomwatch_"+volume+":/data busybox:1.37") {
			busybox(t, volumes[volume], "0:0", "", script, stdin)
		}
	}
	simulated(t)
	composedService(t, p, p.Services["roomwatch"], volumes)
	composedService(t, p, p.Services["roomaudit"], volumes)
	goesOn(t, before)
	b := boxOf(t, p, p.Services["roomaudit"], volumes)
	b.args = []string{"roomaudit", "verify"}
	if text, err := b.command(t).CombinedOutput(); err != nil || !bytes.Contains(text, []byte(" 0 gaps on record")) {
		t.Errorf("the trail: %v\n%s", err, text)
	}
}

// The same with the claim of a pod.
func TestRestoreChart(t *testing.T) {
	if !own(t) {
		return
	}
	loopbackUp(t)
	secrets := map[string]map[string]string{"roomwatch": {"secret-key": keyOfSimulator, "http-token": "t"}}
	natsServer(t, &server.Options{JetStream: true, Port: 4222}, "", nil)
	r := rendered(t, chart+"/ci/least-values.yaml", "endpoint=http://simulator:9000")
	set := r.sets[0]
	world := simulated(t)
	b := podBox(t, r, secrets, &set.Spec.Template, set.Spec.VolumeClaimTemplates)
	watch := runBox(t, b, &set.Spec.Template)
	world()
	before := settled(t)
	asks := b
	asks.args, asks.bare = []string{"/roomwatch", "backup", "-"}, true
	backup, err := asks.command(t).Output()
	if err != nil || len(backup) == 0 {
		t.Fatalf("backup: %d bytes, %v", len(backup), err)
	}
	watch()
	claim, pod := ofManual(t)
	want := set.Spec.VolumeClaimTemplates[0]
	// The names are those of a release that is called roomwatch.
	if name := want.Name + "-roomwatch-0"; claim.Name != name || pod.Spec.Volumes[0].PersistentVolumeClaim.ClaimName != name ||
		!slices.Equal(claim.Spec.AccessModes, want.Spec.AccessModes) || claim.Spec.Resources.Requests.Storage().Cmp(*want.Spec.Resources.Requests.Storage()) != 0 {
		t.Errorf("the manual makes the claim %+v, the chart %+v", claim, want)
	}
	if a, b := asJSON(t, pod.Spec.SecurityContext), asJSON(t, set.Spec.Template.Spec.SecurityContext); a != b {
		t.Errorf("the pod of the manual is %s, that of the chart %s", a, b)
	}
	user := fmt.Sprintf("%d:%d", *pod.Spec.SecurityContext.RunAsUser, *pod.Spec.SecurityContext.RunAsGroup)
	group := fmt.Sprint(*pod.Spec.SecurityContext.FSGroup)
	restored := groupDir(t, group, 0o2775)
	for _, script := range scripts(t, "kubectl exec -i restore --") {
		busybox(t, restored, user, group, script, backup)
	}
	for i, m := range b.mounts {
		if m.target == pod.Spec.Containers[0].VolumeMounts[0].MountPath {
			b.mounts[i].source = restored
		}
	}
	simulated(t)
	runBox(t, b, &set.Spec.Template)
	goesOn(t, before)
	if info, err := os.Stat(filepath.Join(restored, "state.db")); err != nil || info.Size() == 0 {
		t.Errorf("the state is elsewhere: %v", err)
	}
}

// ofManual is what the manual has kubectl make.
func ofManual(t *testing.T) (*core.PersistentVolumeClaim, *core.Pod) {
	t.Helper()
	m := regexp.MustCompile(`(?s)\n    kubectl apply -f - <<'END'\n(.*?)\n    END\n`).FindStringSubmatch(manual(t))
	if m == nil {
		t.Fatal("the manual applies nothing")
	}
	var claim *core.PersistentVolumeClaim
	var pod *core.Pod
	for text := range strings.SplitSeq(strings.ReplaceAll(m[1], "\n    ", "\n"), "\n---\n") {
		o, _, err := decoder(t).Decode([]byte(strings.TrimPrefix(text, "    ")), nil, nil)
		if err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
		switch o := o.(type) {
		case *core.PersistentVolumeClaim:
			claim = o
		case *core.Pod:
			pod = o
		}
	}
	if claim == nil || pod == nil {
		t.Fatalf("the manual makes no claim, or no pod:\n%s", m[1])
	}
	return claim, pod
}
