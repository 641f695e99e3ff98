package publisher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"roomwatch/diff"
)

const (
	// pulseEvery is how often the writer tells that it watches.
	pulseEvery = time.Minute
	// pulseLook is how often it is looked whether this process is the writer.
	pulseLook = time.Second
	// pulseAgain is the pause after NATS has not taken it.
	pulseAgain = 10 * time.Second
	// deniedWait is the pause after NATS has not allowed it: what a connection may do
	// changes only with the connection.
	deniedWait = 10 * time.Minute
)

// A Watch is the reading of the list, of which a [Pulse] tells. Its methods may be
// called at any time.
type Watch interface {
	// Pulse returns how the watch is doing.
	Pulse() diff.Pulse
	// Gap returns the oldest gap that the stream is not known to have.
	Gap() (g diff.Gap, waits bool)
	// GapEnded gets a value after a gap has ended.
	GapEnded() <-chan struct{}
	// Told notes that the stream has the gap, and all before it.
	Told(g diff.Gap) error
}

// A Pulse tells, on the stream, that somebody watches: watch.alive once a minute, and
// watch.resumed after a gap in which nobody did. It tells both only as the writer, with
// the fence of the writer's claim, so a process that was fenced off cannot tell them.
//
// Watched means that the list was read to its end: up to the end of the newest complete
// sweep, whoever made it ([diff.Policy.Gap]). That moment is in the state file; the
// stream knows it, too, from the newest watch.alive, for the writer that has lost its
// file or comes after another ([Outbox.Watched]).
//
// A gap waits in the state until the stream has it. What a crash leaves behind:
//
//	before watch.resumed is stored  the gap; the next start tells it
//	after it, before [Watch.Told]   the gap; the stream's newest watch.resumed says that
//	                                it is told, whatever the duplicate window remembers
//
// It is told before the next watch.alive. So what the stream says of the watch is whole
// up to the newest of both.
//
// The pulse has a goroutine of its own and never holds an event up. While NATS is away,
// watch.alive is left out, not kept: the past has no pulse.
type Pulse struct {
	pub     *Publisher
	watch   Watch
	log     *slog.Logger
	sent    *prometheus.CounterVec
	started time.Time // the process

	mu    sync.Mutex
	begun time.Time // the newest time that this process began to ask the service
}

// A PulseStatus is what is known of the pulse at a moment.
type PulseStatus struct {
	Last  time.Time // when this process stored watch.alive last; zero: not yet
	Error error     // why it could not be stored; nil if it could, and while NATS is away
	Since time.Time // of Error
}

// NewPulse returns the pulse of what a publisher's outbox watches. It does no I/O.
func NewPulse(pub *Publisher, watch Watch, metrics prometheus.Registerer) *Pulse {
	p := &Pulse{pub: pub, watch: watch, log: pub.log, started: time.Now()}
	f := promauto.With(metrics)
	p.sent = f.NewCounterVec(prometheus.CounterOpts{Namespace: "roomwatch", Subsystem: "pulse", Name: "sent_total",
		Help: "Messages of the pulse that the stream has acknowledged: watch.alive once a minute, watch.resumed after each gap. No watch.alive for minutes: subscribers take it that nobody watches."}, []string{"type"})
	for _, t := range []string{aliveType, resumedType} {
		p.sent.WithLabelValues(t)
	}
	f.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "roomwatch", Subsystem: "pulse", Name: "failing",
		Help: "1 while the stream does not take the pulse although NATS is there. The log and the status say why."}, func() float64 {
		if p.Status().Error != nil {
			return 1
		}
		return 0
	})
	return p
}

// Status may be called at any time.
func (p *Pulse) Status() PulseStatus {
	p.pub.mu.Lock()
	defer p.pub.mu.Unlock()
	return p.pub.status.Pulse
}

// Begin notes that this process asks the service from now on.
func (p *Pulse) Begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.begun = time.Now()
}

// asks returns since when this process asks the service; zero if it never did.
func (p *Pulse) asks() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.begun
}

// Run tells until ctx is done. It is called once.
//
// A process that becomes the writer tells it when it has read the list, not a minute
// after the last time that it would have: where writers change often, nobody else might
// tell for minutes, and who comes then would take that time for a gap.
func (p *Pulse) Run(ctx context.Context) {
	select {
	case <-p.pub.Recovered():
	case <-ctx.Done():
		return
	}
	look := time.NewTimer(0)
	defer look.Stop()
	failed := false
	var told, due time.Time // up to when the newest one says that it was watched; when the next one is due
	for {
		ended := false
		select {
		case <-ctx.Done():
			return
		case <-p.watch.GapEnded():
			ended = true
		case <-look.C:
		}
		look.Reset(pulseLook)
		now, until := time.Now(), p.watch.Pulse().Until
		fence, is := p.pub.writer()
		begun := p.asks()
		early := !failed && (ended || told.Before(begun) && until.After(begun))
		if !is || !p.pub.conn.IsConnected() || now.Before(due) && !early {
			continue
		}
		err := p.beat(ctx, fence)
		if ctx.Err() != nil {
			return
		}
		switch failed = err != nil; {
		case !failed:
			told, due = until, now.Add(pulseEvery)
		case errors.Is(err, nats.ErrPermissionViolation):
			due = now.Add(deniedWait)
		default:
			due = now.Add(pulseAgain)
		}
		p.note(ctx, fence, err)
	}
}

// note keeps what came of a beat, and logs the change.
func (p *Pulse) note(ctx context.Context, fence uint64, err error) {
	switch {
	case err != nil && !p.pub.conn.IsConnected():
		return // the publisher says that NATS is away
	case outcomeOf(err) == fenced:
		p.pub.doubt(fence, err)
		return // whether another is the writer, or the stream has let the claim go, the publisher says
	}
	p.pub.mu.Lock()
	defer p.pub.mu.Unlock()
	status := &p.pub.status.Pulse
	switch was := status.Error; {
	case err == nil && was != nil:
		p.log.InfoContext(ctx, "pulse recovered", "after", time.Since(status.Since))
		status.Since = time.Time{}
	case err != nil && was == nil:
		status.Since = time.Now()
		fallthrough
	case err != nil && was.Error() != err.Error():
		p.log.WarnContext(ctx, "pulse fails", "error", err, "since", status.Since, "consequence", "subscribers cannot see that somebody watches; events are not touched")
	}
	if status.Error = err; err == nil {
		status.Last = time.Now()
	}
}

// beat tells of the gaps that wait, and that somebody watches.
func (p *Pulse) beat(ctx context.Context, fence uint64) error {
	for {
		g, waits := p.watch.Gap()
		if !waits {
			break
		}
		if err := p.tell(ctx, fence, g); err != nil {
			return err
		}
	}
	body, id, err := p.alive(p.watch.Pulse())
	if err != nil {
		return fmt.Errorf("encode %s: %w", aliveType, err)
	}
	_, err = p.store(ctx, fence, aliveType, id, body)
	return err
}

// tell stores a gap if the stream does not have it.
func (p *Pulse) tell(ctx context.Context, fence uint64, g diff.Gap) error {
	s, err := p.pub.newSession(legacy{})
	if err != nil {
		return err
	}
	newest, err := lastTold[resumedData](ctx, s, p.pub.subjectOf(resumedType))
	if err != nil {
		return err
	}
	if to := parsed(newest.Data.To); to.Before(g.To) {
		body, id, err := p.resumed(g)
		if err != nil {
			return fmt.Errorf("encode %s: %w", resumedType, err)
		}
		known, err := p.store(ctx, fence, resumedType, id, body)
		if err == nil && known {
			// Another application has a gap that began in the same millisecond: what the
			// stream has of this one was looked at.
			_, err = p.store(ctx, fence, resumedType, "", body)
		}
		if err != nil {
			return err
		}
	}
	return p.watch.Told(g)
}

// store puts a message on the stream, unless another is the writer. known: there was one
// with its id already.
func (p *Pulse) store(ctx context.Context, fence uint64, typ, id string, body []byte) (known bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	js, err := p.pub.conn.JetStream(jetstream.WithDefaultTimeout(requestTimeout))
	if err != nil {
		return false, err
	}
	msg := message(p.pub.subjectOf(typ), id, body)
	if id == "" {
		msg.Header.Del(nats.MsgIdHdr)
	}
	setFence(msg, fence, claimSubject(p.pub.stream.Prefix, p.pub.app))
	q := p.pub.conn.Ask()
	ack, err := js.PublishMsg(ctx, msg)
	if err != nil {
		return false, fmt.Errorf("publish %s: %w", typ, p.pub.explain(q, err))
	}
	if !ack.Duplicate {
		p.sent.WithLabelValues(typ).Inc()
	}
	return ack.Duplicate, nil
}

// why says why nobody watched in a gap: what took the longest part of it. A process
// before this one ran as long as it told that it did.
func (p *Pulse) why(g diff.Gap) why {
	p.pub.mu.Lock()
	ran := p.pub.ranUntil
	p.pub.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	within := func(from, to time.Time) time.Duration {
		if from.Before(g.From) {
			from = g.From
		}
		if to.After(g.To) {
			to = g.To
		}
		return max(0, to.Sub(from))
	}
	down, stood := within(ran, p.started), within(p.started, p.begun)
	away := g.To.Sub(g.From) - down - stood
	switch {
	case down >= stood && down >= away:
		return stopped
	case stood >= away:
		return standby
	}
	return unreachable
}
