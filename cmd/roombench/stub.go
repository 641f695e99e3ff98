package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"roomwatch/diff"
)

const perPage = 20

// A stub serves a list that was made before it is asked for, so that its own
// work is small beside that of who reads it. POST /plan?change=N says how many
// view counts change when the next sweep begins; GET /report tells what was asked.
type stub struct {
	mu       sync.Mutex
	rooms    []diff.Room
	pages    [][]byte
	change   int
	next     int // where the next change begins
	arrivals []time.Time
	sweeps   []stubSweep
}

// A stubSweep is when a sweep asked for its first page and when its last one was sent.
type stubSweep struct {
	Begin, End time.Time
	Requests   int
}

// A report is what the stub saw.
type report struct {
	Sweeps []stubSweep
	// MaxInSecond is the largest number of requests in any second.
	MaxInSecond int
}

func serveStub(ctx context.Context, addr string, rooms int) error {
	s := &stub{}
	for i := range rooms {
		s.rooms = append(s.rooms, roomAt(i, rooms))
	}
	for i := 0; i < len(s.rooms); i += perPage {
		s.pages = append(s.pages, s.page(i/perPage))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v4/live_engine_http_srv/get_room_list", s.list)
	mux.HandleFunc("POST /plan", s.plan)
	mux.HandleFunc("GET /report", s.report)
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = srv.Close() })
	defer stop()
	if err := srv.Serve(l); ctx.Err() == nil {
		return err
	}
	return nil
}

func (s *stub) list(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	var body struct{ Next string }
	b, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(b, &body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	page, err := s.take(now, body.Next)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(page)
}

// take counts a request and returns its page.
func (s *stub) take(now time.Time, next string) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	if next == "" {
		s.turn()
		s.sweeps = append(s.sweeps, stubSweep{Begin: now})
	} else {
		var err error
		if n, err = strconv.Atoi(next); err != nil || n >= len(s.pages) {
			return nil, fmt.Errorf("no page %q", next)
		}
	}
	if len(s.sweeps) == 0 {
		return nil, fmt.Errorf("page %q before any first page", next)
	}
	s.arrivals = append(s.arrivals, now)
	last := &s.sweeps[len(s.sweeps)-1]
	last.End = now
	last.Requests++
	return s.pages[n], nil
}

// turn makes the planned changes, anew for each sweep. They keep the order: counts lie ten apart.
func (s *stub) turn() {
	n := s.change
	step := 1
	if n > 0 {
		step = max(1, len(s.rooms)/n)
	}
	stale := map[int]bool{}
	for i := range n {
		k := (s.next + i*step) % len(s.rooms)
		s.rooms[k].ViewCount++
		stale[k/perPage] = true
	}
	s.next++
	for p := range stale {
		s.pages[p] = s.page(p)
	}
}

// roomAt returns room i of a list of n, as the stub shows it at first.
func roomAt(i, n int) diff.Room {
	id := fmt.Sprintf("live_%08x", uint32(i)*2654435761)
	return diff.Room{
		RoomID: id, RoomName: "The room of " + id, OwnerAccount: "host_" + id, CoverURL: "https://covers.example.com/" + id + ".png",
		Category: []int64{1, 2, 3}, CreateTime: 1693271354, ActivityStatus: 1, ViewCount: int64(10 * (n - i)),
	}
}

func (s *stub) page(n int) []byte {
	type row struct {
		RoomName       string
		RoomId         string //nolint:revive // the API's name
		Owner_Account  string //nolint:revive // the API's name
		CoverURL       string
		Category       []int64
		CreateTime     int64
		ActivityStatus int64
		ViewCount      int64
	}
	first := n * perPage
	end := min(first+perPage, len(s.rooms))
	var rows []row
	for i := first; i < end; i++ {
		r := s.rooms[i]
		rows = append(rows, row{r.RoomName, r.RoomID, r.OwnerAccount, r.CoverURL, r.Category, r.CreateTime, r.ActivityStatus, r.ViewCount})
	}
	next := ""
	if end < len(s.rooms) {
		next = strconv.Itoa(n + 1)
	}
	b, err := json.Marshal(map[string]any{
		"ActionStatus": "OK", "ErrorInfo": "", "ErrorCode": 0, "RequestId": "Id-" + strconv.Itoa(n),
		"Response": map[string]any{"Next": next, "RoomList": rows},
	})
	if err != nil {
		panic(err) // unreachable: strings and numbers encode
	}
	return b
}

func (s *stub) plan(_ http.ResponseWriter, r *http.Request) {
	n, _ := strconv.Atoi(r.FormValue("change")) // a wrong number changes nothing, and the figures show it
	s.mu.Lock()
	defer s.mu.Unlock()
	s.change = n
}

func (s *stub) report(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = json.NewEncoder(w).Encode(report{Sweeps: s.sweeps, MaxInSecond: maxInSecond(s.arrivals)})
}

// maxInSecond returns the largest number of arrivals in any half-open second.
func maxInSecond(at []time.Time) int {
	most, first := 0, 0
	for i := range at {
		for at[i].Sub(at[first]) >= time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}
