package bus

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"

	"roomwatch/cmd/internal/serve"
	"roomwatch/cmd/roomwatch/web"
	"roomwatch/diff/retry"
)

const (
	mostWaiting = 64              // questions for each subject
	mostBytes   = 256 << 10       // of them together
	answerWait  = 4 * time.Second // for an answer: clients wait five
)

// A question is what an endpoint is asked.
type question struct {
	data []byte
	most int // bytes of the answer
}

// An endpoint is a subject with its answer. One goroutine works at it, the client's.
type endpoint struct {
	name    string // empty: a verb, which is not listed
	subject string
	queue   string // empty: each process answers
	writer  bool   // only the writer answers
	answer  func(ctx context.Context, q question) (any, error)

	pace pace

	mu    sync.Mutex
	sub   *nats.Subscription // nil: none
	stats micro.EndpointStats
}

// subscribe has the endpoint answer over a connection, or not.
func (e *endpoint) subscribe(ctx context.Context, s *Service, nc *nats.Conn, anew, wanted bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if anew {
		e.sub = nil // it ended with its connection
	}
	switch {
	case wanted && e.sub == nil:
		handle := func(m *nats.Msg) { e.handle(ctx, s, nc, m) }
		sub, err := nc.QueueSubscribe(e.subject, e.queue, handle)
		if err != nil {
			return err
		}
		e.sub = sub
		return sub.SetPendingLimits(mostWaiting, mostBytes)
	case !wanted && e.sub != nil:
		sub := e.sub
		e.sub = nil
		return sub.Drain() // those who have asked hear who does not answer
	}
	return nil
}

// handle answers a question.
func (e *endpoint) handle(ctx context.Context, s *Service, nc *nats.Conn, m *nats.Msg) {
	if !s.mayAnswer(m.Reply) || !s.enter() {
		return
	}
	defer s.working.Done()
	if e.pace.rest(ctx) != nil {
		return
	}
	began := time.Now()
	err := e.respond(ctx, s, nc, m)
	took := time.Since(began)
	e.pace.worked(took)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.NumRequests++
	e.stats.ProcessingTime += took
	e.stats.AverageProcessingTime = e.stats.ProcessingTime / time.Duration(e.stats.NumRequests)
	if err != nil {
		e.stats.NumErrors++
		e.stats.LastError = err.Error()
	}
}

func (e *endpoint) respond(ctx context.Context, s *Service, nc *nats.Conn, m *nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, answerWait)
	defer cancel()
	q := question{data: m.Data, most: int(nc.MaxPayload())}
	v, err := any(nil), error(nil)
	if e.writer && !s.c.Writer() {
		err = &web.Refusal{Status: http.StatusServiceUnavailable, Text: "this roomwatch is not the writer: ask again, and the one that is will answer"}
	} else {
		v, err = e.answer(ctx, q)
	}
	if err == nil {
		body := serve.Encode(v)
		if len(body) <= q.most {
			return m.Respond(body)
		}
		err = web.TooLarge(len(body), q.most)
	}
	no := &web.Refusal{}
	if !errors.As(err, &no) { // unreachable: whoever answers refuses with a Refusal
		no = &web.Refusal{Status: http.StatusInternalServerError, Text: "there is no answer; the log of roomwatch says why"}
	}
	reply := nats.NewMsg(m.Reply)
	reply.Header.Set(micro.ErrorHeader, no.Text)
	reply.Header.Set(micro.ErrorCodeHeader, strconv.Itoa(no.Status))
	reply.Data = serve.Encode(web.Problem{Error: no.Text})
	return cmp.Or(m.RespondMsg(reply), err)
}

// mayAnswer reports whether a subject may be the inbox of one who asks (law B3).
func (s *Service) mayAnswer(reply string) bool {
	return reply != "" && !strings.HasPrefix(reply, "$") && !strings.HasPrefix(reply+".", s.c.StreamPrefix+".")
}

// A pace lets one who works rest for most of the time. What it has not worked in the
// last second it may work at once. It is used by one goroutine.
type pace struct{ free time.Time }

const (
	restShare = 3               // one part of work, so many of time
	restBurst = time.Second     // of time
	restMost  = 2 * time.Second // whoever asks waits five
)

func (p *pace) rest(ctx context.Context) error { return retry.Sleep(ctx, time.Until(p.free)) }

func (p *pace) worked(took time.Duration) {
	now := time.Now()
	if first := now.Add(-restBurst); p.free.Before(first) {
		p.free = first
	}
	p.free = p.free.Add(restShare * took)
	if last := now.Add(restMost); p.free.After(last) {
		p.free = last
	}
}
