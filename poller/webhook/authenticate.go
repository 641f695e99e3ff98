package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxOffset  = time.Minute     // of a callback's time from ours
	tokenGrace = 3 * time.Minute // for which a token holds after another took its place: the vendor takes two minutes
)

// A timeError is a callback with a right signature and a time that is not ours.
type timeError struct{ offset time.Duration }

func (e *timeError) Error() string {
	return fmt.Sprintf("RequestTime is %s off; at most %s is allowed: see that the clock of this machine is right", e.offset, maxOffset)
}

// authenticate checks who calls, and returns when the callback was signed: Sign is the hexadecimal SHA-256 of token and
// RequestTime, which is in Unix seconds. The parameter of the application has two
// spellings in the vendor's documentation.
func (r *Receiver) authenticate(q url.Values, now time.Time) (seconds int64, v outcome, err error) {
	stamp, sign := q.Get("RequestTime"), strings.ToLower(q.Get("Sign"))
	signed := false
	for _, token := range r.tokens.valid(now) {
		sum := sha256.Sum256([]byte(token + stamp))
		signed = token != "" && hmac.Equal([]byte(hex.EncodeToString(sum[:])), []byte(sign)) || signed
	}
	if !signed || stamp == "" {
		return 0, wrongSign, errors.New("the Sign is not that of RequestTime: set the same token here and at the vendor's console")
	}
	app := q.Get("SdkAppid")
	if app == "" {
		app = q.Get("SdkAppId")
	}
	if app != r.app {
		return 0, otherApp, fmt.Errorf("SdkAppid is %.20q: callbacks of %s are received here", app, r.app)
	}
	seconds, err = strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return 0, wrongTime, fmt.Errorf("RequestTime is %.20q: it has to be Unix seconds", stamp)
	}
	if offset := time.Unix(seconds, 0).Sub(now.Truncate(time.Second)); offset.Abs() > maxOffset {
		return 0, wrongTime, &timeError{offset}
	}
	return seconds, taken, nil
}

// tokens are those that hold: the current one, and for a while the one before.
type tokens struct {
	current func() string

	mu          sync.Mutex
	now, before string
	until       time.Time // the one before holds
}

func (t *tokens) valid(now time.Time) []string {
	current := t.current()
	t.mu.Lock()
	defer t.mu.Unlock()
	if current != t.now {
		if t.now != "" {
			t.before, t.until = t.now, now.Add(tokenGrace)
		}
		t.now = current
	}
	if t.before == "" || now.After(t.until) {
		return []string{t.now}
	}
	return []string{t.now, t.before}
}
