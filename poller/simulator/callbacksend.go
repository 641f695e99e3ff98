package simulator

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"
)

const (
	callbackTimeout = 2 * time.Second
	maxFlying       = 64                    // callbacks sent at once; more wait for an answer
	minPause        = 10 * time.Millisecond // between two looks at a busy world
	maxCallbackBody = 64 << 10              // bytes read of an answer, which says nothing
)

// SendCallbacks sends what happens in the world to Callbacks.URL until ctx is
// done. It is what lets the world go on when nobody asks the service anything.
//
// Each callback is sent once, whatever the answer is, and after two seconds it is
// given up. When SendCallbacks returns it has left no goroutine behind; requests on
// their way are broken off, and callbacks that wait are left to the next call.
func (s *Service) SendCallbacks(ctx context.Context) {
	own := &http.Transport{Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: maxFlying, IdleConnTimeout: time.Minute}
	defer own.CloseIdleConnections()
	var posts sync.WaitGroup
	defer posts.Wait()
	free := make(chan struct{}, maxFlying)
	for {
		select {
		case free <- struct{}{}:
		case <-ctx.Done():
			return
		}
		if ctx.Err() != nil { // select chose at random
			return
		}
		c, to, wait := s.nextCallback()
		if wait == 0 {
			posts.Go(func() {
				s.answered(post(ctx, own, to, s.c.SDKAppID, c))
				<-free
			})
			continue
		}
		<-free
		if !s.callbacks.pause(ctx, wait) {
			return
		}
	}
}

// nextCallback returns the callback that is due and where it goes, or how long to
// wait for one.
func (s *Service) nextCallback() (callback, Callbacks, time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if c, ok := s.callbacks.take(now); ok {
		return c, s.callbacks.to, 0
	}
	wait := time.Hour // whatever changes ends it
	if at, ok := s.world.due(); ok && s.callbacks.to.URL != "" {
		wait = max(at.Sub(now), minPause)
	}
	if len(s.callbacks.waiting) > 0 {
		wait = min(wait, s.callbacks.waiting[0].due.Sub(now))
	}
	return callback{}, Callbacks{}, wait
}

// answered counts an answer; status 0 is none.
func (s *Service) answered(status int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.callbacks.flying--
	if status == 0 {
		s.callbacks.counts.Unanswered++
		return
	}
	s.callbacks.counts.Answered[status]++
}

// pause waits so long or until something changed, and reports whether ctx is not done.
func (q *callbackQueue) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-q.wake:
	case <-ctx.Done():
		return false
	}
	return true
}

// post sends one callback and returns the HTTP status, or 0 if there is no answer.
func post(ctx context.Context, own http.RoundTripper, to Callbacks, app int, c callback) int {
	ctx, cancel := context.WithTimeout(ctx, callbackTimeout)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, callbackURL(to, app, c, time.Now()), bytes.NewReader(c.body))
	if err != nil {
		return 0 // unreachable: Callbacks.check parsed the URL
	}
	r.Header.Set("Content-Type", "application/json")
	client := http.Client{Transport: to.Transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if to.Transport == nil {
		client.Transport = own
	}
	a, err := client.Do(r)
	if err != nil {
		return 0
	}
	_, _ = io.Copy(io.Discard, io.LimitReader(a.Body, maxCallbackBody)) // so that the connection can be used again
	_ = a.Body.Close()
	return a.StatusCode
}

// callbackURL adds the documented parameters to Callbacks.URL.
func callbackURL(to Callbacks, app int, c callback, now time.Time) string {
	u, err := url.Parse(to.URL)
	if err != nil {
		return "" // unreachable: Callbacks.check parsed it
	}
	q := u.Query()
	q.Set("SdkAppid", strconv.Itoa(app))
	q.Set("CallbackCommand", c.command)
	q.Set("contenttype", "json")
	q.Set("ClientIP", "192.0.2.1")
	q.Set("OptPlatform", c.platform)
	if to.Token != "" {
		requestTime := strconv.FormatInt(now.Unix(), 10)
		sum := sha256.Sum256([]byte(to.Token + requestTime))
		q.Set("Sign", hex.EncodeToString(sum[:]))
		q.Set("RequestTime", requestTime)
	}
	u.RawQuery = q.Encode()
	return u.String()
}
