package publisher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff"
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
	MaxAge   time.Duration // 0 means for ever
	MaxBytes int64         // 0 or less means unlimited

	// A stream that is made in the place of one that was deleted begins after
	// this sequence, so that no claim in it has the number of an old fence: a late
	// message that carries that one would pass.
	after uint64
}

// Inspect looks at the stream without making, altering or claiming anything,
// and says in words what it found. The error is [ErrUnfit], or says why the
// stream cannot be looked at.
func Inspect(ctx context.Context, nc *nats.Conn, c StreamConfig, app int) (string, error) {
	js, err := jetstream.New(nc)
	if err != nil {
		return "", err
	}
	q := ask(nc)
	s, err := js.Stream(ctx, c.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return c.canBeMade(ctx, nc, js)
	}
	if err != nil {
		return "", c.lookError(q.denied(err))
	}
	info := s.CachedInfo()
	warnings, err := c.fits(nc, info.Config, app)
	if err != nil {
		return "", err
	}
	found := fmt.Sprintf("%s fits, %d messages", c.Name, info.State.Msgs)
	for _, w := range warnings {
		found += "; but " + w
	}
	if !info.Config.AllowAtomicPublish {
		found += fmt.Sprintf("; events are published one by one: `nats stream edit %s --allow-batch` makes it faster", c.Name)
	}
	return found, nil
}

// preflight returns the stream's configuration and warnings about it, and makes the stream if it does
// not exist. It never alters one.
func (c StreamConfig) preflight(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, app int) (have jetstream.StreamConfig, warnings []string, err error) {
	q := ask(nc)
	s, err := js.Stream(ctx, c.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if s, err = js.CreateStream(ctx, c.wanted()); err != nil {
			return have, nil, c.makeError(ctx, js, q.denied(err))
		}
	}
	if err != nil {
		return have, nil, c.lookError(q.denied(err))
	}
	have = s.CachedInfo().Config
	warnings, err = c.fits(nc, have, app)
	return have, warnings, err
}

func (c StreamConfig) lookError(err error) error {
	if errors.Is(err, jetstream.ErrInvalidStreamName) {
		return fmt.Errorf("%w: %s: %w; set ROOMWATCH_STREAM to a name without spaces, dots, slashes and wildcards", ErrUnfit, c.Name, err)
	}
	return fmt.Errorf("look at stream %s: %w", c.Name, JetStreamError(err))
}

// JetStreamError adds to the error of a question about a stream that its server
// runs without JetStream, and how that is mended. Any other error stays as it is.
func JetStreamError(err error) error {
	for _, e := range []error{nats.ErrNoResponders, jetstream.ErrJetStreamNotEnabled, jetstream.ErrJetStreamNotEnabledForAccount} {
		if errors.Is(err, e) {
			return fmt.Errorf("NATS has no JetStream there: %w; start nats-server with -js, or enable JetStream for the account", err)
		}
	}
	return err
}

// fits returns every reason why a stream cannot hold what roomwatch promises, and
// warnings.
func (c StreamConfig) fits(nc *nats.Conn, have jetstream.StreamConfig, app int) (warnings []string, err error) {
	return c.need(app).Check(have, nc.MaxPayload())
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
