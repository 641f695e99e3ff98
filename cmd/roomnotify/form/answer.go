package form

import (
	"bytes"
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
	Busy      bool          // the service works, and has had too many requests
	After     time.Duration // the service wants to be left alone for so long, at most an hour; 0 if it does not say
}

func (r *Refusal) Error() string { return r.Text }

// An Answer is what came back.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte // its beginning
}

// Judge returns nil if the notification was taken, and a [Refusal] if it was not.
//
// Where a service says in the body what is wrong, the body decides: Feishu and
// WeCom answer 200 to everything or 400 to what is only too much, and a gateway
// in front of any of them has a status of its own. The status decides the rest.
func (t Target) Judge(a Answer, now time.Time) error {
	said := Clean(string(a.Body), 200)
	r := &Refusal{After: max(retryAfter(a.Header, now), retryAfterOf(a.Body))}
	if a.Status >= 300 && a.Status < 400 {
		r.Permanent = true
		r.Text = fmt.Sprintf("status %d: a redirect is followed on the same host alone; write the new url into the rule file", a.Status)
		return r
	}
	code, m := t.meaning(a)
	switch r.Text = fmt.Sprintf("status %d%s", a.Status, code); m {
	case taken:
		return nil
	case busy:
		r.Busy = true
	case refused:
		r.Permanent = true
	case foreign: // something else than the service answered, such as a proxy with a page of its own
		r.Text += " with an answer that is not of " + t.Kind
	case unknown:
		r.Busy = a.Status == http.StatusTooManyRequests || a.Status == 420 // Telegram's "flood"
		r.Permanent = a.Status >= 400 && a.Status < 500 && !r.Busy && !slices.Contains([]int{http.StatusRequestTimeout, http.StatusTooEarly}, a.Status)
	case failing:
	}
	if said != "" {
		r.Text += ": " + said
	}
	return r
}

// A meaning is what an answer says.
type meaning int

const (
	unknown meaning = iota // the status decides
	taken
	busy
	failing // the service has a problem of its own
	refused
	foreign
)

// What services answer in a body that says more than the status.
type reply struct {
	Code        *int // feishu, discord
	StatusCode  *int // feishu, of old
	Msg         string
	ErrCode     *int   // wecom, dingtalk
	SubCode     any    // dingtalk, with errcode 88: a number in a text
	Punish      string // dingtalk, of its gateway
	OK          *bool  // telegram
	ErrorCode   int
	Description string
}

// readReply reads what of a body can be read. A field of another type than documented
// takes nothing from the others, and is no zero, which would mean success.
func readReply(body []byte) reply {
	fields := fieldsOf(body)
	return reply{
		Code: field[*int](fields, "code"), StatusCode: field[*int](fields, "StatusCode"), Msg: field[string](fields, "msg"),
		ErrCode: field[*int](fields, "errcode"), SubCode: field[any](fields, "sub_code"), Punish: field[string](fields, "punish"),
		OK: field[*bool](fields, "ok"), ErrorCode: field[int](fields, "error_code"), Description: field[string](fields, "description"),
	}
}

// fieldsOf returns the fields of an object; none of anything else.
func fieldsOf(body []byte) (fields map[string]json.RawMessage) {
	if err := json.Unmarshal(body, &fields); err != nil {
		return nil
	}
	return fields
}

func field[T any](fields map[string]json.RawMessage, name string) (v T) {
	if err := json.Unmarshal(fields[name], &v); err != nil {
		var none T
		return none
	}
	return v
}

// meaning reads the body. The code is what it says, for texts.
func (t Target) meaning(a Answer) (code string, m meaning) {
	success := a.Status >= 200 && a.Status < 300
	switch t.Kind {
	case "webhook", "discord", "slack", "alertmanager":
		if success && t.Kind != "webhook" && isPage(a.Body) {
			return "", foreign // they have none
		}
		if success {
			return "", taken
		}
		if t.Kind == "webhook" || t.Kind == "alertmanager" {
			return "", unknown
		}
		if t.Kind == "slack" {
			return "", slackErrors[strings.ToLower(strings.TrimSpace(string(a.Body)))]
		}
	}
	body := readReply(a.Body)
	number := body.Code
	switch t.Kind {
	case "telegram":
		if body.OK != nil && *body.OK {
			return "", taken
		}
		if body.OK != nil && body.ErrorCode != 0 {
			number = &body.ErrorCode
		}
	case "feishu":
		number = cmp.Or(body.Code, body.StatusCode)
	case "wecom":
		number = body.ErrCode
	case "dingtalk":
		if number = body.dingtalk(); body.Punish == "deny" {
			return " with a ban of the gateway", busy
		}
	}
	if number == nil {
		if success {
			return "", foreign
		}
		return "", unknown
	}
	return fmt.Sprintf(" with code %d", *number), codeMeans(t.Kind, *number, body, success)
}

// dingtalk returns the code; 88 says that another field has it.
func (r reply) dingtalk() *int {
	sub, err := strconv.Atoi(fmt.Sprint(r.SubCode))
	if r.ErrCode != nil && *r.ErrCode == 88 && err == nil {
		return &sub
	}
	return r.ErrCode
}

// isPage reports whether a body is one for people, as of a proxy that wants them to
// sign in.
func isPage(body []byte) bool { return bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) }

// maxAfter bounds how long a service can ask to be left alone: a mistake of its,
// or of something between, must not silence a target for months.
const maxAfter = time.Hour

// retryAfter reads the headers in which services say how long to wait.
func retryAfter(h http.Header, now time.Time) time.Duration {
	after := afterOf(h.Get("Retry-After"), now)
	for _, name := range []string{"X-RateLimit-Reset-After", "X-Ogw-Ratelimit-Reset"} { // discord, feishu
		if h.Get("Retry-After") == "" {
			after = max(after, afterOf(h.Get(name), now))
		}
	}
	return after
}

// afterOf reads seconds, also with a fraction, a duration, a Unix time, or a date
// in any form of HTTP and RFC 3339. What is none of these says nothing.
func afterOf(v string, now time.Time) time.Duration {
	v = strings.Trim(strings.TrimSpace(v), `"`)
	if s, err := strconv.ParseFloat(v, 64); err == nil {
		if s > 1e9 && s < 1e11 {
			s -= float64(now.Unix())
		}
		return seconds(s)
	}
	if d, err := time.ParseDuration(v); err == nil {
		return min(max(0, d), maxAfter)
	}
	t, err := http.ParseTime(v)
	for _, layout := range []string{time.RFC1123Z, time.RFC1123, time.RFC3339} {
		if err != nil {
			t, err = time.Parse(layout, v)
		}
	}
	if err != nil {
		return 0
	}
	return min(max(0, t.Sub(now)), maxAfter)
}

// retryAfterOf reads what Discord and Telegram say in the body, and for how many
// minutes DingTalk's gateway bans an address.
func retryAfterOf(body []byte) time.Duration {
	fields := fieldsOf(body)
	after := max(field[float64](fields, "retry_after"), field[float64](fieldsOf(fields["parameters"]), "retry_after"))
	if field[string](fields, "punish") == "deny" {
		after = max(after, field[float64](fields, "wait")*60)
	}
	return seconds(after)
}

func seconds(s float64) time.Duration {
	if !(s > 0) { // also NaN
		return 0
	}
	return time.Duration(min(s, maxAfter.Seconds()) * float64(time.Second))
}
