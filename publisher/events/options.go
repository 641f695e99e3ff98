package events

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Options say what to subscribe to, and how. The zero value of a field is its
// documented default.
type Options struct {
	Stream  string // "" means LIVE
	Prefix  string // of the subjects; "" means live
	Durable string // required: the name under which NATS keeps the position in the stream

	Types []Type   // none means all
	App   int      // SDKAPPID; 0 means all
	Rooms []string // RoomIds; none means all

	// Where a durable begins that does not exist yet; the first event of the
	// stream if both are zero. One that exists resumes where it was.
	From    time.Time
	OnlyNew bool

	// Place keeps the position of the subscriber beside the durable. It continues there
	// when the durable was removed, or begins with the first message of a stream that
	// was recreated, and logs what is gone. Without it the position is known only
	// while the subscriber runs: the next one begins as a new one.
	Place Place

	// Begin is called when nobody else uses the durable, before the first event is
	// handled, and once. Nothing is handled until it returns; it has to when its
	// context is done.
	Begin func(context.Context)

	Workers int           // handlers at once, for different rooms; 0 means 8
	Pending int           // most events that are taken from NATS and not finished; 0 means 1024
	AckWait time.Duration // after which NATS delivers anew what a subscriber took that is gone; 0 means 30 s

	// After a handler's error the event is retried, after RetryMin, twice
	// that, and so on up to RetryMax.
	RetryMin time.Duration // 0 means 250 ms
	RetryMax time.Duration // 0 means 30 s

	// Park is a subject of another stream, to which an event goes that failed
	// Tries times, and a message that is no event. The user needs the permission to
	// publish to it. Empty: such a thing is retried forever, and holds up its room.
	Park  string
	Tries int // 0 means 5

	// Grace is how long handlers may continue after ctx is done before their context
	// is cancelled, too; 0 means 30 s.
	Grace time.Duration
	// Remember is how many ids of finished events are kept, so that what NATS
	// delivers again is not handled again; 0 means 65,536.
	Remember int

	Log *slog.Logger // nil discards
}

// withDefaults returns the options with the defaults in place of zeros, or all
// that is wrong with them.
func (o Options) withDefaults() (Options, error) {
	o = o.named()
	o.Workers = orDefault(o.Workers, 8)
	o.Pending = orDefault(o.Pending, 1024)
	o.AckWait = orDefault(o.AckWait, 30*time.Second)
	o.RetryMin = orDefault(o.RetryMin, 250*time.Millisecond)
	o.RetryMax = max(orDefault(o.RetryMax, 30*time.Second), o.RetryMin)
	o.Tries = orDefault(o.Tries, 5)
	o.Grace = orDefault(o.Grace, 30*time.Second)
	o.Remember = orDefault(o.Remember, 1<<16)
	var errs []error
	if o.Durable == "" || strings.ContainsAny(o.Durable, " \t\r\n.*>/\\") {
		errs = append(errs, fmt.Errorf("durable is %q: give it a name without blanks, dots, stars and slashes", o.Durable))
	}
	if o.Park == o.Prefix || strings.HasPrefix(o.Park, o.Prefix+".") {
		errs = append(errs, fmt.Errorf("park is %q, among the events themselves: choose a subject of another stream", o.Park))
	}
	if o.OnlyNew && !o.From.IsZero() {
		errs = append(errs, errors.New("from and only new are both set: choose one"))
	}
	if len(errs) > 0 {
		return o, fmt.Errorf("options: %w", problems(errs))
	}
	return o, nil
}

// named returns the options with what both Subscribe and Follow need.
func (o Options) named() Options {
	o.Stream = orDefault(o.Stream, "LIVE")
	o.Prefix = orDefault(o.Prefix, "live")
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

func orDefault[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}
