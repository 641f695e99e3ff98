package publisher

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/streams"
)

// ownerWait bounds the question whose the subjects are. An account that may not
// ask it gets no answer.
const ownerWait = 2 * time.Second

// Codes of NATS that say that a stream cannot be made, besides the limits that
// package streams knows.
const (
	codeInvalid jetstream.ErrorCode = 10052
	codeNotMade jetstream.ErrorCode = 10049 // its files cannot be made, perhaps for a moment: see makeError
	codeOverlap jetstream.ErrorCode = 10065
)

// wanted is the stream that roomwatch makes. When it is full, the oldest events
// go: a stream with a limit is a record of a time, and the newest matters most.
func (c StreamConfig) wanted() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:               c.Name,
		Description:        "Live rooms of Tencent Live, by roomwatch",
		Subjects:           []string{c.Prefix + ".>"},
		Storage:            jetstream.FileStorage,
		Retention:          jetstream.LimitsPolicy,
		Discard:            jetstream.DiscardOld,
		Replicas:           max(1, c.Replicas),
		MaxAge:             c.MaxAge,
		MaxBytes:           unlimited(c.MaxBytes),
		AllowDirect:        true,
		AllowAtomicPublish: true,
	}
}

// unlimited is how JetStream writes that there is no limit.
func unlimited(n int64) int64 {
	if n <= 0 {
		return -1
	}
	return n
}

// command is how somebody else makes the stream on a server of a version: the nats
// command refuses the flag for batches where the server has none.
func (c StreamConfig) command(version string) string {
	flags := fmt.Sprintf("--storage=file --replicas=%d", max(1, c.Replicas))
	switch {
	case c.MaxAge > 0 && c.MaxAge%time.Hour == 0:
		flags += fmt.Sprintf(" --max-age=%dh", c.MaxAge/time.Hour)
	case c.MaxAge > 0:
		flags += fmt.Sprintf(" --max-age=%s", c.MaxAge)
	}
	if c.MaxBytes > 0 {
		flags += fmt.Sprintf(" --max-bytes=%d", c.MaxBytes)
	}
	if streams.HasBatches(version) {
		flags += " --allow-batch"
	}
	return fmt.Sprintf("`nats stream add %s --subjects='%s.>' %s --allow-direct --defaults`", c.Name, c.Prefix, flags)
}

// makeError says why the stream cannot be made. It is [ErrUnfit] if asking again
// does not help: only a person can change the configuration.
func (c StreamConfig) makeError(ctx context.Context, js jetstream.JetStream, err error) error {
	if errors.Is(err, nats.ErrPermissionViolation) {
		return fmt.Errorf("make stream %s: %w, or ask the administrator to run %s", c.Name, err, c.command(js.Conn().ConnectedServerVersion()))
	}
	unfit := func(fix string) error {
		return fmt.Errorf("%w: %s cannot be made: %w; %s", ErrUnfit, c.Name, err, fix)
	}
	var api *jetstream.APIError
	if errors.As(err, &api) {
		switch api.ErrorCode {
		case codeOverlap:
			owner, _ := c.owner(ctx, js) // without its name the reason is worth no less
			return unfit(c.owned(owner))
		case codeInvalid:
			return unfit("change what it names: ROOMWATCH_STREAM, ROOMWATCH_SUBJECT_PREFIX, ROOMWATCH_STREAM_REPLICAS, ROOMWATCH_STREAM_MAX_AGE or ROOMWATCH_STREAM_MAX_BYTES")
		case codeNotMade:
			// Also while the server still removes the directory of one that was deleted:
			// the next try is then taken.
			return fmt.Errorf("make stream %s: %w; it is retried; if that does not help, check the log and the disk of nats-server", c.Name, err)
		}
	}
	if err = c.need(0).Explain(err); !streams.MayPass(err) {
		return fmt.Errorf("%w: %s cannot be made: %w", ErrUnfit, c.Name, err)
	}
	return fmt.Errorf("make stream %s: %w", c.Name, err)
}

// canBeMade looks for what would keep the first start from making the stream,
// as far as that shows without making it.
func (c StreamConfig) canBeMade(ctx context.Context, conn *natsconn.Conn, js jetstream.JetStream, app int) (string, error) {
	unfit := func(reason string) error { return fmt.Errorf("%w: %s cannot be made: %s", ErrUnfit, c.Name, reason) }
	if c.Replicas > 1 && conn.Client().ConnectedClusterName() == "" {
		return "", unfit(c.alone())
	}
	q := conn.Ask()
	owner, err := c.owner(ctx, js)
	err = q.Denied(err)
	if owner != "" {
		return "", unfit(c.owned(owner))
	}
	if err := c.mayMake(conn.Client().ConnectedServerVersion(), js.Options().Domain); err != nil {
		return "", err
	}
	limits, lerr := c.accountLimits(ctx, conn, js, nil, app)
	if lerr != nil {
		return "", fmt.Errorf("%s cannot be made: %w", c.Name, lerr)
	}
	found := fmt.Sprintf("%s does not exist yet: the first start makes it", c.Name)
	if err != nil {
		found += fmt.Sprintf("; whether another stream has its subjects is not known: %v", err)
	}
	return found + limits, nil
}

// owner returns the name of a stream that has subjects under the prefix, empty
// if there is none.
func (c StreamConfig) owner(ctx context.Context, js jetstream.JetStream) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, ownerWait)
	defer cancel()
	name, err := js.StreamNameBySubject(ctx, c.Prefix+".>")
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return "", nil
	}
	return name, err
}

func (c StreamConfig) alone() string {
	return fmt.Sprintf("ROOMWATCH_STREAM_REPLICAS is %d and the server is no part of a cluster; set it to 1, or NATS_URL to a cluster", c.Replicas)
}

func (c StreamConfig) owned(owner string) string {
	if owner == "" {
		return fmt.Sprintf("another stream has subjects under %s; set ROOMWATCH_STREAM to its name if it is roomwatch's, or ROOMWATCH_SUBJECT_PREFIX to another prefix", c.Prefix)
	}
	return fmt.Sprintf("stream %s has subjects under %s; set ROOMWATCH_STREAM=%s if it is roomwatch's, or ROOMWATCH_SUBJECT_PREFIX to another prefix, or take the subjects from it with `nats stream edit %s --subjects=…`",
		owner, c.Prefix, owner, owner)
}
