package lease

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize/english"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natsconn"
)

// Inspect looks at the lease without making or altering anything, and says in words what
// it found. The error is [ErrDenied] if NATS does not allow to look.
func Inspect(ctx context.Context, conn *natsconn.Conn, app int) (string, error) {
	s := &store{conn: conn, app: app}
	js, err := conn.JetStream()
	if err != nil {
		return "", err
	}
	q := conn.Ask()
	kv, err := js.KeyValue(ctx, Bucket)
	switch {
	case errors.Is(err, jetstream.ErrBucketNotFound):
		return fmt.Sprintf("bucket %s does not exist yet: the next start makes it", Bucket), nil
	case err != nil:
		return "", s.explain(q, err, &s.read)
	}
	s.kv, s.over = kv, js.Conn()
	v, err := s.lease(ctx)
	switch r := v.value; {
	case err != nil:
		return "", err
	case v.revision == 0 || v.removed || r.Instance == "":
		return "nobody has it", nil
	case r.Released:
		return fmt.Sprintf("given back by %s on host %s, term %d", r.Instance, r.Host, r.Term), nil
	default:
		known := standbys{l: &Lease{c: Config{Duration: Longest}, store: s}, all: map[string]heard{}}
		if err := known.look(ctx); err != nil {
			return "", err
		}
		return fmt.Sprintf("held by %s on host %s, version %s, term %d, since %s; %s", r.Instance, r.Host, r.Version, r.Term, r.Since, standbyText(known.list())), nil
	}
}

func standbyText(all []Standby) string {
	if len(all) == 0 {
		return "nobody stands by"
	}
	var each []string
	for _, s := range all {
		text := fmt.Sprintf("%s stands by on host %s since %s, %s behind", s.Instance, s.Host, s.Since, english.Plural(int(s.Behind), "message", ""))
		if !s.CaughtUp {
			text += ", has not read the stream yet"
		}
		each = append(each, text)
	}
	return strings.Join(each, "; ")
}
