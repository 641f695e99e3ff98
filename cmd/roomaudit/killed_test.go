package main

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/diff/logtest"
)

// pastDays writes a trail of so many sealed files, one a day, of which the newest is
// some days old.
func pastDays(t *testing.T, c *config, files int) {
	t.Helper()
	log := c.logger(&logtest.Buffer{})
	key, err := c.signer(log)
	must(t, err)
	w, err := trail.Open(trail.Options{Dir: c.Dir, Key: key, Log: log})
	must(t, err)
	begin := time.Now().Add(-time.Duration(files+4) * 24 * time.Hour)
	must(t, w.Follow(trail.Position{Name: "OLD", Created: begin}, begin, ""))
	for n := range uint64(files) {
		at := begin.Add(time.Duration(n) * 24 * time.Hour)
		must(t, w.Append(at, []trail.Message{{Seq: 2*n + 2, Stored: at, Body: event(2*n+2, "r"+strconv.FormatUint(n%7, 10), "n")}})) // with a gap
	}
	must(t, w.Seal())
	must(t, w.Close())
}

// namesOf lists what has a suffix in a directory.
func namesOf(t *testing.T, dir, suffix string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	must(t, err)
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), suffix) {
			names = append(names, e.Name())
		}
	}
	return names
}

// killWhen kills the process as soon as it has come far enough.
func killWhen(t *testing.T, p *process, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("never: %s:\n%s", what, p.out)
		}
	}
	p.kill()
}

// The real binary is killed while it makes indexes: queries answer as if there were
// none, verify finds no fault, and nothing is left of what was not finished.
func TestKilledWhileIndexing(t *testing.T) {
	const files = 60
	r := newRig(t)
	dir := t.TempDir()
	pastDays(t, &config{Dir: dir, LogFormat: "text"}, files)
	rng := rand.New(rand.NewPCG(5, 6))
	amid, tries := 0, rounds(10, 4)
	for range tries {
		for _, name := range namesOf(t, dir, ".idx") {
			must(t, os.Remove(filepath.Join(dir, name)))
		}
		enough := rng.IntN(files - 5)
		killWhen(t, start(t, r.env(dir), "run"), "indexes", func() bool { return len(namesOf(t, dir, ".idx")) > enough })
		if n := len(namesOf(t, dir, ".idx")); n < files {
			amid++
		}
		wantSound(t, dir)
		_, want, gaps := call(t, dir, "query", "--room", "r3", "--scan", "--format", "json")
		if status, out, errs := call(t, dir, "query", "--room", "r3", "--format", "json"); want == "" || status != 0 || out != want || errs != gaps {
			t.Errorf("%d %s%s, want %s%s", status, out, errs, want, gaps)
		}
	}
	if amid < tries/2 {
		t.Errorf("only %d times it was killed amid the work", amid)
	}
	must(t, os.WriteFile(filepath.Join(dir, namesOf(t, dir, ".idx")[0]+".left.tmp"), nil, 0o600))
	p := start(t, r.env(dir), "run")
	eventually(t, "all indexes", func() bool { return len(namesOf(t, dir, ".idx")) == files && len(namesOf(t, dir, ".tmp")) == 0 })
	p.stop()
}

// The real binary is killed while it removes old files: what is gone is on record, and
// signed, at each moment, and the next start removes the rest.
func TestKilledWhileRemoving(t *testing.T) {
	const files = 150
	r := newRig(t)
	whole, keys := t.TempDir(), t.TempDir()
	private := filepath.Join(keys, "key.pem")
	public := writeKey(t, private)
	pastDays(t, &config{Dir: whole, KeyFile: private, LogFormat: "text"}, files)
	must(t, trail.Index(t.Context(), whole))
	all := namesOf(t, whole, ".gz")
	r.publish(5)
	rng := rand.New(rand.NewPCG(7, 8))
	amid, tries := 0, rounds(10, 4)
	for round := range tries {
		dir := filepath.Join(t.TempDir(), "audit")
		must(t, os.CopyFS(dir, os.DirFS(whole)))
		env := append(r.env(dir), "ROOMAUDIT_KEEP=48h", "ROOMAUDIT_KEY_FILE="+private, "ROOMAUDIT_DURABLE=round"+strconv.Itoa(round))
		one := filepath.Join(dir, all[rng.IntN(files/4)])
		killWhen(t, start(t, env, "run"), "removals", func() bool { _, err := os.Lstat(one); return err != nil })
		if n := len(namesOf(t, dir, ".gz")); n > 4 {
			amid++
		}
		sound := func(when string) {
			if status, out, errs := call(t, dir, "verify", "--public-key", public); status != 0 {
				t.Errorf("%s: %d %s%s", when, status, out, errs)
			}
		}
		sound("killed")
		p := start(t, env, "run")
		eventually(t, "the rest is removed", func() bool {
			return strings.Contains(p.out.String(), "roomaudit started") && len(namesOf(t, dir, ".gz")) <= 4
		})
		p.stop()
		sound("started again")
		if left := namesOf(t, dir, ".idx"); len(left) > 4 {
			t.Errorf("%d indexes are left", len(left))
		}
	}
	if amid < max(1, tries/5) {
		t.Errorf("only %d times it was killed amid the work", amid)
	}
}
