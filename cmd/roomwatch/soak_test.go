//go:build soak

package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"roomwatch/diff/logtest"
	"roomwatch/poller/simulator"
)

var soakFor = flag.Duration("soak.for", 10*time.Minute, "how long the soak lasts")

const (
	soakBreak  = 20 * time.Second // between two breakages
	soakSample = 2 * time.Second
)

// TestSoak lets everything happen at once for a long time: a service that fails,
// a list that moves, NATS that is restarted, readers of everything, an open page, and, in
// the first half, a daemon that is killed. At the end the stream is the truth,
// and the daemon that lived through the second half has grown in nothing.
//
//	go test -tags soak -run TestSoak -timeout 30m -v ./cmd/roomwatch
func TestSoak(t *testing.T) {
	var calm atomic.Bool
	faults := simulator.Random(5, 0.05,
		simulator.Fault{ErrorCode: 100001}, simulator.Fault{Status: http.StatusBadGateway}, simulator.Fault{CutBody: true},
		simulator.Fault{Drop: true}, simulator.Fault{LoopNext: true}, simulator.Fault{Hang: 2 * time.Second})
	r := newRig(t, simulator.Config{
		Seed: 9, Rooms: 400, Opens: 2, Enters: 150, Recreates: 0.2, Quota: -1, Next: simulator.NextRank,
		Fault: func(n int, req *http.Request) *simulator.Fault {
			if calm.Load() {
				return nil
			}
			return faults(n, req)
		},
	})
	addr := freeAddr(t)
	env := r.env(t.TempDir(), "ROOMWATCH_HTTP_ADDR="+addr, "ROOMWATCH_INTERVAL=1s", "ROOMWATCH_REQUESTS_PER_SECOND=100", "ROOMWATCH_REQUEST_TIMEOUT=1s")
	p := startProcess(t, env, "run")
	eventually(t, "the page", func() bool { code, _ := fetch(addr, "/"); return code == http.StatusOK })
	stopReaders, closePage := soakReaders(t, addr), soakPage(t, addr)

	rng := rand.New(rand.NewPCG(3, 4))
	began := time.Now()
	half := *soakFor / 2
	var killed, restarted int
	for time.Since(began) < half {
		<-time.After(soakBreak)
		if rng.IntN(2) == 0 {
			killed++
			p.kill()
			p = startProcess(t, env, "run")
		} else {
			restarted++
			r.restartNATS(time.Duration(rng.Int64N(int64(5 * time.Second))))
		}
	}
	eventually(t, "a daemon that works after all that", func() bool { code, _ := fetch(addr, "/readyz"); return code == http.StatusOK })
	var samples []soakPoint
	next := time.Now().Add(soakBreak)
	for time.Since(began) < *soakFor {
		<-time.After(soakSample)
		samples = append(samples, takeSoakPoint(t, addr))
		if time.Now().After(next) {
			restarted++
			r.restartNATS(time.Duration(rng.Int64N(int64(5 * time.Second))))
			next = time.Now().Add(soakBreak)
		}
	}
	reads := stopReaders()
	calm.Store(true)
	events := settle(t, r.nc, r.world)
	eventually(t, "a daemon that is ready", func() bool { code, _ := fetch(addr, "/readyz"); return code == http.StatusOK })
	<-time.After(2 * soakSample) // the page asks every two seconds
	t.Logf("the page: %s", closePage())
	status := p.stop()
	if status != 0 || t.Failed() {
		t.Errorf("exit status %d:\n%s", status, p.output)
	}
	early, late := soakMedians(samples[:len(samples)/3]), soakMedians(samples[2*len(samples)/3:])
	t.Logf("%v: %d kills, %d restarts of NATS, %d reads; %d events: %s", time.Since(began).Round(time.Second), killed, restarted, reads, len(events), count(events))
	t.Logf("first third of the second half: %v; last third: %v", early, late)
	if late.resident > early.resident*1.15 {
		t.Errorf("memory grew: %v, then %v", early, late)
	}
	if late.goroutines > early.goroutines+5 {
		t.Errorf("goroutines grew: %v, then %v", early, late)
	}
}

func (r *rig) restartNATS(away time.Duration) {
	r.stopNATS()
	<-time.After(away)
	r.startNATS()
}

// soakReaders reads what pages and scrapes read until stop is called, which
// returns how often.
func soakReaders(t *testing.T, addr string) (stop func() int64) {
	done, over := make(chan struct{}), make(chan struct{})
	var n atomic.Int64
	go func() {
		defer close(over)
		for {
			for _, path := range []string{"/", "/metrics", "/readyz", "/api/v1/status", "/api/v1/rooms?limit=200", "/api/v1/rooms?sort=name&q=live", "/api/v1/history"} {
				if code, body := fetch(addr, path); code == http.StatusInternalServerError {
					t.Errorf("GET %s: %s", path, body)
				}
				n.Add(1)
			}
			select {
			case <-done:
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	return func() int64 {
		close(done)
		<-over
		return n.Load()
	}
}

// soakPage keeps the status page open in a real browser until stop is called,
// which returns what it showed at the end.
func soakPage(t *testing.T, addr string) (stop func() string) {
	t.Helper()
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("no chromium: .ci/browser installs what this test needs")
	}
	if _, err := os.Stat("web/browsertest/node_modules"); err != nil {
		t.Fatalf("%v: .ci/browser installs what this test needs", err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "soak.mjs")
	cmd.Dir = "web/browsertest"
	cmd.Env = append(os.Environ(), "PAGE=http://"+addr+"/", "CHROMIUM="+chromium)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out logtest.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() string {
		t.Helper()
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Fatalf("browser: %v:\n%s", err, out.String())
		}
		var shown struct {
			Headline, Feed string
			Rows, Events   int
			Faults         []string
		}
		if err := json.Unmarshal([]byte(out.String()), &shown); err != nil {
			t.Fatalf("browser: %v:\n%s", err, out.String())
		}
		if shown.Headline != "Working" || shown.Feed != "live" || shown.Rows == 0 || shown.Events == 0 || len(shown.Faults) > 0 {
			t.Errorf("the page at the end: %+v", shown)
		}
		return out.String()
	}
}

// A soakPoint is what the daemon used at a moment.
type soakPoint struct {
	resident   float64 // MiB
	goroutines float64
}

func (p soakPoint) String() string {
	return fmt.Sprintf("%.1f MiB resident, %.0f goroutines", p.resident, p.goroutines)
}

func takeSoakPoint(t *testing.T, addr string) soakPoint {
	t.Helper()
	_, body := fetch(addr, "/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(body))
	if err != nil {
		t.Fatalf("metrics: %v", err)
	}
	gauge := func(name string) float64 {
		f := families[name]
		if f == nil {
			t.Fatalf("metrics without %s:\n%s", name, body)
		}
		return f.GetMetric()[0].GetGauge().GetValue()
	}
	return soakPoint{gauge("process_resident_memory_bytes") / (1 << 20), gauge("go_goroutines")}
}

// soakMedians returns the median of each figure.
func soakMedians(points []soakPoint) soakPoint {
	median := func(of func(soakPoint) float64) float64 {
		var all []float64
		for _, p := range points {
			all = append(all, of(p))
		}
		slices.Sort(all)
		return all[len(all)/2]
	}
	return soakPoint{
		median(func(p soakPoint) float64 { return p.resident }),
		median(func(p soakPoint) float64 { return p.goroutines }),
	}
}
