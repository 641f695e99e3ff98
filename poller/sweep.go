package poller

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"roomwatch/diff"
	"roomwatch/diff/spans"
)

const (
	maxPages  = 100_000 // of one sweep: two million rooms
	maxBarren = 50      // pages in a row that show no life that the sweep has not seen yet
)

const endlessHint = "the list of the service does not end: see that no proxy caches the answers, and tell the vendor's support the RequestId; " +
	"until it ends no room is reported as ended"

// A Sink takes what the sweeps show.
type Sink interface {
	// Page takes the next page of the sweep, and returns those of its rooms that nobody
	// knew. It may return before the page is committed, and it blocks while too many
	// pages wait. After an error the sweep is given up: it proves no absence.
	Page(ctx context.Context, p diff.Page) (unknown []diff.Room, err error)

	// Probe is Page for a page that was read out of turn, as one of no sweep. It is
	// called by several goroutines. After an error what the page shows is lost, which is no harm.
	Probe(ctx context.Context, p diff.Page) (unknown []diff.Room, err error)

	// End takes the sweep when its last page was given or when it broke off,
	// waits until all its pages are committed, and says whether the next sweep
	// should begin at once. It is called once for each sweep, also for one that
	// failed or was cancelled: its ctx outlives that of [Poller.Run] by five
	// seconds, so that pages that were given can still be committed.
	End(ctx context.Context, s diff.Sweep) (again bool, err error)
}

// A source gets pages of the list. A [fetcher] is one.
type source interface {
	page(ctx context.Context, next string, t *tally) (answer, error)
}

// A sweep is one reading of the list.
type sweep struct {
	source  source
	health  *health
	metrics *metrics
	tracer  trace.Tracer
	sink    Sink
	places  *places // nil: no probes

	tally
	started    time.Time
	end        time.Time // last answer read
	requestID  string    // of that answer
	pages      int
	seen       *diff.Seen
	duplicates int // rows whose life the sweep had seen before
	unusable   int
	why        string              // what is wrong with the first unusable row
	given      map[string]struct{} // each Next so far
	barren     int                 // pages in a row without a new life
	visits     []visit             // of the pages so far, if there are probes
}

// newSweep returns a sweep that starts now.
func newSweep(from source, h *health, m *metrics, tracer trace.Tracer, sink Sink, p *places) *sweep {
	return &sweep{
		source: from, health: h, metrics: m, tracer: tracer, sink: sink, places: p,
		started: time.Now(), seen: diff.NewSeen(), given: make(map[string]struct{}),
	}
}

// read reads the list from the first page to the empty Next and gives each page
// to the sink. It returns nil if the sweep is complete, and otherwise why it is not.
func (s *sweep) read(ctx context.Context) error {
	next := ""
	for {
		a, trace, err := s.traced(ctx, next)
		if err != nil {
			return fmt.Errorf("page %d: %w", s.pages+1, err)
		}
		s.add(a)
		s.metrics.pages.Inc()
		s.health.accepted()
		s.health.progress(s.report())
		unknown, err := s.sink.Page(ctx, diff.Page{At: a.at, Begin: s.begin, Rooms: a.rooms, Asked: a.asked, RequestID: a.requestID, Trace: trace})
		if err != nil {
			return fmt.Errorf("page %d: %w: %w", s.pages, ErrSink, err)
		}
		s.visit(next, a, unknown)
		switch {
		case a.next != "":
			if err := s.progress(a.next); err != nil {
				if a.requestID != "" {
					err = fmt.Errorf("%w (RequestId %s)", err, a.requestID)
				}
				return fmt.Errorf("page %d: %w", s.pages, hinted(err, endlessHint))
			}
			next = a.next
		case s.unusable > 0:
			err := fmt.Errorf("%d rows of %d pages are unusable, the first on %s", s.unusable, s.pages, s.why)
			return hinted(err, "tell the vendor's support; until the rows are right no room is reported as ended")
		default:
			return nil
		}
	}
}

// traced reads the page at next in a span of its own, and returns its traceparent too.
func (s *sweep) traced(ctx context.Context, next string) (a answer, parent string, err error) {
	ctx, span := s.tracer.Start(ctx, "page", trace.WithSpanKind(trace.SpanKindClient))
	defer func() { spans.End(span, err) }()
	before := s.retries
	a, err = s.source.page(ctx, next, &s.tally)
	if !span.IsRecording() {
		return a, "", err
	}
	span.SetAttributes(attribute.Int("roomwatch.page", s.pages+1), attribute.Int("roomwatch.rooms", len(a.rooms)),
		attribute.Int("roomwatch.retries", s.retries-before), attribute.String("roomwatch.request_id", a.requestID))
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return a, carrier["traceparent"], err
}

// add takes the facts of a page into the sweep.
func (s *sweep) add(a answer) {
	s.pages++
	s.end, s.requestID = a.at, a.requestID
	if a.unusable > 0 && s.unusable == 0 {
		s.why = fmt.Sprintf("page %d, %s", s.pages, a.why)
	}
	s.unusable += a.unusable
	s.barren++
	for _, r := range a.rooms {
		if s.seen.Add(r.Key()) {
			s.barren = 0
		} else {
			s.duplicates++
		}
	}
}

// visit remembers the page at next as a place for probes.
func (s *sweep) visit(next string, a answer, unknown []diff.Room) {
	if s.places == nil {
		return
	}
	v := visit{next: next, at: a.at, age: s.places.pass(len(s.visits), a.at)}
	v.born = born(unknown, a.asked.Add(-v.age))
	switch {
	case len(a.rooms) > 0:
		v.low = a.rooms[len(a.rooms)-1].ViewCount
	case len(s.visits) > 0:
		v.low = s.visits[len(s.visits)-1].low
	}
	s.visits = append(s.visits, v)
}

// progress returns an error if the list that continues at next shows no sign that it
// will ever end.
func (s *sweep) progress(next string) error {
	if _, ok := s.given[next]; ok {
		return fmt.Errorf("cursor %.64q was given before in this sweep", next)
	}
	s.given[next] = struct{}{}
	if s.pages >= maxPages {
		return fmt.Errorf("the list goes on after %d pages", s.pages)
	}
	if s.barren >= maxBarren {
		return fmt.Errorf("the list goes on after %d pages without a new room", s.barren)
	}
	return nil
}

// report returns what the sweep found so far. It began when its first request
// was sent, or, if none was, when it was started.
func (s *sweep) report() *Report {
	r := &Report{
		Begin: s.begin, End: s.end, Pages: s.pages, Rooms: s.seen.Len(), Requests: s.requests,
		Retries: s.retries, Duplicates: s.duplicates, UnusableRows: s.unusable,
	}
	if r.Begin.IsZero() {
		r.Begin = s.started
	}
	return r
}
