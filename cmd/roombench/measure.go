package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"roomwatch/diff"
	"roomwatch/poller"
)

// sweepEvery is long enough for a sweep and all its events.
func sweepEvery(rooms int) time.Duration {
	return 5*time.Second + time.Duration(rooms)*100*time.Microsecond
}

// A nullSink is a reader of the list that keeps nothing.
type nullSink struct{ done context.CancelFunc }

func (nullSink) Page(context.Context, diff.Page) error { return nil }

func (n nullSink) End(_ context.Context, s diff.Sweep) (bool, error) {
	n.done()
	if !s.Complete {
		return false, errors.New("the sweep is not complete")
	}
	return false, nil
}

// readList reads the list of the stub at addr once, as roomwatch does, and
// keeps nothing of it.
func readList(ctx context.Context, addr string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	e, err := poller.ParseEndpoint(addr)
	if err != nil {
		return err
	}
	signer, err := poller.NewSigner(sdkAppID, "administrator", secretKey, 0)
	if err != nil {
		return err
	}
	p, err := poller.New(poller.Config{Endpoint: e, Signer: signer, RequestsPerSecond: 1e6})
	if err != nil {
		return err
	}
	return p.Run(ctx, nullSink{cancel})
}

// benchSweeps compares four sweeps of roomwatch with the bare reading.
func benchSweeps(ctx context.Context, rooms int) (err error) {
	r, err := newRig(ctx, rooms)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	bare, cpu, err := r.bareReading(ctx, 3)
	if err != nil {
		return err
	}
	fmt.Printf("%-34s %6.2f s                         CPU: reader %.2f s\n", fmt.Sprintf("bare reading of %d rooms", rooms), bare.Seconds(), cpu.Seconds())

	rep, err := r.report(ctx)
	if err != nil {
		return err
	}
	sweeps := len(rep.Sweeps) // so far: those of the bare reading
	p, err := r.roomwatch(ctx, "ROOMWATCH_REQUESTS_PER_SECOND=1000000", "ROOMWATCH_INTERVAL="+sweepEvery(rooms).String(), "ROOMWATCH_HTTP_ADDR=off")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	watch, stopWatch := context.WithCancel(ctx)
	defer stopWatch()
	go p.watchMemory(watch)
	var events uint64 = 1 // the writer's claim
	for i, c := range []struct {
		name   string
		change int
		events int
	}{
		{"first sweep", 0, rooms}, {"nothing changed", 0, 0}, {"1 % changed", rooms / 100, rooms / 100}, {"all changed", rooms, rooms},
	} {
		events += uint64(c.events)
		before, err := cpuTimes(p, r.stub, r.nats)
		if err != nil {
			return err
		}
		took, err := r.await(ctx, sweeps+i, c.change, events)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		after, err := cpuTimes(p, r.stub, r.nats)
		if err != nil {
			return err
		}
		fmt.Printf("%-34s %6.2f s   %.2f × bare reading   CPU: roomwatch %.2f s, stub %.2f s, nats-server %.2f s\n", c.name, took.Seconds(), took.Seconds()/bare.Seconds(),
			(after[0] - before[0]).Seconds(), (after[1] - before[1]).Seconds(), (after[2] - before[2]).Seconds())
	}
	fmt.Printf("%-34s %6.1f MiB without state.db's mapping\n", "peak resident memory", p.peakMiB())
	return nil
}

// bareReading returns the shortest of n readings, each in a process of its own,
// and the processor time of that process.
func (r *rig) bareReading(ctx context.Context, n int) (best, cpu time.Duration, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, 0, err
	}
	for range n {
		p, err := start(ctx, nil, self, "read", "-addr", r.stubURL)
		if err != nil {
			return 0, 0, err
		}
		if err := p.cmd.Wait(); err != nil {
			return 0, 0, fmt.Errorf("bare reading: %w", err)
		}
		rep, err := r.report(ctx)
		if err != nil {
			return 0, 0, err
		}
		s := rep.Sweeps[len(rep.Sweeps)-1]
		if d := s.End.Sub(s.Begin); best == 0 || d < best {
			best, cpu = d, p.cmd.ProcessState.UserTime()+p.cmd.ProcessState.SystemTime()
		}
	}
	return best, cpu, nil
}

// await plans the change of sweep number n and returns the time from its first
// request until its last page was sent and the stream had stored its last event.
func (r *rig) await(ctx context.Context, n, change int, events uint64) (time.Duration, error) {
	if err := r.plan(ctx, change); err != nil {
		return 0, err
	}
	for {
		if err := wait(ctx, pause); err != nil {
			return 0, err
		}
		rep, err := r.report(ctx)
		if err != nil {
			return 0, err
		}
		stored, at, err := r.last(ctx)
		if err != nil {
			return 0, err
		}
		if len(rep.Sweeps) > n {
			// This sweep has its change; the one after it, if this one should take
			// longer than the interval, is to have none.
			if err := r.plan(ctx, 0); err != nil {
				return 0, err
			}
		}
		if len(rep.Sweeps) <= n || rep.Sweeps[n].Requests < rep.Sweeps[0].Requests || stored < events {
			continue
		}
		if stored > events {
			return 0, fmt.Errorf("the stream has %d messages, expected %d", stored, events)
		}
		end := rep.Sweeps[n].End
		if at.After(end) {
			end = at
		}
		return end.Sub(rep.Sweeps[n].Begin), nil
	}
}

// benchQuota runs at the vendor's quota.
func benchQuota(ctx context.Context, rooms, sweeps, readers int) (err error) {
	r, err := newRig(ctx, rooms)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	p, err := r.roomwatch(ctx, "ROOMWATCH_HTTP_ADDR="+addr, "ROOMWATCH_INTERVAL=1s")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := r.plan(ctx, rooms/100); err != nil {
		return err
	}
	pages := (rooms + perPage - 1) / perPage
	if _, err := r.sweepDone(ctx, 0, pages); err != nil {
		return err
	}
	reading, stopReading := context.WithCancel(ctx)
	defer stopReading()
	for range readers {
		go readPage(reading, addr)
	}
	first, err := lag(ctx, addr)
	if err != nil {
		return err
	}
	cpu, err := cpuTime(p.cmd.Process.Pid)
	if err != nil {
		return err
	}
	began := time.Now()
	var used float64
	for n := 1; n <= sweeps; n++ {
		s, err := r.sweepDone(ctx, n, pages)
		if err != nil {
			return err
		}
		used += float64(s.Requests-1) / s.End.Sub(s.Begin).Seconds() / 10
	}
	now, err := cpuTime(p.cmd.Process.Pid)
	if err != nil {
		return err
	}
	wall := time.Since(began)
	all, err := lag(ctx, addr)
	if err != nil {
		return err
	}
	rep, err := r.report(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%d sweeps of %d rooms, 1 %% changed each, %d open pages\n", sweeps, rooms, readers)
	fmt.Printf("page read → stream's acknowledgement   median ≤ %s, 99 %% ≤ %s (%d events)\n",
		quantile(first, all, 0.5), quantile(first, all, 0.99), all.GetSampleCount()-first.GetSampleCount())
	fmt.Printf("quota used while a sweep runs          %.1f %% of 10 requests a second\n", 100*used/float64(sweeps))
	fmt.Printf("most requests in any second            %d\n", rep.MaxInSecond)
	fmt.Printf("CPU                                    %.2f %% of one core\n", 100*(now-cpu).Seconds()/wall.Seconds())
	return nil
}

// sweepDone waits until sweep n has been asked for its last page.
func (r *rig) sweepDone(ctx context.Context, n, pages int) (stubSweep, error) {
	for {
		if err := wait(ctx, pause); err != nil {
			return stubSweep{}, err
		}
		rep, err := r.report(ctx)
		if err != nil {
			return stubSweep{}, err
		}
		if len(rep.Sweeps) > n && rep.Sweeps[n].Requests == pages {
			return rep.Sweeps[n], nil
		}
	}
}

// lag reads the histogram of the time from a page's arrival to the stream's
// acknowledgement of its events.
func lag(ctx context.Context, addr string) (*dto.Histogram, error) {
	b, err := get(ctx, "http://"+addr+"/metrics")
	if err != nil {
		return nil, err
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(b)))
	if err != nil {
		return nil, err
	}
	f := families["roomwatch_publisher_detection_lag_seconds"]
	if f == nil {
		return nil, errors.New("the daemon has no lag histogram")
	}
	return f.GetMetric()[0].GetHistogram(), nil
}

// quantile returns the upper bound of the bucket that holds the q-quantile of
// what was added to a histogram between two looks.
func quantile(first, now *dto.Histogram, q float64) time.Duration {
	total := float64(now.GetSampleCount() - first.GetSampleCount())
	for i, b := range now.GetBucket() {
		if float64(b.GetCumulativeCount()-first.GetBucket()[i].GetCumulativeCount()) >= q*total {
			return time.Duration(b.GetUpperBound() * float64(time.Second))
		}
	}
	return time.Hour // beyond the last bucket
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
