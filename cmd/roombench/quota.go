package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"roomwatch/diff/retry"
)

// benchQuota runs at the vendor's quota.
func benchQuota(ctx context.Context, bins string, rooms, sweeps, readers int) (err error) {
	r, err := newRig(ctx, bins, rooms)
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
	defer openPages(ctx, addr, readers)()
	first, err := lag(ctx, addr)
	if err != nil {
		return err
	}
	cpu, err := cpuTime(p.cmd.Process.Pid)
	if err != nil {
		return err
	}
	began := time.Now()
	used, err := r.used(ctx, sweeps, pages)
	if err != nil {
		return err
	}
	now, err := cpuTime(p.cmd.Process.Pid)
	wall := time.Since(began)
	if err != nil {
		return err
	}
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
	fmt.Printf("quota used while a sweep runs          %.1f %% of 10 requests a second\n", 100*used)
	fmt.Printf("most requests in any second            %d\n", rep.MaxInSecond)
	fmt.Printf("CPU                                    %.2f %% of one core\n", 100*(now-cpu).Seconds()/wall.Seconds())
	return nil
}

// openPages reads like so many open pages, until stop is called.
func openPages(ctx context.Context, addr string, readers int) (stop func()) {
	ctx, stop = context.WithCancel(ctx)
	for range readers {
		go readPage(ctx, addr)
	}
	return stop
}

// used returns which part of the quota the next sweeps use while they run.
func (r *rig) used(ctx context.Context, sweeps, pages int) (float64, error) {
	var sum float64
	for n := 1; n <= sweeps; n++ {
		s, err := r.sweepDone(ctx, n, pages)
		if err != nil {
			return 0, err
		}
		sum += float64(s.Requests-1) / s.End.Sub(s.Begin).Seconds() / 10
	}
	return sum / float64(sweeps), nil
}

// sweepDone waits until sweep n has been asked for its last page.
func (r *rig) sweepDone(ctx context.Context, n, pages int) (stubSweep, error) {
	for {
		if err := retry.Sleep(ctx, pause); err != nil {
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
