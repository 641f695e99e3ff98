package publisher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff"
)

// ErrUnfit means that the stream cannot hold what roomwatch promises. The error
// that wraps it has every reason and the command that mends it.
var ErrUnfit = errors.New("stream is unfit")

// leastMessage is the message size that a stream and its server must allow. An
// event has some 500 bytes; names and cover addresses of strangers can be long.
const leastMessage = 16 << 10

// LeastBytes is the size that a stream must be allowed, if it is limited and lets
// the oldest messages go: some hundred events. In a smaller one each event pushes
// out the claim of who writes it, and nobody would have the time to read it.
const LeastBytes = 64 << 10

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
	s, err := js.Stream(ctx, c.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return c.canBeMade(ctx, nc, js)
	}
	if err != nil {
		return "", c.lookError(denied(nc, err))
	}
	info := s.CachedInfo()
	if err := c.fits(nc, info.Config, app); err != nil {
		return "", err
	}
	found := fmt.Sprintf("%s fits, %d messages", c.Name, info.State.Msgs)
	if !info.Config.AllowAtomicPublish {
		found += fmt.Sprintf("; events are published one by one: `nats stream edit %s --allow-batch` makes it faster", c.Name)
	}
	return found, nil
}

// preflight returns the stream's configuration, and makes the stream if it does
// not exist. It never alters one.
func (c StreamConfig) preflight(ctx context.Context, nc *nats.Conn, js jetstream.JetStream, app int) (jetstream.StreamConfig, error) {
	s, err := js.Stream(ctx, c.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if s, err = js.CreateStream(ctx, c.wanted()); err != nil {
			return jetstream.StreamConfig{}, c.makeError(ctx, js, denied(nc, err))
		}
	}
	if err != nil {
		return jetstream.StreamConfig{}, c.lookError(denied(nc, err))
	}
	have := s.CachedInfo().Config
	return have, c.fits(nc, have, app)
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

// fits returns every reason why a stream cannot hold what roomwatch promises.
func (c StreamConfig) fits(nc *nats.Conn, have jetstream.StreamConfig, app int) error {
	edit := func(flags string) string { return fmt.Sprintf("`nats stream edit %s %s`", c.Name, flags) }
	anew := fmt.Sprintf("this cannot be edited: set ROOMWATCH_STREAM to another name, or back the stream up and remove it with `nats stream rm %s`", c.Name)
	var reasons []string
	add := func(unfit bool, reason, mend string) {
		if unfit {
			reasons = append(reasons, reason+"; "+mend)
		}
	}
	var uncovered []string
	for _, subject := range c.subjects(app) {
		if !covers(have.Subjects, subject) {
			uncovered = append(uncovered, subject)
		}
	}
	add(len(uncovered) > 0, fmt.Sprintf("its subjects %q do not cover %s", have.Subjects, strings.Join(uncovered, ", ")),
		edit(fmt.Sprintf("--subjects='%s'", strings.Join(c.widened(have.Subjects), ","))))
	add(have.NoAck, "it acknowledges nothing (no_ack), so nothing is known to be stored", edit("--ack"))
	add(have.Sealed, "it is sealed", anew)
	add(have.Storage != jetstream.FileStorage, "it is kept in memory and lost with its server", anew)
	add(have.Retention != jetstream.LimitsPolicy, fmt.Sprintf("its retention is %s, which drops events that were read or that nobody waits for", have.Retention), anew)
	add(have.Mirror != nil, "it is a mirror and takes no messages of its own", edit("--no-mirror"))
	for _, source := range have.Sources {
		add(c.brings(source, app), fmt.Sprintf("it copies messages of stream %s to roomwatch's subjects, past the check of who writes", source.Name), anew)
	}
	add(have.SubjectTransform != nil, "it changes the subjects of what it stores", edit("--no-transform"))
	add(have.DiscardNewPerSubject, "it refuses a second event of a room (discard_new_per_subject)", edit("--no-discard-per-subject"))
	add(have.SubjectDeleteMarkerTTL > 0, "it puts delete markers among the events (subject_delete_marker_ttl)", edit("--subject-del-markers-ttl=0s"))
	add(have.AllowMsgCounter, "it is a counter and takes no other messages", anew)
	add(have.PersistMode == jetstream.AsyncPersistMode, "it acknowledges what is not on its disk yet (persist_mode async)", anew)
	add(have.MaxMsgSize > 0 && have.MaxMsgSize < leastMessage,
		fmt.Sprintf("its message size limit is %d bytes, events need %d", have.MaxMsgSize, leastMessage), edit(fmt.Sprintf("--max-msg-size=%d", leastMessage)))
	add(have.Discard == jetstream.DiscardOld && have.MaxBytes > 0 && have.MaxBytes < LeastBytes,
		fmt.Sprintf("its size limit is %d bytes, some hundred events need %d", have.MaxBytes, LeastBytes), edit(fmt.Sprintf("--max-bytes=%d", LeastBytes)))
	most := nc.MaxPayload()
	add(most > 0 && most < leastMessage, fmt.Sprintf("its server takes messages of %d bytes, events need %d", most, leastMessage), "raise max_payload in the server's configuration")
	if len(reasons) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s: %s", ErrUnfit, c.Name, strings.Join(reasons, "; "))
}

// subjects are those on which roomwatch publishes for an application.
func (c StreamConfig) subjects(app int) []string {
	list := []string{claimSubject(c.Prefix, app)}
	for _, t := range diff.Types() {
		list = append(list, Filter(c.Prefix, t, app, ""))
	}
	return list
}

// widened is what a stream's subjects have to be: those that it has, without what
// lies under the prefix, because a stream's subjects may not overlap, and all of that.
func (c StreamConfig) widened(have []string) []string {
	all := c.Prefix + ".>"
	wide := slices.DeleteFunc(slices.Clone(have), func(s string) bool { return covers([]string{all}, s) })
	return append(wide, all)
}

// covers reports whether one of the subjects takes all that filter matches.
func covers(subjects []string, filter string) bool {
	for _, s := range subjects {
		if isSubset(strings.Split(filter, "."), strings.Split(s, ".")) {
			return true
		}
	}
	return false
}

// brings reports whether a source can put messages on the application's subjects.
func (c StreamConfig) brings(source *jetstream.StreamSource, app int) bool {
	arrives := []string{source.FilterSubject}
	if len(source.SubjectTransforms) > 0 {
		arrives = nil
		for _, t := range source.SubjectTransforms {
			arrives = append(arrives, t.Destination)
		}
	}
	for _, a := range arrives {
		for _, ours := range c.subjects(app) {
			if a == "" || strings.Contains(a, "{{") || overlap(strings.Split(a, "."), strings.Split(ours, ".")) {
				return true
			}
		}
	}
	return false
}

// overlap reports whether a subject exists that both filters match.
func overlap(a, b []string) bool {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a), i >= len(b):
			return false
		case a[i] == ">", b[i] == ">":
			return true
		case a[i] != b[i] && a[i] != "*" && b[i] != "*":
			return false
		}
	}
	return true
}

// isSubset reports whether every subject that a matches is matched by b.
func isSubset(a, b []string) bool {
	for i, t := range b {
		switch {
		case t == ">":
			return len(a) > i
		case i >= len(a), a[i] == ">":
			return false
		case t != "*" && t != a[i]:
			return false
		}
	}
	return len(a) == len(b)
}
