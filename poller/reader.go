package poller

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"time"

	"roomwatch/diff"
)

const (
	// readBudget is shorter than the time after which sweeps alone may end a room: a
	// read that fails for long must not hold that up.
	readBudget   = 2 * time.Second
	refusedReads = 10 * time.Minute       // until point reads that the service refuses are tried again
	controlTick  = 100 * time.Millisecond // how often a Reader asks for a control
	// readsPerWorker is how many reads a second one worker can make, for as long as
	// an answer takes no more than 250 ms.
	readsPerWorker = 4
)

// Answers takes what point reads say. Its methods are called by several goroutines.
type Answers interface {
	// Ask notes that a read of the room is about to be sent. There is one at a time
	// of each room, and one call of Read follows.
	Ask(id string)

	// Read takes the answer. After an error it is lost, which is no harm.
	Read(ctx context.Context, r diff.Read) error

	// Control returns a room that is to be read at once to learn whether the service
	// can be believed, and false if none is due.
	Control(now time.Time) (id string, ok bool)

	// Refuse notes that the service refuses point reads. The next answer ends that.
	Refuse()
}

// A Reader makes point reads: get_room_info of the rooms that are proposed.
type Reader struct {
	log     *slog.Logger
	fetch   fetcher // of which each worker has a copy with a client of its own
	workers int
	queue   *proposals
	metrics *readMetrics

	mu    sync.Mutex
	since Failure   // since when and why the service refuses point reads; zero if it does not
	until time.Time // they are not tried again before
}

func newReader(c Config) (*Reader, error) {
	rate := c.PointReadsPerSecond
	log := c.Log.With("call", infoCall)
	r := &Reader{log: log, workers: int(math.Ceil(rate / readsPerWorker))}
	r.metrics = newReadMetrics(r)
	r.queue = newProposals(r.metrics.proposal)
	r.fetch = fetcher{
		client: newClient(c.Endpoint, c.Signer, c.RequestTimeout, r.workers, c.Dial), signer: c.Signer,
		quota: newQuota(rate, max(1, int(rate))), count: func(string, time.Duration) {}, health: &health{log: log}, budget: readBudget, permit: c.permit(),
	}
	if c.Metrics != nil {
		if err := r.metrics.register(c.Metrics); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// Propose queues a room. It never blocks.
func (r *Reader) Propose(p diff.Proposal) { r.queue.propose(p, time.Now()) }

// refusedSince tells since when and why the service refuses point reads; zero if
// it does not.
func (r *Reader) refusedSince() Failure {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.since
}

// Run reads the rooms that are proposed until ctx is done, several at once, and
// then returns. Nothing else ends it. Run may be called again, but not beside itself:
// what waited to be read before is forgotten then.
func (r *Reader) Run(ctx context.Context, sink Answers) {
	defer r.fetch.client.close()
	defer r.queue.clear()
	work := make(chan string)
	var wg sync.WaitGroup
	for range r.workers {
		f := r.fetch
		f.client = f.client.twin()
		wg.Go(func() {
			for id := range work {
				r.read(ctx, &f, id, sink)
			}
		})
	}
	r.dispatch(ctx, work, sink)
	close(work)
	wg.Wait()
}

// dispatch gives the workers what is to be read.
func (r *Reader) dispatch(ctx context.Context, work chan<- string, sink Answers) {
	for {
		id, wait, ok := r.next(sink)
		if !ok {
			if r.idle(ctx, wait) != nil {
				return
			}
			continue
		}
		sink.Ask(id)
		select {
		case work <- id:
		case <-ctx.Done():
			return
		}
	}
}

// next returns the room that is to be read now, or how long there will be none.
func (r *Reader) next(sink Answers) (id string, wait time.Duration, ok bool) {
	now := time.Now()
	if wait := r.refusal(now); wait > 0 {
		return "", wait, false
	}
	if id, ok := sink.Control(now); ok {
		r.queue.begin(id)
		return id, 0, true
	}
	id, wait, ok = r.queue.next(now)
	if wait == 0 || wait > controlTick {
		wait = controlTick
	}
	return id, wait, ok
}

func (r *Reader) idle(ctx context.Context, wait time.Duration) error {
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.queue.wake:
	case <-ctx.Done():
	}
	return ctx.Err()
}

// read reads one room and hands over what came of it.
func (r *Reader) read(ctx context.Context, f *fetcher, id string, sink Answers) {
	var t tally
	var answer diff.Read
	err := f.try(ctx, &t, func(sig string) (err error) {
		answer, err = f.client.room(ctx, id, sig)
		return err
	})
	switch {
	case ctx.Err() != nil:
		return
	case err == nil:
		r.accepted()
	case refusesReads(err):
		r.refuse(err, sink)
	default:
		r.log.DebugContext(ctx, "point read failed", "room", id, "error", err)
	}
	if err != nil {
		now := time.Now()
		answer = diff.Read{RoomID: id, Sent: now, At: now, Outcome: diff.NoAnswer, Odd: classOf(err) == Bug}
	}
	r.metrics.read(answer.Outcome)
	r.log.DebugContext(ctx, "point read answered", "room", id, "outcome", answer.Outcome)
	r.queue.done(id, answer.Outcome, answer.At)
	_ = sink.Read(ctx, answer) // it fails only when ctx is done
}

// refusesReads reports whether an error is one of all reads. One odd RoomID can
// be refused as a wrong parameter, which says nothing of others.
func refusesReads(err error) bool {
	e, ok := errors.AsType[statusError](err)
	return errors.Is(err, ErrConfig) || ok && e == http.StatusNotFound
}

// refuse stops point reads for a while, and says so once.
func (r *Reader) refuse(err error, sink Answers) {
	now := time.Now()
	r.mu.Lock()
	first := r.since.Err == nil
	if first {
		r.since.At = now
	}
	r.since.Err, r.until = err, now.Add(refusedReads)
	r.mu.Unlock()
	r.queue.refuse()
	sink.Refuse()
	if first {
		r.log.Warn("point reads refused; sweeps alone decide", "error", err, "retry_every", refusedReads, "request_id", requestID(err))
	}
}

// accepted notes that the service has answered a point read.
func (r *Reader) accepted() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.since.Err == nil {
		return
	}
	r.log.Info("point reads accepted", "after", time.Since(r.since.At))
	r.since = Failure{}
}

// refusal returns for how long point reads are not to be tried.
func (r *Reader) refusal(now time.Time) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.until.IsZero() {
		return 0
	}
	if wait := r.until.Sub(now); wait > 0 {
		return wait
	}
	r.until = time.Time{}
	r.queue.allow()
	return 0
}
