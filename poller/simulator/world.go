package simulator

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

var (
	errLive    = errors.New("room is live already")
	errNotLive = errors.New("room is not live")
)

// A room is a live room and its place in the world.
type room struct {
	Room
	opened time.Time
	hidden time.Time // since when it is not in the list; zero if it is
	shown  time.Time // when it came back to the list last; zero if it never left
	slot   int       // index in world.slots
}

func (r *room) place() place { return place{r.ViewCount, r.RoomID} }

// A world is the ground truth. It is not safe for concurrent use.
type world struct {
	c     Config // with the defaults filled in
	rng   *rand.Rand
	next  time.Duration // when the next event is due, from c.Start
	still bool          // no more events, see Service.Freeze

	// slots holds the live rooms; a slot's number is the popularity of the
	// room in it, 0 the greatest. A new room takes a random slot and a closed
	// one leaves its slot to the last room, so that rooms overtake each other.
	slots []*room
	list  ranking // the same rooms in the order of the list, without the hidden ones
	byID  map[string]*room

	opened    int              // rooms ever opened, without those re-created
	created   map[string]int64 // newest CreateTime of each RoomID that is live or remembered
	ended     []Life           // in the order of their ends
	forgotten int

	// tell is called for each room that is created, has ended or was updated, at
	// that moment and before r changes again; nil: for none.
	tell func(command string, r *room, at time.Time)
}

// newWorld returns a world with its first rooms in it, as if it had lived
// before: with ages, and with views that fall with popularity.
func newWorld(c Config) (*world, error) {
	w := &world{
		c:       c,
		rng:     rand.New(rand.NewPCG(c.Seed, 0)),
		byID:    make(map[string]*room, c.Rooms),
		created: make(map[string]int64, c.Rooms),
	}
	age := time.Hour.Seconds()
	if c.Opens > 0 {
		age = float64(c.Rooms) / c.Opens
	}
	for n := 1; n <= c.Rooms; n++ {
		opened := c.Start.Add(-seconds(w.rng.ExpFloat64() * age))
		if err := w.open(c.RoomIDs(n), opened); err != nil {
			return nil, fmt.Errorf("open first rooms: %w", err)
		}
	}
	for i, r := range w.slots {
		w.setViews(r, int64(1000*w.rng.ExpFloat64()/float64(i+1)))
	}
	w.wait()
	return w, nil
}

// advance applies the events up to now.
func (w *world) advance(now time.Time) {
	if w.still {
		return
	}
	for due := now.Sub(w.c.Start); w.rate() > 0 && w.next <= due; w.wait() {
		at := w.c.Start.Add(w.next)
		w.forget(at) // a long time is caught up without remembering all of it
		w.step(at)
	}
	w.forget(now)
}

// rate returns how many events a second are to be expected. It is zero for
// ever or never, because the rate of closing is above zero only if Opens is.
func (w *world) rate() float64 {
	return w.c.Opens + w.closes() + w.c.Enters + w.c.Hides + w.c.Recreates
}

// due returns the moment of the next event, if there will be one.
func (w *world) due() (time.Time, bool) {
	return w.c.Start.Add(w.next), !w.still && w.rate() > 0
}

// closes is in balance with Opens when Rooms are live. (W2)
func (w *world) closes() float64 {
	if w.c.Opens == 0 {
		return 0
	}
	return w.c.Opens * float64(len(w.slots)) / float64(w.c.Rooms)
}

// wait draws the moment of the next event. The gap is exponential and so has
// no memory: that a hand operation changes the rate meanwhile does not matter.
func (w *world) wait() {
	if rate := w.rate(); rate > 0 {
		w.next += seconds(w.rng.ExpFloat64() / rate)
	}
}

// step applies one event.
func (w *world) step(at time.Time) {
	u := w.rng.Float64() * w.rate()
	if u < w.c.Opens {
		// An ID that is live or that the API cannot carry opens nothing, as
		// Config.RoomIDs says.
		_ = w.open(w.c.RoomIDs(w.opened+1), at)
		return
	}
	if len(w.slots) == 0 {
		return
	}
	u -= w.c.Opens
	switch closes := w.closes(); {
	case u < closes:
		w.end(w.slots[w.rng.IntN(len(w.slots))], at)
	case u < closes+w.c.Enters:
		r := w.popular()
		w.setViews(r, r.ViewCount+1)
	case u < closes+w.c.Enters+w.c.Hides:
		w.flip(w.slots[w.rng.IntN(len(w.slots))], at)
	default:
		w.recreate(w.slots[w.rng.IntN(len(w.slots))], at)
	}
}

// popular draws the room that somebody enters: slot k about as often as
// 1/(k+1), which is Zipf's law.
func (w *world) popular() *room {
	n := len(w.slots)
	k := int(math.Exp(w.rng.Float64()*math.Log(float64(n+1)))) - 1
	return w.slots[min(k, n-1)]
}

// open adds a room. It counts in opened even if the room is refused, so that
// an unusable ID is not asked for again.
func (w *world) open(id string, at time.Time) error {
	w.opened++
	if err := checkRoomID(id); err != nil {
		return err
	}
	if w.byID[id] != nil {
		return fmt.Errorf("open room %q: %w", id, errLive)
	}
	r := &room{Room: newRoom(w.opened, id, w.createTime(id, at)), opened: at, slot: len(w.slots)}
	w.slots = append(w.slots, r)
	w.swap(r.slot, w.rng.IntN(len(w.slots)))
	w.add(r)
	return nil
}

// createTime returns the CreateTime of a room opened now. (W4)
func (w *world) createTime(id string, at time.Time) int64 {
	if before, ok := w.created[id]; ok {
		return max(at.Unix(), before+1)
	}
	return at.Unix()
}

// end closes a live room.
func (w *world) end(r *room, at time.Time) {
	last := len(w.slots) - 1
	w.swap(r.slot, last)
	w.slots = slices.Delete(w.slots, last, last+1)
	w.drop(r, at)
}

// recreate ends a live room and opens it again in the same slot.
func (w *world) recreate(r *room, at time.Time) {
	w.drop(r, at)
	again := &room{Room: r.Room, opened: at, slot: r.slot}
	again.CreateTime = w.createTime(r.RoomID, at)
	again.ViewCount = 0
	w.slots[r.slot] = again
	w.add(again)
}

func (w *world) swap(i, j int) {
	w.slots[i], w.slots[j] = w.slots[j], w.slots[i]
	w.slots[i].slot, w.slots[j].slot = i, j
}

func (w *world) add(r *room) {
	w.list.insert(r)
	w.byID[r.RoomID] = r
	w.created[r.RoomID] = r.CreateTime
	w.news(roomCreated, r, r.opened)
}

func (w *world) drop(r *room, at time.Time) {
	if r.hidden.IsZero() {
		w.list.remove(r)
	}
	delete(w.byID, r.RoomID)
	w.ended = append(w.ended, Life{Room: r.Room, Opened: r.opened, Ended: at, Hidden: r.hidden})
	w.news(roomDestroyed, r, at)
}

// news calls tell.
func (w *world) news(command string, r *room, at time.Time) {
	if w.tell != nil {
		w.tell(command, r, at)
	}
}

// setViews gives a room another view count, and its new place if it has one.
func (w *world) setViews(r *room, views int64) {
	if r.hidden.IsZero() {
		w.list.setViews(r, views)
		return
	}
	r.ViewCount = views
}

// flip takes a room out of the list, or puts it back.
func (w *world) flip(r *room, at time.Time) {
	if r.hidden.IsZero() {
		w.list.remove(r)
		r.hidden = at
	} else {
		r.hidden, r.shown = time.Time{}, at
		w.list.insert(r)
	}
	w.news(roomUpdated, r, at)
}

// forget drops the lives that ended longer ago than Config.Forget. A life whose
// CreateTime lies ahead of the clock stays until W4 holds without it.
func (w *world) forget(now time.Time) {
	for w.c.Forget > 0 && len(w.ended) > 0 {
		l := w.ended[0]
		if now.Sub(l.Ended) <= w.c.Forget || now.Unix() <= l.CreateTime {
			return
		}
		if w.created[l.RoomID] == l.CreateTime { // and not that of a later life
			delete(w.created, l.RoomID)
		}
		w.ended = w.ended[1:]
		w.forgotten++
	}
}

// truth returns a deep copy.
func (w *world) truth(now time.Time) Truth {
	t := Truth{At: now, Forgotten: w.forgotten, Lives: slices.Clone(w.ended)}
	for _, r := range w.list {
		t.Lives = append(t.Lives, Life{Room: r.Room, Opened: r.opened})
	}
	for _, id := range slices.Sorted(maps.Keys(w.byID)) {
		if r := w.byID[id]; !r.hidden.IsZero() {
			t.Lives = append(t.Lives, Life{Room: r.Room, Opened: r.opened, Hidden: r.hidden})
		}
	}
	for i := range t.Lives {
		t.Lives[i].Category = slices.Clone(t.Lives[i].Category)
	}
	return t
}

// seconds converts without overflow: a rate near zero means a century, not a
// moment in the past.
func seconds(s float64) time.Duration {
	const century = 100 * 365 * 24 * time.Hour
	return time.Duration(min(s*float64(time.Second), float64(century)))
}
