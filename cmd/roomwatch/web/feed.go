package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/streams"
)

const (
	askTimeout = 5 * time.Second // for each question to NATS
	// A session that ends is followed by another one: at once after one that
	// lasted, later and later after those that did not.
	pauseFirst = 100 * time.Millisecond
	pauseMost  = 2 * time.Second
)

// errAway ends a session of a follower; the next one resumes where it ended.
var errAway = errors.New("NATS is away")

// A feed lets readers follow the stream. They share one connection.
type feed struct {
	c       Config
	log     *slog.Logger
	readers chan struct{} // one element for each reader
}

func newFeed(c Config) *feed {
	return &feed{c: c, log: c.Log, readers: make(chan struct{}, mostReaders)}
}

// follow gives a reader its events until ctx is done. Where NATS is away or the
// stream is not there, it waits for them.
func (f *feed) follow(ctx context.Context, q eventQuery, items chan<- item) {
	r := newFollower(f, q, items)
	pause := pauseFirst
	told := false
	for ctx.Err() == nil {
		began := time.Now()
		err := r.session(ctx)
		if time.Since(began) > pauseMost {
			pause = pauseFirst
		}
		// NATS that is away is for the publisher to tell; what lasts although it is
		// there may be something that only readers are refused.
		if lasting := pause == pauseMost && !errors.Is(err, errAway); lasting && !told && ctx.Err() == nil {
			told = true
			f.log.WarnContext(ctx, "event feed cannot read the stream", "error", streams.Reader(f.c.Stream, 0).Explain(err), "fix", "check that roomwatch may make consumers on the stream")
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
		pause = min(2*pause, pauseMost)
	}
}

// A position is a message of a stream. A stream that was deleted and made again
// has the same name and other messages: the moment at which it was made tells
// them apart.
type position struct {
	made time.Time // zero: none
	seq  uint64    // the last message that the reader has, or does not want
}

func (p position) String() string {
	return strconv.FormatInt(p.made.UnixNano(), 36) + "-" + strconv.FormatUint(p.seq, 10)
}

func parsePosition(s string) (position, error) {
	made, seq, ok := strings.Cut(s, "-")
	if !ok {
		return position{}, fmt.Errorf("%.100q is not the id of an event of this API", s)
	}
	n, err := strconv.ParseInt(made, 36, 64)
	if err != nil {
		return position{}, fmt.Errorf("%.100q is not the id of an event of this API", s)
	}
	p := position{made: time.Unix(0, n)}
	if p.seq, err = strconv.ParseUint(seq, 10, 64); err != nil {
		return position{}, fmt.Errorf("%.100q is not the id of an event of this API", s)
	}
	return p, nil
}

// lost says why a stream cannot be read on behind p; empty if it can.
func (p position) lost(i *jetstream.StreamInfo) string {
	switch s := i.State; {
	case !p.made.Equal(i.Created):
		return "the stream was recreated"
	case p.seq > s.LastSeq:
		return "the stream holds less than it did: an older copy was put in its place"
	case p.seq+1 < s.FirstSeq:
		return "the events after the last one you have are no longer in the stream"
	}
	return ""
}
