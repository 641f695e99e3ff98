package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A process is a child that is stopped with SIGTERM.
type process struct {
	cmd *exec.Cmd

	mu   sync.Mutex
	peak int64 // bytes, without the mapping of state.db
}

func start(ctx context.Context, env []string, name string, args ...string) (*process, error) {
	p := prepare(ctx, env, name, args...)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(name), err)
	}
	return p, nil
}

// prepare returns a process that is not started yet.
func prepare(ctx context.Context, env []string, name string, args ...string) *process {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	return &process{cmd: cmd}
}

// stop ends the process and waits for it.
func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return p.cmd.Wait()
}

// watchMemory samples the resident memory until ctx is done.
func (p *process) watchMemory(ctx context.Context) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			n, err := resident(p.cmd.Process.Pid)
			if err != nil {
				continue // the process is gone
			}
			p.mu.Lock()
			p.peak = max(p.peak, n)
			p.mu.Unlock()
		}
	}
}

func (p *process) peakMiB() float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return float64(p.peak) / (1 << 20)
}

// resident returns the resident memory of a process without what it has mapped
// of state.db: those pages are the kernel's cache of the file.
func resident(pid int) (int64, error) {
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps", pid))
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	var sum int64
	counted := true
	sc := bufio.NewScanner(f)
	for sc.Scan() {
		line := sc.Text()
		fields := strings.Fields(line)
		switch {
		case len(fields) > 0 && strings.Contains(fields[0], "-"):
			counted = !strings.HasSuffix(line, "state.db")
		case counted && len(fields) == 3 && fields[0] == "Rss:":
			kb, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				return 0, err
			}
			sum += kb << 10
		}
	}
	return sum, sc.Err()
}

// cpuTime returns the processor time that a process has used.
func cpuTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The fields after the command's name, which may hold spaces.
	fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] { // utime, stime
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil // USER_HZ is 100 on Linux
}

// cpuTimes returns the processor times that processes have used so far.
func cpuTimes(ps ...*process) ([]time.Duration, error) {
	var times []time.Duration
	for _, p := range ps {
		t, err := cpuTime(p.cmd.Process.Pid)
		if err != nil {
			return nil, err
		}
		times = append(times, t)
	}
	return times, nil
}

func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown CPU"
	}
	for line := range strings.Lines(string(b)) {
		if name, ok := strings.CutPrefix(line, "model name\t: "); ok {
			return strings.TrimSpace(name)
		}
	}
	return "unknown CPU"
}
