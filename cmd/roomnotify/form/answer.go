package form

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Refusal is what a service answered instead of taking a notification.
type Refusal struct {
	Text      string        // may have words of the service in it
	Permanent bool          // trying again does not help
	After     time.Duration // the service wants to be left alone for so long; 0 if it does not say
}

func (r *Refusal) Error() string { return r.Text }

// An Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // its beginning
}

// Judge returns nil if the notification was taken, and a [Refusal] if it was not.
// Feishu and WeCom, and Telegram behind some proxies, answer 200 to everything.
func (t Target) Judge(a Answer, now time.Time) error {
	r := &Refusal{Text: fmt.Sprintf("status %d", a.Status), After: retryAfter(a.Header, now)}
	said := Clean(string(a.Body), 200)
	switch {
	case a.Status >= 200 && a.Status < 300:
		return t.judgeBody(a, said)
	case a.Status >= 300 && a.Status < 400:
		r.Permanent = true
		r.Text += ": a redirect is followed on the same host alone; write the new url into the rule file"
		return r
	case a.Status >= 400 && a.Status < 500:
		r.Permanent = !slices.Contains([]int{http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests}, a.Status)
	}
	r.After = max(r.After, retryAfterOf(a.Body))
	if said != "" {
		r.Text += ": " + said
	}
	return r
}

// What services answer in a body that says more than the status.
type reply struct {
	Code        *int   `json:"code"`       // feishu
	StatusCode  *int   `json:"StatusCode"` // feishu, of old
	ErrCode     *int   `json:"errcode"`    // wecom
	OK          *bool  `json:"ok"`         // telegram
	ErrorCode   int    `json:"error_code"`
	Description string `json:"description"`
}

// busy are the codes that waiting mends; after them a minute is waited, which is
// the span of all these limits.
var busy = map[string][]int{
	"feishu": {11232, 11233, 1061045, 99991400}, // frequency limited
	"wecom":  {45009, 45033},                    // frequency, concurrency
}

// internal are the codes that say that the service itself has a problem.
var internal = map[string][]int{"feishu": {1500, 5000, 11205, 19099}, "wecom": {-1, 6000, 50001}}

func (t Target) judgeBody(a Answer, said string) error {
	if !slices.Contains([]string{"feishu", "wecom", "telegram"}, t.Kind) {
		return nil
	}
	var body reply
	// Something else than the service answered, such as a proxy with a page of its own.
	strange := &Refusal{Text: fmt.Sprintf("status %d with an answer that is not of %s: %s", a.Status, t.Kind, said)}
	if err := json.Unmarshal(a.Body, &body); err != nil {
		return strange
	}
	if t.Kind == "telegram" {
		return body.telegram(a, said, strange)
	}
	code := body.ErrCode
	if t.Kind == "feishu" {
		code = cmp.Or(body.Code, body.StatusCode)
	}
	switch {
	case code == nil:
		return strange
	case *code == 0:
		return nil
	}
	r := &Refusal{Text: fmt.Sprintf("status %d with code %d: %s", a.Status, *code, said)}
	switch {
	case slices.Contains(busy[t.Kind], *code):
		r.After = time.Minute
	case !slices.Contains(internal[t.Kind], *code):
		r.Permanent = true
	}
	return r
}

func (b reply) telegram(a Answer, said string, strange error) error {
	switch {
	case b.OK == nil:
		return strange
	case *b.OK:
		return nil
	}
	r := &Refusal{Text: fmt.Sprintf("status %d with code %d: %s", a.Status, b.ErrorCode, said), After: retryAfterOf(a.Body)}
	r.Permanent = b.ErrorCode >= 400 && b.ErrorCode < 500 && b.ErrorCode != http.StatusTooManyRequests
	return r
}

// retryAfter reads the header, which has seconds or a date.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := strings.TrimSpace(h.Get("Retry-After"))
	if s, err := strconv.ParseFloat(v, 64); err == nil { // some services have fractions
		return seconds(s)
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, t.Sub(now))
	}
	return 0
}

// retryAfterOf reads what Discord and Telegram say in the body.
func retryAfterOf(body []byte) time.Duration {
	var b struct {
		RetryAfter float64 `json:"retry_after"`
		Parameters struct {
			RetryAfter float64 `json:"retry_after"`
		} `json:"parameters"`
	}
	if err := json.Unmarshal(body, &b); err != nil {
		return 0
	}
	return seconds(max(b.RetryAfter, b.Parameters.RetryAfter))
}

// seconds bounds what would not fit a duration.
func seconds(s float64) time.Duration {
	return time.Duration(max(0, min(s, 1e7)) * float64(time.Second))
}
