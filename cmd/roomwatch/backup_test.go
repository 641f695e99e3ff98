package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/roomwatch/web"
	"roomwatch/poller/simulator"
)

// backUp runs `roomwatch backup` and returns its exit status and what it says.
func (m *member) backUp(path string, more ...string) (int, string) {
	m.t.Helper()
	p := startProcess(m.t, append([]string{"ROOMWATCH_HTTP_ADDR=" + m.addr}, more...), "backup", path)
	return p.wait(20 * time.Second), p.output.String()
}

// What only the state knows, while NATS is away, comes back with a backup: a room that
// has begun and ended meanwhile. Its origin is gone, and the operator says so by
// ROOMWATCH_LEASE=0s. Each event is stored once, whoever was the writer.
func TestBackupBringsBackWhatWaits(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector does not see the binary")
	}
	t.Parallel()
	r := newRig(t, simulator.Config{Rooms: 30, Quota: -1})
	lost := r.member(t.TempDir())
	eventually(t, "the first events", func() bool { return stored(t, r.nc) >= 30 })
	r.stopNATS()
	if err := r.world.Open("short"); err != nil {
		t.Fatal(err)
	}
	is := func(state string) func() bool {
		return func() bool {
			_, body := fetch(lost.addr, "/api/v1/explain?room=short")
			return strings.Contains(body, `"state":"`+state+`"`)
		}
	}
	eventually(t, "the room's begin to wait", is(web.StateLive))
	if err := r.world.Close("short"); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the room's end to wait", is(web.StateEnded))
	data := t.TempDir()
	path := filepath.Join(data, "state.db")
	code, said := lost.backUp(path)
	if code != 0 || !strings.HasPrefix(said, path+": 30 rooms, ") || strings.Contains(said, " 0 events") {
		t.Fatalf("exit status %d: %s", code, said)
	}
	lost.kill()
	r.startNATS()
	next := r.member(data, "ROOMWATCH_LEASE=0s")
	next.became(t)
	eventually(t, "the events that waited", func() bool { return next.status().Outbox.Depth == 0 })
	if status := next.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, next.output)
	}
	var got []string
	for _, e := range readStream(t, r.nc) {
		if e.Data.Room.RoomID == "short" {
			got = append(got, e.Type)
		}
	}
	if strings.Join(got, " ") != "room.created room.ended" {
		t.Errorf("told of the room: %q\n%s", got, next.output)
	}
	if told := foldAll(t, readStream(t, r.nc)); told != "" {
		t.Error(told)
	}
}

// A backup that starts beside the roomwatch it was taken from stands by. An older one that
// starts after it, beside a newer stream, repeats nothing and forgets nothing.
func TestBackupBesideItsOrigin(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector does not see the binary")
	}
	t.Parallel()
	r := newRig(t, lively(simulator.NextRank))
	first := r.member(t.TempDir())
	eventually(t, "events", func() bool { return stored(t, r.nc) > 90 })
	dirs := []string{t.TempDir(), t.TempDir()}
	for _, dir := range dirs {
		if code, said := first.backUp(filepath.Join(dir, "state.db")); code != 0 {
			t.Fatalf("exit status %d: %s", code, said)
		}
	}
	newAPIProbe(t, first.addr).get(web.BackupPath, http.StatusOK)
	beside := r.member(dirs[0])
	eventually(t, "the copy to stand by", beside.warm)
	if !first.is(web.RoleWriter) {
		t.Errorf("the origin is the %s", first.status().Role)
	}
	if status := beside.stop() + first.stop(); status != 0 {
		t.Errorf("exit status %d", status)
	}
	later := r.member(dirs[1])
	later.became(t)
	before := stored(t, r.nc)
	eventually(t, "events of the older copy", func() bool { return stored(t, r.nc) > before+50 })
	if status := later.stop(); status != 0 {
		t.Errorf("exit status %d:\n%s", status, later.output)
	}
	if told := foldAll(t, readStream(t, r.nc)); told != "" {
		t.Error(told)
	}
}

// What cannot be copied leaves the older backup as it is, and nothing beside it.
func TestBackupFails(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector does not see the binary")
	}
	t.Parallel()
	r := newRig(t, simulator.Config{Rooms: 3, Quota: -1})
	m := r.member(t.TempDir(), "ROOMWATCH_HTTP_TOKEN=a-token-that-is-long-enough")
	eventually(t, "an answer", func() bool { code, _ := fetch(m.addr, "/healthz"); return code == http.StatusOK })
	dir := t.TempDir()
	path := filepath.Join(dir, "state.db")
	if err := os.WriteFile(path, []byte("older"), 0o600); err != nil {
		t.Fatal(err)
	}
	nobody := &member{&daemonProcess{t: t}, freeAddr(t)}
	token := "ROOMWATCH_HTTP_TOKEN=a-token-that-is-long-enough"
	for _, tt := range []struct {
		of   *member
		path string
		env  string
		want string
	}{
		{m, path, "ROOMWATCH_HTTP_TOKEN=another-token-of-that-length", "wants another token"},
		{nobody, path, token, "no roomwatch answers"},
		{m, filepath.Join(dir, "none", "state.db"), token, "no such file or directory"},
	} {
		if code, said := tt.of.backUp(tt.path, tt.env); code != 1 || !strings.Contains(said, tt.want) || strings.Contains(said, "long-enough") {
			t.Errorf("exit status %d, want %q in: %s", code, tt.want, said)
		}
	}
	left, err := os.ReadDir(dir)
	text, rerr := os.ReadFile(path)
	if err != nil || rerr != nil || len(left) != 1 || string(text) != "older" {
		t.Errorf("%v %v: %v %q", err, rerr, left, text)
	}
	if code, said := m.backUp("-", token); code != 0 || len(said) < 4096 {
		t.Errorf("standard output: exit status %d, %d bytes", code, len(said))
	}
}

// foldAll returns what contradicts itself in a stream.
func foldAll(t *testing.T, events []wireEvent) string {
	t.Helper()
	_, faults := fold(events)
	if len(faults) == 0 {
		return ""
	}
	return fmt.Sprintf("%d faults, the first: %v", len(faults), faults[0])
}
