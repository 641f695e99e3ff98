package poller

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// ErrConfig is wrapped by errors that only a change of the configuration or of
// the account ends. Its text says what to change.
var ErrConfig = errors.New("configuration refused")

// ErrThrottled is wrapped by errors of a [Poller.Glance] that came too early for the
// service's limit: whether it would have been answered is not known.
var ErrThrottled = errors.New("the service limits requests")

// A Class says what can be done about an error of the service.
type Class int

// The classes of errors.
const (
	Retry    Class = iota // the same request may succeed a moment later
	Throttle              // as Retry, but later and at a lower rate
	Resign                // a new signature may help, once
	Fatal                 // configuration or account: someone has to act
	Bug                   // the request itself is wrong
)

// String returns the class in lower case, as metrics show it.
func (c Class) String() string {
	switch c {
	case Retry:
		return "retry"
	case Throttle:
		return "throttle"
	case Resign:
		return "resign"
	case Fatal:
		return "fatal"
	case Bug:
		return "bug"
	}
	return fmt.Sprintf("class %d", int(c))
}

// An APIError is an answer of the service other than success.
type APIError struct {
	Code      int    // ErrorCode; 0 if the service said FAIL without one
	Info      string // ErrorInfo, as far as it is fit to be shown
	RequestID string // what the vendor's support asks for
	Class     Class
	Advice    string // what the vendor's documentation says about the code
}

// Error tells the code, what the service says, what to do, and the RequestId.
func (e *APIError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "code %d", e.Code)
	if e.Info != "" {
		fmt.Fprintf(&b, " %q", e.Info)
	}
	if e.Advice != "" {
		b.WriteString(": " + e.Advice)
	}
	if e.RequestID != "" {
		fmt.Fprintf(&b, " (RequestId %s)", e.RequestID)
	}
	return b.String()
}

// A statusError is an answer that does not come from the API itself.
type statusError int

func (e statusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("HTTP status %d %s", int(e), http.StatusText(int(e))))
}

// classOf returns the class of any error of a request. What is not known, the
// network, time-outs and answers that cannot be decoded among it, is retried.
func classOf(err error) Class {
	if e, ok := errors.AsType[*APIError](err); ok {
		return e.Class
	}
	if e, ok := errors.AsType[statusError](err); ok && e == 429 {
		return Throttle
	}
	return Retry
}

// outcomeOf returns the label under which a request is counted.
func outcomeOf(err error) string {
	if err == nil {
		return "ok"
	}
	class := classOf(err)
	if _, ok := errors.AsType[*APIError](err); !ok && class == Retry {
		return "transport"
	}
	return class.String()
}
