package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"roomwatch/diff"
	"roomwatch/diff/retry"
	"roomwatch/poller"
)

// sweepEvery is long enough for a sweep and all its events, and a bare reading.
func sweepEvery(rooms int) time.Duration {
	return time.Second + time.Duration(rooms)*100*time.Microsecond
}

// A nullSink is a reader of the list that keeps nothing.
type nullSink struct{ done context.CancelFunc }

func (nullSink) Page(context.Context, diff.Page) ([]diff.Room, error) { return nil, nil }

func (nullSink) Probe(context.Context, diff.Page) ([]diff.Room, error) { return nil, nil }

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

// A sample is one measurement: how long it took, how long the bare reading right
// before it took, and the processor times of roomwatch (or of the bare reader), the
// stub and the nats-server meanwhile.
type sample struct {
	took, bare time.Duration
	cpu        [3]time.Duration
}

// ratio is how often the bare reading goes into it. What else the machine does
// changes by the minute and falls on both.
func (s sample) ratio() float64 { return s.took.Seconds() / s.bare.Seconds() }

// benchSweeps compares four kinds of sweeps of roomwatch, and what no program can
// undercut, with the bare reading.
func benchSweeps(ctx context.Context, bins string, rooms, rounds int) (err error) {
	r, err := newRig(ctx, bins, rooms)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	names := []string{fmt.Sprintf("bare reading of %d rooms", rooms), "reading beside ready events", "first sweep", "nothing changed", "1 % changed", "all changed"}
	samples := make([][]sample, len(names))
	var peak float64
	for range rounds {
		bare, err := r.bareReading(ctx)
		if err != nil {
			return fmt.Errorf("bare reading: %w", err)
		}
		floor, err := r.floor(ctx, rooms)
		if err != nil {
			return fmt.Errorf("reading beside ready events: %w", err)
		}
		floor.bare = bare.took
		samples[0] = append(samples[0], bare)
		sweeps, mib, err := r.round(ctx, rooms)
		if err != nil {
			return err
		}
		for i, s := range append([]sample{floor}, sweeps...) {
			samples[i+1] = append(samples[i+1], s)
		}
		peak = max(peak, mib)
	}
	fmt.Printf("%-34s %14s   ratio                processor time, s\n", fmt.Sprintf("median of %d (least, most)", rounds), "s")
	for i, name := range names {
		took := spread(samples[i], func(s sample) float64 { return s.took.Seconds() })
		fmt.Printf("%-34s %s", name, took)
		processes := []string{"roomwatch", "stub", "nats-server"}
		if i == 0 {
			fmt.Printf("   %-18s", "")
			processes = processes[:1]
		} else {
			fmt.Printf("   %s ×", spread(samples[i], sample.ratio))
		}
		for j, process := range processes {
			fmt.Printf("   %s %.2f", process, median(samples[i], func(s sample) float64 { return s.cpu[j].Seconds() }))
		}
		fmt.Println()
	}
	fmt.Printf("%-34s %.1f MiB without state.db's mapping\n", "peak resident memory", peak)
	return nil
}

// round measures a first sweep and what follows, with a new state and a new
// stream, and the peak of the resident memory in MiB.
func (r *rig) round(ctx context.Context, rooms int) (samples []sample, mib float64, err error) {
	var p *process
	defer func() {
		if p != nil {
			err = errors.Join(err, ignoreExit(p.stop()), r.forget(ctx))
		}
	}()
	watch, stopWatch := context.WithCancel(ctx)
	defer stopWatch()
	var events uint64
	for _, c := range []struct {
		name   string
		change int
		events int
	}{
		{"first sweep", 0, rooms}, {"nothing changed", 0, 0}, {"1 % changed", rooms / 100, rooms / 100}, {"all changed", rooms, rooms},
	} {
		bare, err := r.bareReading(ctx) // roomwatch waits for its interval meanwhile
		if err != nil {
			return nil, 0, fmt.Errorf("bare reading: %w", err)
		}
		rep, err := r.report(ctx)
		if err != nil {
			return nil, 0, err
		}
		if p == nil {
			p, err = r.roomwatch(ctx, "ROOMWATCH_REQUESTS_PER_SECOND=1000000", "ROOMWATCH_INTERVAL="+sweepEvery(rooms).String(), "ROOMWATCH_HTTP_ADDR=off")
			if err != nil {
				return nil, 0, err
			}
			go p.watchMemory(watch)
		}
		events += uint64(c.events)
		before, err := cpuTimes(p, r.stub, r.nats)
		if err != nil {
			return nil, 0, err
		}
		s := sample{bare: bare.took}
		if s.took, err = r.await(ctx, len(rep.Sweeps), c.change, events); err != nil {
			return nil, 0, fmt.Errorf("%s: %w", c.name, err)
		}
		after, err := cpuTimes(p, r.stub, r.nats)
		if err != nil {
			return nil, 0, err
		}
		for j := range s.cpu {
			s.cpu[j] = after[j] - before[j]
		}
		samples = append(samples, s)
	}
	return samples, p.peakMiB(), nil
}

func sorted(samples []sample, of func(sample) float64) []float64 {
	var fs []float64
	for _, s := range samples {
		fs = append(fs, of(s))
	}
	slices.Sort(fs)
	return fs
}

func median(samples []sample, of func(sample) float64) float64 {
	return sorted(samples, of)[len(samples)/2]
}

// spread shows the median, the least and the most.
func spread(samples []sample, of func(sample) float64) string {
	fs := sorted(samples, of)
	return fmt.Sprintf("%.2f (%.2f, %.2f)", median(samples, of), fs[0], fs[len(fs)-1])
}

// bareReading measures a reading of the list in a process of its own.
func (r *rig) bareReading(ctx context.Context) (sample, error) {
	self, err := os.Executable()
	if err != nil {
		return sample{}, err
	}
	p, err := start(ctx, nil, self, "read", "-addr", r.stubURL)
	if err != nil {
		return sample{}, err
	}
	if err := p.cmd.Wait(); err != nil {
		return sample{}, err
	}
	rep, err := r.report(ctx)
	if err != nil {
		return sample{}, err
	}
	last := rep.Sweeps[len(rep.Sweeps)-1]
	cpu := p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime()
	return sample{took: last.End.Sub(last.Begin), cpu: [3]time.Duration{cpu}}, nil
}

// await plans the change of sweep number n and returns the time from its first
// request until its last page was sent and the stream had stored its last event.
func (r *rig) await(ctx context.Context, n, change int, events uint64) (time.Duration, error) {
	if err := r.plan(ctx, change); err != nil {
		return 0, err
	}
	for {
		if err := retry.Sleep(ctx, pause); err != nil {
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
			return 0, fmt.Errorf("the stream has %d events, expected %d", stored, events)
		}
		end := rep.Sweeps[n].End
		if at.After(end) {
			end = at
		}
		return end.Sub(rep.Sweeps[n].Begin), nil
	}
}
