package simulator

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A Config describes a [Service] and its world.
type Config struct {
	SDKAppID   int    // required
	Identifier string // the App administrator; "" means administrator
	SecretKey  string // required: UserSigs are verified with it

	Seed  uint64    // equal seeds give equal worlds
	Start time.Time // when the world began, in the past if you like; zero means now

	Rooms     int     // live at the start, and about as many ever after
	Opens     float64 // rooms opened a second, and in the long run closed; needs Rooms
	Enters    float64 // people entering a second, most of them the few popular rooms
	Recreates float64 // rooms closed and at once opened again under their RoomID, a second
	Hides     float64 // rooms that leave the list, or come back to it, a second

	// RoomIDs names the n-th room ever opened, counted from 1, those opened by
	// hand included; it has to be a pure function. nil gives names such as live_alice_0001. An ID that is live
	// or that is not 1 to 48 bytes of UTF-8 opens no room; among the first Rooms
	// it is an error.
	RoomIDs func(n int) string

	// Forget drops ended lives from the truth when they are older, so that a
	// world that lives for days does not fill the memory. 0 keeps all of them.
	Forget time.Duration

	// Quota is how many requests any window of one second may hold, refused
	// ones included; those beyond it are answered by 60011. 0 means 10, less
	// than 0 means no quota.
	Quota int

	Next     Next
	NextLife time.Duration // a Next that was given so long ago is refused; 0: none is

	// InfoQuota is the Quota of get_room_info, which has one of its own. 0 means
	// 200, less than 0 means none.
	InfoQuota int
	InfoLag   time.Duration // get_room_info tells of the rooms as they were so long ago
	Latency   time.Duration // of each answer

	// Fault is asked before the n-th request of the list, counted from 1, is
	// answered; nil, or a nil answer, means no fault. It is called by several
	// goroutines. InfoFault is the same for get_room_info.
	Fault, InfoFault func(n int, r *http.Request) *Fault

	Callbacks Callbacks // see SendCallbacks; the zero value: none
}

// A Service answers get_room_list and get_room_info for one application. It is
// safe for concurrent use.
type Service struct {
	c Config // with the defaults filled in

	mu        sync.Mutex // guards the rest
	world     *world
	pages     pager
	given     givenNexts
	arrivals  arrivals // of get_room_list
	info      arrivals // of get_room_info
	lie       lie
	callbacks callbackQueue
}

// New returns a Service whose world begins at c.Start.
func New(c Config) (*Service, error) {
	c, err := c.complete()
	if err != nil {
		return nil, fmt.Errorf("simulator config: %w", err)
	}
	w, err := newWorld(c)
	if err != nil {
		return nil, fmt.Errorf("simulator world: %w", err)
	}
	s := &Service{c: c, world: w, pages: newPager(c.Next), callbacks: newCallbackQueue()}
	if c.Callbacks.URL != "" {
		err = s.SetCallbacks(c.Callbacks)
	}
	return s, err
}

// complete checks the configuration and fills in the defaults.
func (c Config) complete() (Config, error) {
	var errs []error
	check := func(ok bool, text string) {
		if !ok {
			errs = append(errs, errors.New(text))
		}
	}
	rate := func(f float64) bool { return f >= 0 && !math.IsInf(f, 1) }
	check(c.SDKAppID > 0, "SDKAppID is required")
	check(c.SecretKey != "", "SecretKey is required")
	check(c.Rooms >= 0, "Rooms is negative")
	check(rate(c.Opens) && rate(c.Enters) && rate(c.Recreates) && rate(c.Hides), "a rate is negative or no number")
	check(c.Opens == 0 || c.Rooms > 0, "Opens needs Rooms, the number to stay near")
	check(c.Next >= NextRank && c.Next <= NextFrozen, "Next is unknown")
	check(c.Forget >= 0 && c.InfoLag >= 0 && c.Latency >= 0 && c.NextLife >= 0, "a time is negative")
	check(c.Forget == 0 || c.Forget >= c.InfoLag, "Forget is less than InfoLag")
	errs = append(errs, c.Callbacks.check())
	if c.Identifier == "" {
		c.Identifier = "administrator"
	}
	if c.Start.IsZero() {
		c.Start = time.Now()
	}
	c.Start = c.Start.Round(0).UTC() // another process has no such monotonic clock
	if c.RoomIDs == nil {
		c.RoomIDs = roomID
	}
	if c.Quota == 0 {
		c.Quota = 10
	}
	if c.InfoQuota == 0 {
		c.InfoQuota = 200
	}
	return c, errors.Join(errs...)
}

// Truth returns what really was and is. The copy is the caller's.
func (s *Service) Truth() Truth {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	return s.world.truth(now)
}

// A List is a copy of the list as it was at one moment. It never changes.
type List struct{ rooms ranking }

// List copies the present list, for a [Fault] that serves it later.
func (s *Service) List() *List {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now()
	return &List{s.world.list.clone()}
}

// Requests returns how many requests of the list reached the service, refused
// and faulty ones included.
func (s *Service) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.arrivals.total
}

// MaxInSecond returns the largest number of requests of the list, refused and
// faulty ones included, that any half-open window of one second ever held.
func (s *Service) MaxInSecond() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.arrivals.most
}

// InfoRequests is Requests of get_room_info.
func (s *Service) InfoRequests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.info.total
}

// MaxInfoInSecond is MaxInSecond of get_room_info.
func (s *Service) MaxInfoInSecond() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.info.most
}

// Freeze stops the world at this moment for good. Hand operations still work.
func (s *Service) Freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now()
	s.world.still = true
}

// Open opens a room with no views. It is an error if the room is live, or if id
// is not 1 to 48 bytes of UTF-8.
func (s *Service) Open(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.world.open(id, s.now())
}

// Close ends a room. It is an error if the room is not live.
func (s *Service) Close(id string) error {
	return s.change("close", id, s.world.end)
}

// Recreate ends a room and opens it again at once: a newer CreateTime, no
// views, all else as before. It is an error if the room is not live.
func (s *Service) Recreate(id string) error {
	return s.change("recreate", id, s.world.recreate)
}

// Enter lets n people enter a room. It is an error if the room is not live or n
// is less than 1.
func (s *Service) Enter(id string, n int) error {
	if n < 1 {
		return fmt.Errorf("enter room %q: %d people", id, n)
	}
	return s.change("enter", id, func(r *room, _ time.Time) {
		s.world.setViews(r, r.ViewCount+int64(n))
	})
}

// Edit changes what the list shows of a room; f must not call the Service.
// RoomID and CreateTime name the life and stay as they are. A ViewCount may be
// made smaller, which the real one never does. It is an error if the room is
// not live.
func (s *Service) Edit(id string, f func(*Room)) error {
	return s.change("edit", id, func(r *room, at time.Time) {
		edited := r.Room
		edited.Category = slices.Clone(r.Category)
		f(&edited)
		edited.RoomID, edited.CreateTime = r.RoomID, r.CreateTime
		edited.Category = slices.Clone(edited.Category)
		s.world.setViews(r, edited.ViewCount)
		updated := !r.sameInfo(edited)
		r.Room = edited
		if updated {
			s.world.news(roomUpdated, r, at)
		}
	})
}

// Flip takes a room out of the list, or puts it back; it lives on. It is an error
// if the room is not live.
func (s *Service) Flip(id string) error {
	return s.change("flip", id, s.world.flip)
}

// change applies f to a live room.
func (s *Service) change(op, id string, f func(*room, time.Time)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	r := s.world.byID[id]
	if r == nil {
		return fmt.Errorf("%s room %q: %w", op, id, errNotLive)
	}
	f(r, now)
	return nil
}

// now brings the world up to the present and returns it. The caller holds mu.
func (s *Service) now() time.Time {
	now := time.Now().Round(0).UTC()
	s.world.advance(now)
	return now
}
