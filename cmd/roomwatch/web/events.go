package web

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"roomwatch/cmd/internal/serve"
	"roomwatch/diff"
)

const (
	mostReaders = 32               // of events, at once
	pingEvery   = 15 * time.Second // so that a connection that is dead is found out
	// retryAfter is how long a browser waits before it connects again.
	retryAfter = 2 * time.Second
)

// An eventQuery is what a reader of events asked for.
type eventQuery struct {
	types  []diff.Type // none: all
	room   string      // empty: all
	since  time.Duration
	resume string // the id of the last event that the reader has; empty: none
}

// events answers with server-sent events until the client leaves.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	q, err := newEventQuery(r)
	if err != nil {
		serve.Refuse(w, http.StatusBadRequest, "%v", err)
		return
	}
	select {
	case s.feed.readers <- struct{}{}:
		defer func() { <-s.feed.readers }()
	default:
		w.Header().Set("Retry-After", "5")
		serve.Refuse(w, http.StatusTooManyRequests, "%d readers of events are connected, which is the most there can be: end one of them, or read the stream from NATS", mostReaders)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("X-Accel-Buffering", "no") // a proxy must not wait for more
	if r.Method == http.MethodHead {
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	items := make(chan item, 16)
	var following sync.WaitGroup
	following.Go(func() { s.feed.follow(ctx, q, items) })
	defer following.Wait()
	defer cancel()
	s.pass(ctx, w, items)
}

// pass writes what comes until the client leaves or has not read for too long.
func (s *Server) pass(ctx context.Context, w http.ResponseWriter, items <-chan item) {
	c := http.NewResponseController(w)
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	var b bytes.Buffer
	fmt.Fprintf(&b, "retry: %d\n\n", retryAfter.Milliseconds())
	for {
		// The deadline is that of this piece, not of the whole answer.
		err := c.SetWriteDeadline(time.Now().Add(s.patience))
		if err == nil {
			_, err = w.Write(b.Bytes())
		}
		if err == nil {
			err = c.Flush()
		}
		if err != nil {
			return
		}
		b.Reset()
		select {
		case <-ctx.Done():
			return
		case <-ping.C:
			b.WriteString(": ping\n\n")
		case i := <-items:
			i.write(&b)
			for more := true; more; {
				select {
				case i := <-items:
					i.write(&b)
				default:
					more = false
				}
			}
		}
	}
}

// An item is one server-sent event.
type item struct {
	id    string
	event string
	data  []byte // one line
}

func (i item) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "id: %s\nevent: %s\ndata: ", i.id, i.event)
	b.Write(i.data)
	b.WriteString("\n\n")
}

func newEventQuery(r *http.Request) (q eventQuery, err error) {
	v, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return q, fmt.Errorf("the query cannot be read: %w; percent-encode its values", err)
	}
	types := v["type"]
	delete(v, "type") // the only one that may stand more than once
	if v, err = parameters(v.Encode(), "room", "since", "last_event_id"); err != nil {
		return q, err
	}
	for _, t := range types {
		if !slices.Contains(diff.Types(), diff.Type(t)) {
			return q, fmt.Errorf("type is %.50q: choose from %s", t, typeNames())
		}
		if !slices.Contains(q.types, diff.Type(t)) {
			q.types = append(q.types, diff.Type(t))
		}
	}
	q.room = v.Get("room")
	if s := v.Get("since"); s != "" {
		q.since, err = time.ParseDuration(s)
		if err == nil && q.since <= 0 {
			err = errors.New("not above 0")
		}
		if err != nil {
			return q, fmt.Errorf("since is %.50q: write a time with its unit, such as 30s, 10m or 24h", s)
		}
	}
	// A browser that connects again sends the header and the query it began with.
	q.resume = r.Header.Get("Last-Event-ID")
	if q.resume == "" {
		q.resume = v.Get("last_event_id")
	}
	return q, nil
}

func typeNames() string {
	var names []string
	for _, t := range diff.Types() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}
