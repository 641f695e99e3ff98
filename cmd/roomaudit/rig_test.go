package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/diff/logtest"
	"roomwatch/publisher/natstest"
)

// A rig is a NATS server with a stream, and a directory for a trail.
type rig struct {
	t    *testing.T
	port int
	dir  string // of the server
	srv  *server.Server
	js   jetstream.JetStream
	made jetstream.Stream
	next uint64 // the number of the next event
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, port: server.RANDOM_PORT, dir: t.TempDir(), next: 1}
	r.up()
	r.port = r.srv.Addr().(*net.TCPAddr).Port
	t.Cleanup(r.down)
	nc, err := nats.Connect(r.srv.ClientURL(), nats.MaxReconnects(-1), nats.ReconnectWait(20*time.Millisecond))
	must(t, err)
	t.Cleanup(nc.Close)
	r.js, err = jetstream.New(nc)
	must(t, err)
	natstest.AllowAnew(t, r.js)
	r.makeStream()
	return r
}

func (r *rig) makeStream() {
	r.t.Helper()
	var err error
	r.made, err = r.js.CreateStream(r.t.Context(), jetstream.StreamConfig{Name: "LIVE", Subjects: []string{"live.>"}, AllowDirect: true})
	must(r.t, err)
}

// up starts the server on the files and the port it had before.
func (r *rig) up() {
	r.t.Helper()
	r.srv = natstest.Start(r.t, func(o *server.Options) { o.Port, o.StoreDir = r.port, r.dir })
}

func (r *rig) down() {
	r.srv.Shutdown()
	r.srv.WaitForShutdown()
}

// publish stores n events, as roomwatch would.
func (r *rig) publish(n int) {
	r.t.Helper()
	for range n {
		stored := func() bool {
			ctx, cancel := context.WithTimeout(r.t.Context(), time.Second)
			defer cancel()
			_, err := r.js.Publish(ctx, "live.room.created.1400000000.x", event(r.next, fmt.Sprintf("r%d", r.next), "a <b> 房"), jetstream.WithMsgID(strconv.FormatUint(r.next, 10)))
			return err == nil
		}
		eventually(r.t, "an event is stored", stored) // an answer is lost with its connection
		r.next++
	}
}

func event(n uint64, room, name string) []byte {
	id, err := json.Marshal(room)
	if err == nil {
		var b []byte
		if b, err = json.Marshal(name); err == nil {
			return fmt.Appendf(nil, `{"specversion":"1.0","id":"01KAS8Z1Q2R3-%016[1]d","source":"/live/1400000000","type":"room.created","subject":%[2]s,"time":"2026-11-23T12:00:%02[4]dZ",`+
				`"sequence":"%016[1]d","datacontenttype":"application/json","data":{"room":{"RoomId":%[2]s,"RoomName":%[3]s,"Owner_Account":"o","CoverURL":"","Category":[1],"CreateTime":1,`+
				`"ActivityStatus":1,"ViewCount":7},"version":1,"sweep":1}}`, n, id, b, n%60)
		}
	}
	panic(err) // unreachable: strings encode
}

func (r *rig) env(dir string) []string {
	return []string{"ROOMAUDIT_HTTP_ADDR=off", "ROOMAUDIT_DIR=" + dir, "ROOMAUDIT_MAX_FILE_BYTES=20000", "NATS_URL=nats://127.0.0.1:" + strconv.Itoa(r.port)}
}

// wantAll waits until the trail has all events of the stream, and fails unless
// it has each once, in order, and is sound.
func (r *rig) wantAll(dir string) {
	r.t.Helper()
	eventually(r.t, "all events on record", func() bool { return len(recorded(r.t, dir)) >= int(r.next-1) })
	got := recorded(r.t, dir)
	info, err := r.made.Info(r.t.Context())
	must(r.t, err)
	for i := range info.State.LastSeq {
		m, err := r.made.GetMsg(r.t.Context(), i+1)
		must(r.t, err)
		if i >= uint64(len(got)) || got[i].Seq != m.Sequence || !bytes.Equal(got[i].Event, m.Data) || !got[i].Stored.Equal(m.Time) || got[i].Subject != m.Subject {
			r.t.Fatalf("message %d is not on record as it is", m.Sequence)
		}
	}
	if len(got) != int(info.State.LastSeq) {
		r.t.Fatalf("%d events on record, the stream has %d", len(got), info.State.LastSeq)
	}
	wantSound(r.t, dir)
}

// wantAllOf waits until the trail has so many messages.
func (r *rig) wantAllOf(dir string, n int) {
	r.t.Helper()
	eventually(r.t, "all messages on record", func() bool { return len(recorded(r.t, dir)) >= n })
}

// acknowledged waits until NATS knows that message seq is on record.
func (r *rig) acknowledged(seq uint64) {
	r.t.Helper()
	eventually(r.t, "all are acknowledged", func() bool {
		c, err := r.js.Consumer(r.t.Context(), "LIVE", "roomaudit")
		return err == nil && c.CachedInfo().AckFloor.Stream == seq
	})
}

func recorded(t *testing.T, dir string) []trail.Line {
	t.Helper()
	var all []trail.Line
	err := trail.Read(t.Context(), dir, 0, func(l trail.Line, _ []byte) error {
		if l.Seq > 0 {
			all = append(all, l)
		}
		return nil
	})
	if err != nil && !errors.Is(err, os.ErrNotExist) { // a file that is being compressed
		t.Fatal(err)
	}
	return all
}

func wantSound(t *testing.T, dir string) {
	t.Helper()
	_, err := trail.Verify(t.Context(), trail.Check{Dir: dir}, func(f trail.Fault) error { return errors.New(f.String()) })
	must(t, err)
}

var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "roomaudit-test")
	if err != nil {
		return "", err
	}
	bin := filepath.Join(dir, "roomaudit")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return bin, nil
})

// A process is the real binary.
type process struct {
	t      *testing.T
	cmd    *exec.Cmd
	out    *logtest.Buffer
	exited chan struct{}
}

func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	bin, err := build()
	must(t, err)
	p := &process{t: t, cmd: exec.Command(bin, args...), out: &logtest.Buffer{}, exited: make(chan struct{})} //nolint:noctx // killed by hand
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, p.out, p.out
	must(t, p.cmd.Start())
	go func() {
		_ = p.cmd.Wait() // the state tells how it ended
		close(p.exited)
	}()
	t.Cleanup(p.kill)
	return p
}

// ask runs the real binary until it ends, for tests that run beside others.
func ask(t *testing.T, dir string, args ...string) (status int, said string) {
	t.Helper()
	p := start(t, []string{"ROOMAUDIT_DIR=" + dir}, args...)
	return p.wait(), p.out.String()
}

// rounds is how often a test tries what chance decides: seldom where each costs much.
func rounds(many, few int) int {
	if testing.Short() {
		return few
	}
	return many
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.exited
}

func (p *process) wait() int {
	p.t.Helper()
	select {
	case <-p.exited:
	case <-time.After(20 * time.Second):
		p.t.Fatalf("still running:\n%s", p.out)
	}
	return p.cmd.ProcessState.ExitCode()
}

func (p *process) stop() {
	p.t.Helper()
	must(p.t, p.cmd.Process.Signal(syscall.SIGTERM))
	if status := p.wait(); status != 0 {
		p.t.Errorf("exit status %d:\n%s", status, p.out)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// eventually waits for a minute: what a daemon does twice a minute may fail the first time.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if ok() {
			return
		}
		<-time.After(20 * time.Millisecond)
	}
	t.Fatalf("never: %s", what)
}
