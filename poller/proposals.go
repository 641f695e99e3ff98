package poller

import (
	"container/heap"
	"slices"
	"sync"
	"time"

	"roomwatch/diff"
)

const (
	maxProposals = 10_000
	readApart    = 3 * time.Second // between two reads of a room, at least
	hiddenApart  = 5 * time.Second // before a hidden room is read once more, at least
	// What the newest reads of rooms have said is remembered, for people.
	maxRecent = 10_000
	recentFor = 10 * time.Minute
)

// apart returns how long after a read of its room a proposal waits, at least.
func apart(s diff.Source) time.Duration {
	switch {
	case again(s):
		return 0
	case s == diff.HiddenRoom:
		return hiddenApart
	}
	return readApart
}

// again reports whether a proposal asks for another read of a room, which need not be
// readApart from the one before.
func again(s diff.Source) bool { return s == diff.AskedAgain || s == diff.ToldOtherwise }

// What became of a proposal, as metrics show it.
const (
	outcomeRead    = "read"
	outcomeJoined  = "joined"  // the room was waiting already
	outcomeDropped = "dropped" // too many rooms were waiting
	outcomeRefused = "refused" // the service refuses point reads
)

// A proposals queue holds the RoomIDs that are to be read: each once, oldest
// first, and none again within readApart. It is safe for concurrent use.
type proposals struct {
	count func(s diff.Source, outcome string) // told what becomes of each proposal
	wake  chan struct{}                       // capacity 1: something may have become due

	mu      sync.Mutex
	waiting map[string]*proposal
	queues  [classes]proposalHeap
	turns   turns
	reading map[string]struct{}
	recent  map[string]LastRead // the newest read of the room
	order   []recentRead        // those of recent, oldest first
	refused bool
}

type proposal struct {
	diff.Proposal
	class class
	since time.Time
	index int // in its heap
}

// A LastRead is the newest read of a room.
type LastRead struct {
	At      time.Time // when it was answered, or given up; zero: none is remembered
	Outcome diff.Outcome
}

type recentRead struct {
	id string
	at time.Time
}

func newProposals(count func(diff.Source, string)) *proposals {
	return &proposals{
		count: count, wake: make(chan struct{}, 1), waiting: make(map[string]*proposal),
		reading: make(map[string]struct{}), recent: make(map[string]LastRead),
	}
}

// propose queues a RoomID, or brings it forward if it waits for a later moment. Where
// too many wait, callbacks give way, the newest first: they are lost without harm.
func (q *proposals) propose(p diff.Proposal, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p.Due.Before(now) {
		p.Due = now
	}
	if last, ok := q.recent[p.RoomID]; ok {
		if due := last.At.Add(apart(p.Source)); p.Due.Before(due) {
			p.Due = due
		}
	}
	if _, ok := q.reading[p.RoomID]; ok && p.Due.Before(now.Add(readApart)) {
		p.Due = now.Add(readApart)
	}
	old := q.waiting[p.RoomID]
	switch {
	case q.refused:
		q.count(p.Source, outcomeRefused)
		return
	case old != nil:
		q.count(p.Source, outcomeJoined)
		if class := min(old.class, classOfSource(p.Source)); class < old.class || p.Due.Before(old.Due) {
			q.take(old)
			old.class = class
			if p.Due.Before(old.Due) {
				old.Due = p.Due
			}
			q.put(old)
		}
	case len(q.waiting) >= maxProposals && (classOfSource(p.Source) == callbacks || !q.dropCallback()):
		q.count(p.Source, outcomeDropped)
		return
	default:
		q.put(&proposal{Proposal: p, class: classOfSource(p.Source), since: now})
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *proposals) put(p *proposal) {
	q.waiting[p.RoomID] = p
	heap.Push(&q.queues[p.class], p)
}

func (q *proposals) take(p *proposal) {
	heap.Remove(&q.queues[p.class], p.index)
	delete(q.waiting, p.RoomID)
}

// dropCallback drops the newest callback, if one waits.
func (q *proposals) dropCallback() bool {
	if len(q.queues[callbacks]) == 0 {
		return false
	}
	newest := slices.MaxFunc(q.queues[callbacks], func(a, b *proposal) int { return a.Due.Compare(b.Due) })
	q.take(newest)
	q.count(newest.Source, outcomeDropped)
	return true
}

// next takes the RoomID that is to be read now, if there is one. Otherwise it
// returns how long the first one has to wait; 0 if none waits.
func (q *proposals) next(now time.Time) (id string, wait time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for c := range classes {
		if len(q.queues[c]) == 0 {
			continue
		}
		q.postpone(c, now)
		if d := q.queues[c][0].Due.Sub(now); d > 0 && (wait == 0 || d < wait) {
			wait = d
		}
	}
	best := q.turns.next(q.due(now))
	if best == classes {
		return "", wait, false
	}
	p := q.queues[best][0]
	q.take(p)
	q.turns.charge(best, q.due(now))
	q.reading[p.RoomID] = struct{}{}
	q.count(p.Source, outcomeRead)
	return p.RoomID, 0, true
}

// due returns which classes have something due.
func (q *proposals) due(now time.Time) (due [classes]bool) {
	for c, h := range q.queues {
		due[c] = len(h) > 0 && !h[0].Due.After(now)
	}
	return due
}

// postpone moves rooms back that are due and still being read: there is one read of
// a room at a time.
func (q *proposals) postpone(c class, now time.Time) {
	for {
		p := q.queues[c][0]
		if _, busy := q.reading[p.RoomID]; !busy || p.Due.After(now) {
			return
		}
		p.Due = now.Add(readApart)
		heap.Fix(&q.queues[c], 0)
	}
}

// begin notes that a room is read without its turn. If it waits, this is its read.
func (q *proposals) begin(id string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reading[id] = struct{}{}
	if p := q.waiting[id]; p != nil {
		q.take(p)
		q.count(p.Source, outcomeRead)
	}
}

// done notes that a read is over.
func (q *proposals) done(id string, outcome diff.Outcome, at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.reading, id)
	if p := q.waiting[id]; p != nil && p.Due.Before(at.Add(apart(p.Source))) { // proposed before the answer
		p.Due = at.Add(apart(p.Source))
		heap.Fix(&q.queues[p.class], p.index)
	}
	q.recent[id] = LastRead{At: at, Outcome: outcome}
	q.order = append(q.order, recentRead{id, at})
	for len(q.order) > maxRecent || at.Sub(q.order[0].at) >= recentFor {
		if old := q.order[0]; q.recent[old.id].At.Equal(old.at) {
			delete(q.recent, old.id)
		}
		q.order = q.order[1:]
	}
}

// refuse drops all that waits, and what comes until allow is called.
func (q *proposals) refuse() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refused = true
	for _, p := range q.waiting {
		q.count(p.Source, outcomeRefused)
	}
	clear(q.waiting)
	q.queues = [classes]proposalHeap{}
}

// allow ends what refuse began.
func (q *proposals) allow() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.refused = false
}

// clear forgets what waits and what is being read: nobody will.
func (q *proposals) clear() {
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(q.waiting)
	clear(q.reading)
	q.queues = [classes]proposalHeap{}
}

func (q *proposals) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}

// A proposalHeap has the proposal that is due first in front.
type proposalHeap []*proposal

func (h proposalHeap) Len() int           { return len(h) }
func (h proposalHeap) Less(i, j int) bool { return h[i].Due.Before(h[j].Due) }
func (h proposalHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

func (h *proposalHeap) Push(x any) {
	p := x.(*proposal)
	p.index = len(*h)
	*h = append(*h, p)
}

func (h *proposalHeap) Pop() any {
	old := *h
	p := old[len(old)-1]
	*h = old[:len(old)-1]
	return p
}
