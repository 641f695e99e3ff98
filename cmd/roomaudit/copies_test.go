package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"roomwatch/cmd/roomaudit/trail"
)

// The command is run for each sealed file until it ends well, and what it has taken is
// on record; before that no file is removed. It gets no secret.
func TestSealedCommand(t *testing.T) {
	t.Parallel() // it waits for the next try most of the time
	const files = 6
	r := newRig(t)
	dir, away := t.TempDir(), t.TempDir()
	pastDays(t, &config{Dir: dir, LogFormat: "text"}, files)
	r.publish(3)
	ready := filepath.Join(away, "ready")
	p := start(t, append(r.env(dir), "PATH="+os.Getenv("PATH"), "NATS_TOKEN=hush", "ROOMAUDIT_KEEP=48h", "AWAY="+away, "ROOMAUDIT_SEALED_COMMAND="+
		`test -e "$AWAY/ready" || { echo "the bucket is away" >&2; exit 3; }; cp "$SEALED_FILE" "$AWAY/" && echo "$SEALED_LAST file $SEALED_NUMBER" >> "$AWAY/witness"; env >> "$AWAY/env"`), "run")
	eventually(t, "a word about the command", func() bool { return strings.Contains(p.out.String(), "exit status 3: the bucket is away") })
	r.wantAllOf(dir, 3+files)
	if got := namesOf(t, dir, ".gz"); len(got) != files {
		t.Errorf("%d files are left of %d that were not copied", len(got), files)
	}
	must(t, os.WriteFile(ready, nil, 0o600))
	eventually(t, "all copies, and the old files removed", func() bool { return len(namesOf(t, away, ".gz")) >= files && len(namesOf(t, dir, ".gz")) < files })
	if status, said := ask(t, dir, "seal"); status != 0 {
		t.Error(said)
	}
	// The witness is written after the copy; a stop between the two is for the next start.
	eventually(t, "a copy of what was sealed last", func() bool {
		text, err := os.ReadFile(filepath.Join(away, "witness"))
		return err == nil && strings.Count(string(text), "\n") > files
	})
	p.stop()
	text, err := os.ReadFile(filepath.Join(away, "env"))
	if err != nil || strings.Contains(string(text), "hush") || strings.Contains(string(text), "ROOMAUDIT_") {
		t.Errorf("the command got %s, %v", text, err)
	}
	for _, args := range [][]string{{"verify", "--witness", filepath.Join(away, "witness")}, {"verify"}} {
		if status, said := ask(t, dir, args...); status != 0 {
			t.Errorf("%v: %d %s", args, status, said)
		}
	}
	if status, out := ask(t, away, "verify"); status != 0 || !strings.Contains(out, fmt.Sprintf("%d files, ", files+1)) {
		t.Errorf("the copies: %d %s", status, out)
	}
}

// The real binary is killed while its command runs: each file is copied, in order, and
// at most that of the kill once more.
func TestKilledWhileCopying(t *testing.T) {
	t.Parallel()
	const files, kills = 12, 6
	r := newRig(t)
	dir := t.TempDir()
	list := filepath.Join(t.TempDir(), "list")
	pastDays(t, &config{Dir: dir, LogFormat: "text"}, files)
	env := append(r.env(dir), "PATH="+os.Getenv("PATH"), "LIST="+list, "ROOMAUDIT_SEALED_COMMAND="+`sleep 0.02; echo "$SEALED_NUMBER" >> "$LIST"`)
	copied := func() (numbers []int) {
		text, _ := os.ReadFile(list)
		for _, field := range strings.Fields(string(text)) {
			n, err := strconv.Atoi(field)
			must(t, err)
			numbers = append(numbers, n)
		}
		return numbers
	}
	rng := rand.New(rand.NewPCG(9, 10))
	for range kills {
		p, n := start(t, env, "run"), len(copied())
		eventually(t, "a copy", func() bool { return len(copied()) > n })
		<-time.After(time.Duration(rng.IntN(30)) * time.Millisecond)
		p.kill()
		wantSound(t, dir)
	}
	p := start(t, env, "run")
	eventually(t, "all copies", func() bool { return slices.Contains(copied(), files) })
	p.stop()
	got := copied()
	if !slices.IsSorted(got) || len(got) > files+kills+1 {
		t.Errorf("copied %v", got)
	}
	if got = slices.Compact(got); len(got) < files || got[0] != 1 || got[files-1] != files {
		t.Errorf("copied %v", got)
	}
	wantSound(t, dir)
}

// A command that takes too long is killed with all that it has started, and says so.
func TestSealedCommandTakesTooLong(t *testing.T) {
	pid := filepath.Join(t.TempDir(), "pid")
	t.Setenv("PIDFILE", pid)
	u := newUpkeep(&config{SealedTimeout: time.Second, SealedCommand: `sleep 600 & echo $! > "$PIDFILE"; echo waiting; wait`}, nil, nil, nil)
	err := u.command(t.Context(), trail.File{Path: "x"}, trail.Place{})
	if err == nil || !strings.Contains(err.Error(), "ROOMAUDIT_SEALED_TIMEOUT (1s)") || !strings.HasSuffix(err.Error(), ": waiting") {
		t.Errorf("%v", err)
	}
	text, err := os.ReadFile(pid)
	must(t, err)
	n, err := strconv.Atoi(strings.TrimSpace(string(text)))
	must(t, err)
	eventually(t, "the end of what it started", func() bool {
		state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n))
		return errors.Is(syscall.Kill(n, 0), syscall.ESRCH) || err == nil && strings.Contains(string(state), ") Z ")
	})
}
