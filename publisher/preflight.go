package publisher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize/english"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/streams"
)

// ErrUnfit means that the stream cannot hold what roomwatch promises. The error
// that wraps it has every reason and the command that fixes it.
var ErrUnfit = streams.ErrUnfit

// A StreamConfig names the stream. What is below the line matters only when
// roomwatch makes it.
type StreamConfig struct {
	Name   string // such as LIVE
	Prefix string // first token or tokens of every subject, such as live

	Replicas int           // 0 means 1
	MaxAge   time.Duration // 0 means forever
	MaxBytes int64         // 0 or less means unlimited
}

// Inspect looks at the stream without making, altering or claiming anything,
// and says in words what it found. The error is [ErrUnfit], or says why the
// stream cannot be looked at.
func Inspect(ctx context.Context, conn *natsconn.Conn, c StreamConfig, app int) (string, error) {
	js, err := conn.JetStream()
	if err != nil {
		return "", err
	}
	q := conn.Ask()
	s, err := js.Stream(ctx, c.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return c.canBeMade(ctx, conn, js, app)
	}
	if err != nil {
		return "", c.lookError(q.Denied(err))
	}
	info := s.CachedInfo()
	limits, limitErr := c.accountLimits(ctx, conn, js, info, app)
	warnings, unfit := c.fits(conn, info.Config, app)
	if err := joined(c.tooOld(conn, info.Config), limitErr, unfit, c.lookForUnreleased(ctx, conn, s, app)); err != nil {
		return "", err // all of it at once: each takes a person some time
	}
	found := fmt.Sprintf("%s fits, %s", c.Name, english.Plural(int(info.State.Msgs), "message", ""))
	for _, w := range warnings {
		found += "; but " + w
	}
	found += limits
	return found + slow(info.Config), nil
}

// slow says why events are not stored in batches, and what changes that.
func slow(have jetstream.StreamConfig) string {
	switch version := have.Metadata[streams.VersionKey]; {
	case have.AllowAtomicPublish:
		return ""
	case !streams.HasBatches(version):
		return fmt.Sprintf("; events are published one by one: nats-server 2.12 or newer is faster, this is %s", version)
	}
	return fmt.Sprintf("; events are published one by one: `nats stream edit %s --allow-batch` makes it faster", have.Name)
}

// joined returns one error of several, in one line.
func joined(errs ...error) (all error) {
	for _, err := range errs {
		switch {
		case all == nil:
			all = err
		case err != nil:
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return all
}

// preflight returns the stream's configuration and warnings about it, and makes the
// stream if it does not exist. It never alters one.
//
// A stream that is made in the place of one that was deleted begins after the fence
// of this process, so that no claim in it has the number of that one: a late message
// that carries it would pass.
func (c StreamConfig) preflight(ctx context.Context, conn *natsconn.Conn, js jetstream.JetStream, app int, fence uint64) (have jetstream.StreamConfig, warnings []string, err error) {
	q := conn.Ask()
	s, err := js.Stream(ctx, c.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if err := c.mayMake(conn.Client().ConnectedServerVersion(), js.Options().Domain); err != nil {
			return have, nil, err
		}
		wanted := c.wanted()
		if fence > 0 {
			wanted.FirstSeq = fence + 1
		}
		if s, err = js.CreateStream(ctx, wanted); err != nil {
			return have, nil, c.makeError(ctx, js, q.Denied(err))
		}
	}
	if err != nil {
		return have, nil, c.lookError(q.Denied(err))
	}
	have = s.CachedInfo().Config
	warnings, err = c.fits(conn, have, app)
	return have, warnings, joined(c.tooOld(conn, have), err)
}

func (c StreamConfig) lookError(err error) error {
	if errors.Is(err, jetstream.ErrInvalidStreamName) {
		return fmt.Errorf("%w: %s: %w; set ROOMWATCH_STREAM to a name without spaces, dots, slashes and wildcards", ErrUnfit, c.Name, err)
	}
	if err = c.need(0).Explain(err); !streams.MayPass(err) {
		return fmt.Errorf("%w: %s: %w", ErrUnfit, c.Name, err)
	}
	return fmt.Errorf("inspect stream %s: %w", c.Name, err)
}

// lookForUnreleased looks for events that a build before the first release wrote.
// The start sees them only where it reads them: the last one, or all of them when
// the state was lost.
func (c StreamConfig) lookForUnreleased(ctx context.Context, conn *natsconn.Conn, s jetstream.Stream, app int) error {
	q := conn.Ask()
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(Filter(c.Prefix, "", app, "")))
	if err != nil {
		return c.lookError(q.Denied(err))
	}
	for subject := range info.State.Subjects {
		if strings.Contains(subject[strings.LastIndexByte(subject, '.')+1:], "%") {
			return c.unreleasedError(subject, app)
		}
	}
	return nil
}

func (c StreamConfig) unreleasedError(subject string, app int) error {
	return fmt.Errorf("%w: %s has events on %s, as a build before the first release wrote them; remove these with `nats stream purge %s --subject='%s'`, or, if that build wrote all events of the application, all of them with `nats stream purge %s --subject='%s'`",
		ErrUnfit, c.Name, subject, c.Name, subject, c.Name, Filter(c.Prefix, "", app, ""))
}

// accountLimits returns what the limits of the account refuse. Who may not ask for
// them is told so in a few words.
func (c StreamConfig) accountLimits(ctx context.Context, conn *natsconn.Conn, js jetstream.JetStream, info *jetstream.StreamInfo, app int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, ownerWait)
	defer cancel()
	q := conn.Ask()
	a, err := js.AccountInfo(ctx)
	if err == nil {
		return "", c.need(app).CheckAccount(a, info, c.wanted())
	}
	if err = c.need(app).Explain(err); errors.Is(err, streams.ErrLimit) {
		return "", c.lookError(err)
	}
	return fmt.Sprintf("; the limits of the account are not known: %v", q.Denied(err)), nil
}

// fits returns every reason why a stream cannot hold what roomwatch promises, and
// warnings.
func (c StreamConfig) fits(conn *natsconn.Conn, have jetstream.StreamConfig, app int) (warnings []string, err error) {
	return c.need(app).Check(have, conn.Client().MaxPayload())
}

// need is what the stream is for, to package streams.
func (c StreamConfig) need(app int) streams.Need {
	return streams.Need{
		Use: streams.Write, Name: c.Name, Variable: "ROOMWATCH_STREAM", Made: "ROOMWATCH_STREAM",
		Prefix: c.Prefix, Subjects: c.subjects(app),
	}
}

// subjects are those on which roomwatch publishes for an application.
func (c StreamConfig) subjects(app int) []string {
	list := []string{claimSubject(c.Prefix, app)}
	for _, t := range diff.Types() {
		list = append(list, Filter(c.Prefix, t, app, ""))
	}
	return list
}
