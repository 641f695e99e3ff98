// Package streams says what a JetStream stream must be like for the programs
// that use it, and what an operator can do about one that is not, or about a
// limit that NATS has reached.
//
// table.go is the list of requirements, one row for each setting of a stream;
// limits.go is the list of refusals.
package streams

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// ErrUnfit means that a stream loses or alters what it is needed for. The error
// that wraps it has every reason and the command that fixes it.
var ErrUnfit = errors.New("stream is unfit")

// A Use is what a program does with a stream.
type Use int

const (
	// Write stores the events of roomwatch, which must stay as they are until they expire.
	Write Use = iota
	// Read reads them by consumers, perhaps from a mirror.
	Read
	// Keep stores messages until the program itself deletes them.
	Keep
)

// A Need says which stream is needed, and for what.
type Need struct {
	Use  Use
	Name string // of the stream, such as LIVE

	// Variable is the environment variable that names the stream, and Made is the
	// beginning of the variables for one that is made, such as ROOMWATCH_STREAM.
	Variable, Made string

	Prefix     string   // of the subjects; empty for Read: all that the stream has
	Subjects   []string // filters of all that is stored in it
	AckPending int      // the most messages that a consumer leaves unacknowledged
}

// Reader is the need of who reads the events of roomwatch.
func Reader(name string, ackPending int) Need {
	return Need{Use: Read, Name: name, Variable: "ROOMWATCH_STREAM", Made: "ROOMWATCH_STREAM", AckPending: ackPending}
}

// Check compares a stream with what is needed. It returns a warning for each
// setting that works but may surprise, and [ErrUnfit] with all that does not work.
// Each has its fix. MaxPayload is the server's limit, 0 if it is not known.
func (n Need) Check(have jetstream.StreamConfig, maxPayload int64) (warnings []string, err error) {
	s := stream{need: n, have: have, maxPayload: maxPayload}
	var reasons []string
	anew := false
	for _, r := range requirements() {
		verdict := r.verdict[n.Use]
		if verdict == fine {
			continue
		}
		reason, fix := r.check(&s)
		switch {
		case reason == "":
		case verdict == warn:
			warnings = append(warnings, s.join(reason, fix))
		case fix == notEditable:
			anew = true
			reasons = append(reasons, reason)
		default:
			reasons = append(reasons, s.join(reason, fix))
		}
	}
	if len(reasons) == 0 {
		return warnings, nil
	}
	if anew {
		reasons = append(reasons, s.anew())
	}
	return warnings, fmt.Errorf("%w: %s: %s", ErrUnfit, n.Name, strings.Join(reasons, "; "))
}

// A stream is what a requirement looks at.
type stream struct {
	need       Need
	have       jetstream.StreamConfig
	maxPayload int64
}

// notEditable is the fix of a setting that NATS lets nobody change.
const notEditable = "not editable"

func (s *stream) join(reason, fix string) string {
	if fix == notEditable {
		fix = s.anew()
	}
	return reason + "; " + fix
}

// edit is a fix by flags of the nats command.
func (s *stream) edit(flags string) string {
	return fmt.Sprintf("`nats stream edit %s %s`", s.need.Name, flags)
}

// rewrite is a fix for what the nats command has no flag to edit: it removes a
// part of the configuration.
func (s *stream) rewrite(part string) string {
	return fmt.Sprintf("`nats stream info %[1]s --json | jq '.config | del(.%[2]s)' >%[1]s.json && nats stream edit %[1]s --config=%[1]s.json`", s.need.Name, part)
}

// anew says how a stream is replaced whose settings cannot be edited. A mirror
// has the messages and their sequence numbers, and none of the settings. Before
// nats-server 2.12 a mirror stays one forever: there it is a copy with numbers
// and times of its own, on which nothing rests.
func (s *stream) anew() string {
	name := s.need.Name
	if s.need.Use == Keep {
		return fmt.Sprintf("this cannot be edited: send what waits in it with `roomnotify resend`, then remove it with `nats stream rm %s` so that roomnotify makes it, or set %s to another name", name, s.need.Variable)
	}
	age := ""
	if s.have.MaxAge > 0 {
		age = fmt.Sprintf(" --max-age=%s", duration(s.have.MaxAge))
	}
	copied := &stream{need: s.need}
	copied.need.Name += "_COPY"
	subjects := fmt.Sprintf("--subjects='%s'", strings.Join(s.wanted(), ","))
	kind, release := "mirror", " and "+copied.edit("--no-mirror "+subjects+" --allow-batch")
	if s.before(2, 12) {
		kind, release = "source", ", "+copied.rewrite("sources")+" and "+copied.edit(subjects)
	}
	return fmt.Sprintf("this cannot be edited: remove it and its events with `nats stream rm %s`, so that roomwatch makes it; or keep its events: stop roomwatch, run `nats stream add %s --%s=%s --storage=file%s --defaults`, "+
		"wait until `nats stream info %s` shows a lag of 0, run `nats stream rm %s`%s, and set %s=%s",
		name, copied.need.Name, kind, name, age, copied.need.Name, name, release, s.need.Variable, copied.need.Name)
}

// wanted is what the stream's subjects have to be: those that it has, without what
// lies under the prefix, because a stream's subjects may not overlap, and all of that.
func (s *stream) wanted() []string {
	if s.need.Prefix == "" {
		return s.have.Subjects
	}
	all := s.need.Prefix + ".>"
	var wide []string
	for _, subject := range s.have.Subjects {
		if !Covers([]string{all}, subject) {
			wide = append(wide, subject)
		}
	}
	return append(wide, all)
}

// duration writes whole hours as an operator does.
func duration(d time.Duration) string {
	if d%time.Hour == 0 {
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return d.String()
}
