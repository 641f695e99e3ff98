package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"roomwatch/diff"
)

const perPage = 20

// A stub serves a list that was made before it is asked for, so that its own
// work is small beside that of who reads it. POST /plan?change=N says how many
// view counts change whenever a sweep begins from now on; GET /report tells what
// was asked.
type stub struct {
	mu     sync.Mutex
	now    list
	coming *list // of the next sweep; nil: as it is now
	change int
	first  int // room that changes next

	arrivals    []time.Time // of the last second
	maxInSecond int
	sweeps      []stubSweep
}

// A list is its rooms, and the answers that show them.
type list struct {
	rooms []diff.Room
	pages [][]byte
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
		s.now.rooms = append(s.now.rooms, roomAt(i, rooms))
	}
	for i := 0; i < rooms; i += perPage {
		s.now.pages = append(s.now.pages, s.now.page(i/perPage))
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v4/live_engine_http_srv/get_room_list", s.serveList)
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

func (s *stub) serveList(w http.ResponseWriter, r *http.Request) {
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
	page, last, err := s.take(now, body.Next)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(page))) // the answer is whole before the handler returns
	_, _ = w.Write(page)
	if last {
		_ = http.NewResponseController(w).Flush() // an error is the reader's, too
		s.mu.Lock()
		defer s.mu.Unlock()
		s.prepare()
	}
}

// take counts a request and returns its page, and whether it is the last one.
func (s *stub) take(now time.Time, next string) (page []byte, last bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	if next == "" {
		if s.coming != nil {
			s.now, s.coming = *s.coming, nil
		}
		s.sweeps = append(s.sweeps, stubSweep{Begin: now})
	} else {
		if n, err = strconv.Atoi(next); err != nil || n >= len(s.now.pages) {
			return nil, false, fmt.Errorf("no page %q", next)
		}
	}
	if len(s.sweeps) == 0 {
		return nil, false, fmt.Errorf("page %q before any first page", next)
	}
	s.arrived(now)
	sweep := &s.sweeps[len(s.sweeps)-1]
	sweep.End = now
	sweep.Requests++
	return s.now.pages[n], n == len(s.now.pages)-1, nil
}

// arrived counts the requests of the half-open second that ends with this one.
func (s *stub) arrived(now time.Time) {
	s.arrivals = append(s.arrivals, now)
	for now.Sub(s.arrivals[0]) >= time.Second {
		s.arrivals = s.arrivals[1:]
	}
	s.maxInSecond = max(s.maxInSecond, len(s.arrivals))
}

// prepare makes the list of the next sweep with the planned changes, so that no
// sweep waits for it. They keep the order: counts lie ten apart.
func (s *stub) prepare() {
	s.coming = nil
	if s.change == 0 {
		return
	}
	l := list{rooms: slices.Clone(s.now.rooms), pages: slices.Clone(s.now.pages)}
	step := max(1, len(l.rooms)/s.change)
	stale := map[int]bool{}
	for i := range s.change {
		k := (s.first + i*step) % len(l.rooms)
		l.rooms[k].ViewCount++
		stale[k/perPage] = true
	}
	s.first++
	for p := range stale {
		l.pages[p] = l.page(p)
	}
	s.coming = &l
}

// roomAt returns room i of a list of n, as the stub shows it at first.
func roomAt(i, n int) diff.Room {
	id := fmt.Sprintf("live_%08x", uint32(i)*2654435761)
	return diff.Room{
		RoomID: id, RoomName: "The room of " + id, OwnerAccount: "host_" + id, CoverURL: "https://covers.example.com/" + id + ".png",
		Category: []int64{1, 2, 3}, CreateTime: 1693271354, ActivityStatus: 1, ViewCount: int64(10 * (n - i)),
	}
}

func (l list) page(n int) []byte {
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
	end := min(first+perPage, len(l.rooms))
	var rows []row
	for i := first; i < end; i++ {
		r := l.rooms[i]
		rows = append(rows, row{r.RoomName, r.RoomID, r.OwnerAccount, r.CoverURL, r.Category, r.CreateTime, r.ActivityStatus, r.ViewCount})
	}
	next := ""
	if end < len(l.rooms) {
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
	s.prepare()
}

func (s *stub) report(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = json.NewEncoder(w).Encode(report{Sweeps: s.sweeps, MaxInSecond: s.maxInSecond})
}
