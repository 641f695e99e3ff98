package web

import (
	"context"
	"net/http"
	"sync"
	"time"

	"roomwatch/cmd/internal/serve"
)

const (
	historyStep   = 10 * time.Second
	historyPoints = 360
)

// A History is the answer of /api/v1/history.
type History struct {
	Step   int     `json:"step_seconds"`
	Points []Point `json:"points"` // oldest first
}

// A Point is how things stood at the end of a step, and what happened in it.
type Point struct {
	At      Time             `json:"at"`
	Rooms   uint64           `json:"rooms"`
	Missing uint64           `json:"missing"`
	Events  map[string]int64 `json:"events"`
	Sweep   *float64         `json:"sweep_seconds"` // of the newest sweep that became complete in it
	Outbox  uint64           `json:"outbox"`
}

// A history keeps the points of the last hour.
type history struct {
	mu     sync.Mutex
	points []Point
}

// run takes a point at the end of each step until ctx is done.
func (h *history) run(ctx context.Context, status func() Status) {
	tick := time.NewTicker(historyStep)
	defer tick.Stop()
	before := status()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := status()
		h.add(newPoint(before, now))
		before = now
	}
}

func newPoint(before, now Status) Point {
	p := Point{At: now.Now, Rooms: now.Rooms.Known, Missing: now.Rooms.Missing, Outbox: now.Outbox.Depth, Events: map[string]int64{}}
	for t, n := range now.Events {
		p.Events[t] = n - before.Events[t]
	}
	if c := now.LastComplete; c != nil && (before.LastComplete == nil || !before.LastComplete.Began.Equal(c.Began.Time)) {
		p.Sweep = &c.Duration
	}
	return p
}

func (h *history) add(p Point) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.points) == historyPoints {
		h.points = append(h.points[:0], h.points[1:]...)
	}
	h.points = append(h.points, p)
}

func (s *Server) showHistory(w http.ResponseWriter, _ *http.Request) {
	s.history.mu.Lock()
	points := append([]Point{}, s.history.points...)
	s.history.mu.Unlock()
	serve.Answer(w, http.StatusOK, History{Step: int(historyStep / time.Second), Points: points})
}
