package simulator

import (
	"errors"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"time"
)

// maxCallbacks bounds the memory of callbacks that nobody sends.
const maxCallbacks = 10_000

// Callbacks says where the callbacks go, and what happens to them on the way.
// The zero value sends none.
type Callbacks struct {
	URL   string // absolute, http or https; "": none are sent
	Token string // signs each of them; "": they are not signed

	Lag    time.Duration // each is sent between half of it and all of it after its event, so that they overtake each other
	Drop   float64       // share of the callbacks that are never sent, 0 to 1
	Double float64       // share of the others that are sent twice, 0 to 1

	Transport http.RoundTripper // nil: one that SendCallbacks makes
}

// check returns what is wrong with c.
func (c Callbacks) check() error {
	share := func(f float64) bool { return f >= 0 && f <= 1 }
	u, err := url.Parse(c.URL)
	switch {
	case c.URL != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https"):
		return errors.New("Callbacks.URL is not an absolute URL of http or https")
	case c.Lag < 0:
		return errors.New("Callbacks.Lag is negative")
	case !share(c.Drop) || !share(c.Double):
		return errors.New("Callbacks.Drop or Double is not between 0 and 1")
	}
	return nil
}

// CallbackCounts says what became of the callbacks of a [Service].
type CallbackCounts struct {
	Sent       map[string]int // requests, by CallbackCommand; a callback that is sent twice counts twice
	Answered   map[int]int    // of those, by HTTP status
	Unanswered int            // of those, no answer within two seconds, or no connection
	Dropped    int            // never sent, by Callbacks.Drop or because 10,000 others waited
	Pending    int            // still to be sent, or not yet answered
}

// callbackQueue holds the callbacks that wait for their moment.
type callbackQueue struct {
	to      Callbacks
	waiting []callback // the one that is due first comes first
	flying  int        // sent and not yet answered
	counts  CallbackCounts
	wake    chan struct{} // has a token when something changed
}

// A callback is one request that is to be made.
type callback struct {
	due      time.Time
	command  string
	body     []byte
	platform string // OptPlatform
}

func newCallbackQueue() callbackQueue {
	return callbackQueue{
		counts: CallbackCounts{Sent: make(map[string]int), Answered: make(map[int]int)},
		wake:   make(chan struct{}, 1),
	}
}

// SetCallbacks replaces Config.Callbacks from now on, also for the callbacks that
// wait; an empty URL forgets those. Rooms that changed before callbacks had a URL
// are never told of.
func (s *Service) SetCallbacks(c Callbacks) error {
	if err := c.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now()
	s.callbacks.to = c
	s.world.tell = s.queueCallback
	if c.URL == "" {
		s.world.tell = nil
		s.callbacks.waiting = nil
	}
	s.callbacks.notify()
	return nil
}

// CallbacksSent returns what became of the callbacks until now. Pending is 0 if
// all that has happened was sent and answered; this needs a SendCallbacks that runs.
func (s *Service) CallbacksSent() CallbackCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now()
	c := s.callbacks.counts
	c.Sent, c.Answered = maps.Clone(c.Sent), maps.Clone(c.Answered)
	c.Pending = len(s.callbacks.waiting) + s.callbacks.flying
	return c
}

// queueCallback decides the fate of a callback. The caller holds mu.
func (s *Service) queueCallback(command string, r *room, at time.Time) {
	q := &s.callbacks
	rng := fate(s.c.Seed, command, r.Room, at)
	lost, twice := rng.Float64() < q.to.Drop, rng.Float64() < q.to.Double
	if lost {
		q.counts.Dropped++
		return
	}
	c := callback{
		command:  command,
		body:     callbackBody(command, r, at, rng),
		platform: platforms[rng.IntN(len(platforms))],
	}
	q.add(c, at, rng)
	if twice {
		q.add(c, at, rng)
	}
}

// add lets a callback wait for a moment that it draws.
func (q *callbackQueue) add(c callback, at time.Time, rng *rand.Rand) {
	if len(q.waiting) == maxCallbacks {
		q.counts.Dropped++
		return
	}
	half := q.to.Lag / 2
	c.due = at.Add(half + time.Duration(rng.Float64()*float64(q.to.Lag-half)))
	i := sort.Search(len(q.waiting), func(i int) bool { return q.waiting[i].due.After(c.due) })
	q.waiting = slices.Insert(q.waiting, i, c)
	q.notify()
}

// take removes and returns the first callback if it is due.
func (q *callbackQueue) take(now time.Time) (callback, bool) {
	if len(q.waiting) == 0 || q.waiting[0].due.After(now) {
		return callback{}, false
	}
	c := q.waiting[0]
	q.waiting[0] = callback{} // its memory is not needed any more
	q.waiting = q.waiting[1:]
	q.flying++
	q.counts.Sent[c.command]++
	return c, true
}

func (q *callbackQueue) notify() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// fate returns the generator that decides about one callback. It depends on what
// the callback tells of alone and draws nothing from the world's generator. (W1)
func fate(seed uint64, command string, r Room, at time.Time) *rand.Rand {
	h := fnv.New64a()
	for _, part := range []string{command, r.RoomID, strconv.FormatInt(r.CreateTime, 10), strconv.FormatInt(at.UnixNano(), 10)} {
		_, _ = h.Write([]byte(part + "\x00")) // no error: a hash takes all
	}
	return rand.New(rand.NewPCG(seed, h.Sum64()))
}
