package poller

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"roomwatch/diff"
)

const (
	apiPath    = "/v4/live_engine_http_srv/"
	listCall   = "get_room_list"
	infoCall   = "get_room_info"
	maxAnswer  = 4 << 20  // bytes; a page of 20 rooms has some 5,000
	keepAnswer = 64 << 10 // bytes of memory that are kept for the next answer
	maxDiscard = 64 << 10 // bytes of an unwanted body that are read to keep the connection
)

// errNotHTTP stands for an error of net/http that repeats whatever the other side
// says, which may be the whole banner of another kind of server.
var errNotHTTP = errors.New("the answer is not HTTP: another kind of server is there")

// A client makes one request at a time and never repeats one.
type client struct {
	endpoint Endpoint
	signer   *Signer
	timeout  time.Duration
	http     http.Client
	body     bytes.Buffer  // of the answer that is being read; its memory serves all of them
	sig      string        // of the newest request
	date     time.Time     // of the newest answer, by its own Date; zero if it has none
	after    time.Duration // what the Retry-After of its answer asks for
	scrub    scrubber      // of that and the key
}

// newClient returns a client that keeps up to so many connections open.
func newClient(e Endpoint, s *Signer, timeout time.Duration, conns int, dial func(context.Context, string, string) (net.Conn, error)) *client {
	if dial == nil {
		dial = (&net.Dialer{Timeout: timeout}).DialContext
	}
	return &client{endpoint: e, signer: s, timeout: timeout, http: http.Client{
		// A redirect would carry the signature elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         dial,
			TLSHandshakeTimeout: timeout,
			MaxIdleConnsPerHost: conns,
			IdleConnTimeout:     90 * time.Second,
		},
	}}
}

// twin returns a client that works beside c, on the same connections.
func (c *client) twin() *client {
	return &client{endpoint: c.endpoint, signer: c.signer, timeout: c.timeout, http: c.http}
}

// close ends the connections that are kept open between requests.
func (c *client) close() { c.http.CloseIdleConnections() }

// An answer is a page and the circumstances in which it came.
type answer struct {
	page
	at    time.Time // when it had arrived whole
	asked time.Time // when its request left, by the service's clock
}

// list asks for the page at next. Its errors hold no secret.
func (c *client) list(ctx context.Context, next, sig string) (answer, error) {
	var p page
	left, at, err := c.call(ctx, listCall, wireRequest{Next: next, Count: pageSize}, sig, func(body []byte) (err error) {
		p, err = decodePage(body, c.date)
		return err
	})
	if err != nil {
		return answer{}, err
	}
	p.requestID, p.why = c.scrub.line(p.requestID), c.scrub.line(p.why)
	return answer{page: p, at: at, asked: asked(left, at, c.date)}, nil
}

// room asks for one room. That it does not exist is no error. Errors hold no secret.
func (c *client) room(ctx context.Context, id, sig string) (diff.Read, error) {
	r := diff.Read{RoomID: id}
	var err error
	r.Sent, r.At, err = c.call(ctx, infoCall, wireInfoRequest{RoomID: id}, sig, func(body []byte) (err error) {
		err = decodeInfo(body, &r, c.date)
		return err
	})
	r.RequestID = c.scrub.line(r.RequestID)
	return r, err
}

// call makes one request and decodes its answer. It returns when the request left
// and when the answer had arrived.
func (c *client) call(ctx context.Context, name string, body any, sig string, decode func([]byte) error) (left, at time.Time, err error) {
	if sig != c.sig || c.scrub.IsZero() {
		c.sig, c.scrub = sig, newScrubber(sig, c.signer.secretKey())
	}
	c.after, c.date = 0, time.Time{}
	left = time.Now()
	raw, err := c.post(ctx, name, body, sig)
	at = time.Now()
	if err == nil {
		err = decode(raw)
	}
	if err != nil {
		hint := c.endpoint.hintOf(err) // of what the error wraps, which may have to go
		err = fmt.Errorf("%s %s: %w", name, c.endpoint, hinted(later(c.scrub.err(err), c.after), hint))
	}
	return left, at, err
}

// asked returns when a request left, by the clock of the service if date is its
// answer's. A Date has only seconds, so only whole ones are taken off it.
func asked(left, at, date time.Time) time.Time {
	if date.IsZero() {
		return left.Round(0)
	}
	return date.Add(-at.Sub(left).Truncate(time.Second))
}

// post sends the request and returns the body of the answer, which is valid until
// the next call. The errors of net/http hold the URL, and so the signature; they
// are unwrapped here.
func (c *client) post(ctx context.Context, name string, call any, sig string) ([]byte, error) {
	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := c.request(limited, name, call, sig)
	if err != nil {
		return nil, err
	}
	body, err := c.do(req)
	if err == nil {
		return body, nil
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	for _, said := range []string{"malformed HTTP ", "readLoopPeekFailLocked: %!w(<nil>)"} { // the other side may have spoken first
		if strings.Contains(err.Error(), said) {
			err = errNotHTTP
		}
	}
	if limited.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("no answer within %v: %w", c.timeout, err)
	}
	return nil, err
}

func (c *client) request(ctx context.Context, name string, call any, sig string) (*http.Request, error) {
	query := url.Values{
		"sdkappid":    {strconv.FormatInt(c.signer.appID, 10)},
		"identifier":  {c.signer.identifier},
		"usersig":     {sig},
		"random":      {strconv.FormatUint(uint64(rand.Uint32()), 10)},
		"contenttype": {"json"},
	}
	body, err := json.Marshal(call)
	if err != nil {
		return nil, fmt.Errorf("encode request: %w", err) // unreachable: strings and numbers
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.endpoint.String()+apiPath+name+"?"+query.Encode(), bytes.NewReader(body))
	if err != nil {
		return nil, err // unreachable: the endpoint was parsed before
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "roomwatch")
	return req, nil
}

func (c *client) do(req *http.Request) ([]byte, error) {
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }() // nothing is lost: what was wanted has been read
	c.after = retryAfter(resp.Header, time.Now())
	c.date, _ = http.ParseTime(resp.Header.Get("Date")) // zero where it is none
	if resp.StatusCode != http.StatusOK {
		_, _ = io.CopyN(io.Discard, resp.Body, maxDiscard) // for the connection's sake
		return nil, statusError(resp.StatusCode)
	}
	if c.body.Cap() > keepAnswer {
		c.body = bytes.Buffer{}
	}
	c.body.Reset()
	if _, err := c.body.ReadFrom(io.LimitReader(resp.Body, maxAnswer+1)); err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if c.body.Len() > maxAnswer {
		return nil, fmt.Errorf("answer has more than %d bytes", maxAnswer)
	}
	return c.body.Bytes(), nil
}
