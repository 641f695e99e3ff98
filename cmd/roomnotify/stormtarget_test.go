package main

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"roomwatch/cmd/roomnotify/form"
)

// A stormTarget is how one of the targets of a storm answers, and what it was told.
type stormTarget struct {
	name     string
	events   int
	mu       sync.Mutex
	told     map[int][]heard // by the number of the event
	tellings int
	requests []time.Time // that it took
	refused  int         // that it did not take
	digests  int
	until    time.Time // it wants to be left alone
}

// A heard is an event in a request that the target took.
type heard struct {
	order   int // among all tellings of the target
	at      time.Time
	request string // its id
	digest  bool
	sum     uint64 // of the body
}

func newStormTarget(name string, events int) *stormTarget {
	return &stormTarget{name: name, events: events, told: map[int][]heard{}}
}

// stormRefused is the event that one target refuses.
func (g *stormTarget) stormRefused() int { return g.events / 2 }

func (s *storm) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the sender died
	}
	g := s.targets[strings.TrimPrefix(r.URL.Path, "/")]
	if g == nil {
		s.t.Errorf("a request of %s", r.URL.Path)
		return
	}
	id, list, err := stormEventsOf(r.Header.Get("webhook-id"), body)
	if err != nil {
		s.t.Errorf("%s: %v: %s", g.name, err, body)
		return
	}
	if g.name == "hang" {
		g.refuse()
		<-r.Context().Done()
		return
	}
	if g.name != "chat" {
		time.Sleep(rand.N(20 * time.Millisecond)) // so that most of the killed had something on its way
	}
	switch {
	case g.name == "throttle" && g.throttles():
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
	case g.name == "refuse" && list[0] == g.stormRefused():
		g.refuse()
		w.WriteHeader(http.StatusBadRequest)
	case !g.take(id, list, body):
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_ = conn.Close()
		}
	default:
		_, _ = io.WriteString(w, `{"ok":true}`)
	}
}

func (g *stormTarget) refuse() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refused++
}

// throttles reports whether the target wants to be left alone, as it does for a second
// after each hundred requests.
func (g *stormTarget) throttles() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if n := len(g.requests) + g.refused; n%100 == 99 {
		g.until = now.Add(time.Second)
	}
	if now.Before(g.until) {
		g.refused++
		return true
	}
	return false
}

// take notes what the target was told; it reports false if it is dead.
func (g *stormTarget) take(id string, list []int, body []byte) bool {
	sum := fnv.New64a()
	_, _ = sum.Write(body)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.name == "dead" && len(g.told) >= g.events/4 {
		g.refused++
		return false
	}
	now := time.Now()
	g.requests = append(g.requests, now)
	digest := strings.Contains(id, "_"+form.Summary+"_")
	if digest {
		g.digests++
	}
	for _, n := range list {
		g.tellings++
		g.told[n] = append(g.told[n], heard{g.tellings, now, id, digest, sum.Sum64()})
	}
	return true
}

var stormChat = regexp.MustCompile(`"content":"n([0-9]+)`)

// stormEventsOf returns the id of a request, and the numbers of the events that it tells.
func stormEventsOf(id string, body []byte) (string, []int, error) {
	number := func(s string) (n int, err error) {
		_, err = fmt.Sscanf(s, "01JD3ZK8V6Q4-%d", &n)
		return n, err
	}
	switch {
	case id == "":
		m := stormChat.FindSubmatch(body)
		if m == nil {
			return "", nil, fmt.Errorf("the chat is told no event")
		}
		var n int
		_, err := fmt.Sscan(string(m[1]), &n)
		return string(m[1]), []int{n}, err
	case !strings.Contains(id, "_"+form.Summary+"_"):
		n, err := number(id)
		return id, []int{n}, err
	}
	var p struct {
		Data struct{ Items []struct{ ID string } }
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return "", nil, err
	}
	var list []int
	for _, i := range p.Data.Items {
		n, err := number(i.ID)
		if err != nil {
			return "", nil, err
		}
		list = append(list, n)
	}
	return id, list, nil
}
