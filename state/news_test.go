package state

import (
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"roomwatch/diff"
)

// The age of news is measured from what the service and the sweeps say, and the baseline is no news.
func TestNewsIsMeasured(t *testing.T) {
	registry := prometheus.NewRegistry()
	s, err := Open(Config{Path: newPath(t), SDKAppID: testApp, Policy: diff.DefaultPolicy(), Metrics: registry})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	began := second(8).Unix()
	sweep(t, s, 0, "a@1=0")
	commit(t, s, page(t, 12, fmt.Sprintf("a@1=0 b@%d=0", began)))
	if news := s.Status().News; news.Created.Events != 1 || news.Created.Median < 3*time.Second || news.Created.Median > 5*time.Second || news.Ended.Events != 0 {
		t.Errorf("a room that began 4 s ago: %+v", news)
	}
	sweep(t, s, 20, "a@1=0")
	for i := range 4 {
		sweep(t, s, float64(30+10*i), "a@1=0")
	}
	if news := s.Status().News; news.Ended.Events != 1 || news.Ended.Median < 10*time.Second {
		t.Errorf("a room that sweeps have missed: %+v", news)
	}
	if n, err := testutil.GatherAndCount(registry, "roomwatch_state_news_age_seconds"); n != 2 || err != nil {
		t.Errorf("%d series, %v", n, err)
	}
}

func TestLastHour(t *testing.T) {
	var h lastHour
	start := second(0)
	if a := h.age(start); a != (NewsAge{}) {
		t.Errorf("nothing happened: %+v", a)
	}
	for i := range 100 { // evenly between 0 and 10 s
		h.add(time.Duration(i)*100*time.Millisecond, start)
	}
	near := func(got, want time.Duration) bool { return (got - want).Abs() < 300*time.Millisecond }
	if a := h.age(start.Add(59 * time.Minute)); a.Events != 100 || !near(a.Median, 5*time.Second) || !near(a.P95, 9500*time.Millisecond) {
		t.Errorf("the last hour: %+v", a)
	}
	if a := h.age(start.Add(-time.Minute)); a.Events != 0 {
		t.Errorf("of the future: %+v", a)
	}
	h.add(time.Hour, start.Add(30*time.Minute))
	if a := h.age(start.Add(60 * time.Minute)); a != (NewsAge{1, 10 * time.Minute, 10 * time.Minute}) {
		t.Errorf("an hour later: %+v", a)
	}
	h.add(time.Second, start.Add(60*time.Minute)) // in the place of the first minute
	if a := h.age(start.Add(60 * time.Minute)); a.Events != 2 {
		t.Errorf("the place is used again: %+v", a)
	}
}
