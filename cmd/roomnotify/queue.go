package main

import (
	"context"
)

// A queue brings the notifications that wait for a target and may be told, in
// their order: of rules that still exist, and of digests only those whose rule is
// not quiet. What a rule that is gone has left is never read; `roomnotify resend`
// can send it.
type queue struct {
	g     *target
	heads []*head
}

// A head is the first notification of a rule that was not brought yet.
type head struct {
	rule *ruleState
	from uint64 // where to look for it
	s    *stored
	end  bool // there is none
}

// queue returns what waits from a sequence number of the store on.
func (g *target) queue(from uint64) *queue {
	q := &queue{g: g}
	for _, r := range g.rules {
		q.heads = append(q.heads, &head{rule: r, from: from})
	}
	return q
}

// next returns nil at the end of the queue.
func (q *queue) next(ctx context.Context) (*stored, error) {
	var first *head
	for _, h := range q.heads {
		if err := q.look(ctx, h); err != nil {
			return nil, err
		}
		if h.s != nil && (first == nil || h.s.seq < first.s.seq) {
			first = h
		}
	}
	if first == nil {
		return nil, nil
	}
	s := first.s
	first.s, first.from = nil, s.seq+1
	return s, nil
}

func (q *queue) look(ctx context.Context, h *head) error {
	subject := q.g.store.subject(waitingPart, q.g.t.Name, h.rule.Name)
	for h.s == nil && !h.end {
		s, err := q.g.store.next(ctx, subject, h.from)
		switch {
		case err != nil:
			return err
		case s == nil:
			h.end = true
		case s.n.Digest != nil && h.rule.Quiet.At(q.g.now()):
			h.from = s.seq + 1
		default:
			h.s = s
		}
	}
	return nil
}

// batch returns the first notifications that wait.
func (g *target) batch(ctx context.Context) ([]*stored, error) {
	n := 1
	if workers(g.t) > 1 {
		n = batchSize
	}
	var list []*stored
	for q := g.queue(0); len(list) < n; {
		s, err := q.next(ctx)
		if err != nil || s == nil {
			return list, err
		}
		list = append(list, s)
	}
	return list, nil
}
