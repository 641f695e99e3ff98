package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff/retry"
)

const (
	sdkAppID  = 88888888
	secretKey = "roombench" // of the stub, which does not look at it
	pause     = 100 * time.Millisecond
)

// A rig is the surroundings of a measurement: a directory, the binaries, the
// stub of the service and a nats-server.
type rig struct {
	dir     string
	bins    string // directory
	stubURL string
	natsURL string
	stub    *process
	nats    *process
	nc      *nats.Conn
	js      jetstream.JetStream
}

func newRig(ctx context.Context, bins string, rooms int) (_ *rig, err error) {
	dir, err := os.MkdirTemp("", "roombench")
	if err != nil {
		return nil, err
	}
	r := &rig{dir: dir, bins: bins}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if bins == "" {
		r.bins = dir
		if err := r.build(ctx); err != nil {
			return nil, err
		}
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	stubAddr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	r.stubURL = "http://" + stubAddr
	if r.stub, err = start(ctx, nil, self, "stub", "-addr", stubAddr, "-rooms", strconv.Itoa(rooms)); err != nil {
		return nil, err
	}
	natsAddr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	r.natsURL = "nats://" + natsAddr
	_, port, err := net.SplitHostPort(natsAddr)
	if err != nil {
		return nil, err
	}
	if r.nats, err = start(ctx, nil, r.bin("nats-server"), "-js", "-a", "127.0.0.1", "-p", port, "-sd", filepath.Join(dir, "nats"), "-l", filepath.Join(dir, "nats.log")); err != nil {
		return nil, err
	}
	return r, r.connect(ctx)
}

func (r *rig) bin(name string) string { return filepath.Join(r.bins, name) }

// build makes the binaries as they are released.
func (r *rig) build(ctx context.Context) error {
	for name, pkg := range map[string]string{"roomwatch": "roomwatch/cmd/roomwatch", "nats-server": "github.com/nats-io/nats-server/v2"} {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", r.bin(name), pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		cmd.Stderr = os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("build %s: %w", name, err)
		}
	}
	return nil
}

// connect waits until the stub and the server answer.
func (r *rig) connect(ctx context.Context) error {
	var err error
	for range 100 {
		if _, err = r.report(ctx); err == nil {
			r.nc, err = nats.Connect(r.natsURL)
		}
		if err == nil {
			r.js, err = jetstream.New(r.nc)
			return err
		}
		if err := retry.Sleep(ctx, pause); err != nil {
			return err
		}
	}
	return fmt.Errorf("wait for stub and nats-server: %w", err)
}

// roomwatch starts the daemon under test.
func (r *rig) roomwatch(ctx context.Context, env ...string) (*process, error) {
	return start(ctx, append([]string{
		"ROOMWATCH_SDKAPPID=" + strconv.Itoa(sdkAppID), "ROOMWATCH_SECRET_KEY=" + secretKey,
		"ROOMWATCH_ENDPOINT=" + r.stubURL, "NATS_URL=" + r.natsURL,
		"ROOMWATCH_DATA_DIR=" + filepath.Join(r.dir, "data"), "ROOMWATCH_LOG_LEVEL=warn",
	}, env...), r.bin("roomwatch"), "run")
}

func (r *rig) report(ctx context.Context) (report, error) {
	var rep report
	b, err := get(ctx, r.stubURL+"/report")
	if err != nil {
		return rep, err
	}
	return rep, json.Unmarshal(b, &rep)
}

// plan says how many view counts change when a sweep begins, from the next one on.
func (r *rig) plan(ctx context.Context, change int) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.stubURL+"/plan?"+url.Values{"change": {strconv.Itoa(change)}}.Encode(), nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// last returns how many events the stream has and when it stored its last message.
// Claims and the pulse, whose subjects have four tokens, are no events of rooms.
func (r *rig) last(ctx context.Context) (uint64, time.Time, error) {
	s, err := r.js.Stream(ctx, "LIVE")
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, time.Time{}, nil
	}
	if err != nil {
		return 0, time.Time{}, err
	}
	const others = "live.*.*.*"
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(others))
	if err != nil {
		return 0, time.Time{}, err
	}
	events := info.State.Msgs
	for _, n := range info.State.Subjects {
		events -= n
	}
	return events, info.State.LastTime, nil
}

// forget takes away what a daemon has left: its state and its stream.
func (r *rig) forget(ctx context.Context) error {
	return errors.Join(os.RemoveAll(filepath.Join(r.dir, "data")), r.js.DeleteStream(ctx, "LIVE"))
}

func (r *rig) close() error {
	if r.nc != nil {
		r.nc.Close()
	}
	var errs []error
	for _, p := range []*process{r.stub, r.nats} {
		if p == nil {
			continue
		}
		errs = append(errs, ignoreExit(p.stop()))
	}
	return errors.Join(append(errs, os.RemoveAll(r.dir))...)
}

// ignoreExit drops the exit status of a process that was told to stop.
func ignoreExit(err error) error {
	var ee *exec.ExitError
	if errors.As(err, &ee) {
		return nil
	}
	return err
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // returns at once
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func get(ctx context.Context, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return io.ReadAll(resp.Body)
}
