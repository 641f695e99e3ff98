package streams

import (
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// LeastBytes is the smallest size limit of a stream that removes its oldest
	// messages: some hundred events. In a smaller stream each event would remove the
	// newest claim, and no reader would be fast enough.
	LeastBytes = 64 << 10
	// LeastMessages is the smallest limit on the number of messages: one batch.
	LeastMessages = 1000
	// LeastMessage is the smallest limit on the size of a message, of a stream and its
	// server. An event has some 500 bytes; names and cover URLs can be long.
	LeastMessage = 16 << 10

	// leastIdle is the smallest time after which a stream may remove an idle consumer.
	// The client library sets it for consumers that read a stream once.
	leastIdle = 5 * time.Minute
	// leastConsumers is the smallest limit on consumers: some subscribers, status pages and commands.
	leastConsumers = 10
	// leastAge is the smallest max age: a subscriber may be disconnected for that long.
	leastAge = time.Hour
)

// A verdict says what follows from a wrong setting.
type verdict int

const (
	fine verdict = iota
	warn
	refuse
)

// A requirement is about one setting of a stream.
type requirement struct {
	setting string     // its name in the stream's configuration
	verdict [3]verdict // by [Use]: Write, Read, Keep
	why     string     // this verdict

	// check returns what is wrong and the fix. An empty reason means that all is well.
	check func(s *stream) (reason, fix string)
}

// requirements returns all requirements. Read is milder than Write where a setting
// only harms what is stored from now on: the writer refuses such a stream, and a
// reader may read a mirror or an old stream.
func requirements() []requirement {
	return []requirement{
		{"subjects", [3]verdict{refuse, fine, refuse}, "a message whose subject the stream does not have is not stored", (*stream).subjects},
		{"retention", [3]verdict{refuse, refuse, refuse}, "with retention by interest or as a work queue, messages are removed before all have read them", (*stream).retention},
		{"storage", [3]verdict{refuse, warn, refuse}, "what is in memory is lost when the server stops", func(s *stream) (string, string) {
			return when(s.have.Storage != jetstream.FileStorage, "it is kept in memory and lost with its server"), notEditable
		}},
		{"no_ack", [3]verdict{refuse, warn, refuse}, "without acknowledgements nothing is known to be stored", func(s *stream) (string, string) {
			return when(s.have.NoAck, "it acknowledges nothing (no_ack), so nothing is known to be stored"), s.edit("--ack")
		}},
		{"persist_mode", [3]verdict{refuse, warn, refuse}, "a crash of the server can lose acknowledged messages", func(s *stream) (string, string) {
			return when(s.have.PersistMode == jetstream.AsyncPersistMode, "it acknowledges what is not on its disk yet (persist_mode async)"), notEditable
		}},
		{"sealed", [3]verdict{refuse, warn, refuse}, "a sealed stream accepts no messages", func(s *stream) (string, string) {
			return when(s.have.Sealed, "it is sealed"), notEditable
		}},
		{"mirror", [3]verdict{refuse, fine, refuse}, "a mirror accepts no messages of its own; it can be read like its origin", func(s *stream) (string, string) {
			fix := s.edit(fmt.Sprintf("--no-mirror --subjects='%s'", strings.Join(s.wanted(), ",")))
			if s.before(2, 12) {
				fix = notEditable
			}
			return when(s.have.Mirror != nil, "it is a mirror and accepts no messages of its own"), fix
		}},
		{"sources", [3]verdict{refuse, fine, refuse}, "copied messages bypass the fence", (*stream).sources},
		{"subject_transform", [3]verdict{refuse, warn, refuse}, "the subject says what a message is", func(s *stream) (string, string) {
			return when(s.have.SubjectTransform != nil, "it changes the subjects of what it stores"), s.edit("--no-transform")
		}},
		{"allow_msg_counter", [3]verdict{refuse, warn, refuse}, "a counter accepts only numbers", func(s *stream) (string, string) {
			return when(s.have.AllowMsgCounter, "it is a counter and accepts no other messages"), notEditable
		}},
		{"subject_delete_marker_ttl", [3]verdict{refuse, warn, refuse}, "the delete markers of the server are not events", func(s *stream) (string, string) {
			return when(s.have.SubjectDeleteMarkerTTL > 0, "it puts delete markers among the messages (subject_delete_marker_ttl)"), s.edit("--subject-del-markers-ttl=0s")
		}},
		{"discard_new_per_subject", [3]verdict{refuse, warn, refuse}, "the next message of a room or rule would be refused forever", func(s *stream) (string, string) {
			return when(s.have.DiscardNewPerSubject, "it refuses further messages of a subject (discard_new_per_subject)"), s.edit("--no-discard-per-subject --max-msgs-per-subject=-1")
		}},
		{"max_msgs_per_subject", [3]verdict{refuse, warn, refuse}, "the next message of a room or rule would remove an older one", func(s *stream) (string, string) {
			return when(s.have.MaxMsgsPerSubject > 0 && !s.have.DiscardNewPerSubject, "its limit is %d for each subject (max_msgs_per_subject), so a further message removes an older one", s.have.MaxMsgsPerSubject), s.edit("--max-msgs-per-subject=-1")
		}},
		{"discard", [3]verdict{fine, fine, refuse}, "events may expire; notifications that wait may not", func(s *stream) (string, string) {
			limited := s.have.MaxMsgs > 0 || s.have.MaxBytes > 0
			return when(limited && s.have.Discard == jetstream.DiscardOld, "it is limited and removes the oldest messages when it is full"), s.edit("--discard=new")
		}},
		{"max_msgs", [3]verdict{refuse, warn, refuse}, "messages of one batch would be removed before anybody has read them", func(s *stream) (string, string) {
			return when(s.removesOld() && s.have.MaxMsgs > 0 && s.have.MaxMsgs < LeastMessages, "its limit is %d messages, and one batch has up to %d", s.have.MaxMsgs, LeastMessages), s.edit("--max-msgs=-1")
		}},
		{"max_bytes", [3]verdict{refuse, warn, refuse}, "the same by size", func(s *stream) (string, string) {
			return when(s.removesOld() && s.have.MaxBytes > 0 && s.have.MaxBytes < LeastBytes, "its size limit is %d bytes, some hundred events need %d", s.have.MaxBytes, LeastBytes), s.edit(fmt.Sprintf("--max-bytes=%d", LeastBytes))
		}},
		{"max_msg_size", [3]verdict{refuse, fine, refuse}, "an event that is too large blocks all later events", func(s *stream) (string, string) {
			return when(s.have.MaxMsgSize > 0 && s.have.MaxMsgSize < LeastMessage, "its message size limit is %d bytes, events need %d", s.have.MaxMsgSize, LeastMessage), s.edit(fmt.Sprintf("--max-msg-size=%d", LeastMessage))
		}},
		{"max_payload", [3]verdict{refuse, fine, refuse}, "the same limit, of the server", func(s *stream) (string, string) {
			return when(s.maxPayload > 0 && s.maxPayload < LeastMessage, "its server accepts messages of up to %d bytes, events need %d", s.maxPayload, LeastMessage), "raise max_payload in the server's configuration"
		}},
		{"deny_delete", [3]verdict{fine, fine, refuse}, "roomnotify deletes notifications that were sent", func(s *stream) (string, string) {
			return when(s.have.DenyDelete, "it lets no message be deleted"), notEditable
		}},
		{"deny_purge", [3]verdict{fine, fine, refuse}, "roomnotify purges notifications that a digest has", func(s *stream) (string, string) {
			return when(s.have.DenyPurge, "it lets nothing be purged"), notEditable
		}},
		{"consumer_limits", [3]verdict{refuse, refuse, fine}, "the server refuses the consumer of a reader", (*stream).consumerLimits},
		{"consumer_limits", [3]verdict{warn, warn, fine}, "a subscriber that is disconnected for longer loses its position", func(s *stream) (string, string) {
			idle := s.have.ConsumerLimits.InactiveThreshold
			return when(idle >= leastIdle, "it removes a subscriber's consumer, and its position, when it is disconnected for %s", idle), s.rewrite("consumer_limits")
		}},
		{"max_consumers", [3]verdict{warn, warn, fine}, "each reader needs one", func(s *stream) (string, string) {
			fix := s.edit("--max-consumers=0")
			if s.before(2, 15) {
				fix = notEditable
			}
			return when(s.have.MaxConsumers > 0 && s.have.MaxConsumers < leastConsumers, "it allows %d consumers, and each subscriber, status page and command needs one", s.have.MaxConsumers), fix
		}},
		{"max_age", [3]verdict{warn, warn, warn}, "how long to keep is the operator's choice", func(s *stream) (string, string) {
			return when(s.have.MaxAge > 0 && s.have.MaxAge < leastAge, "it keeps messages for %s: a subscriber that is disconnected for longer misses them", s.have.MaxAge), s.edit("--max-age=720h")
		}},

		{setting: "name", why: "it is asked for by name"},
		{setting: "description", why: "a text"},
		{setting: "metadata", why: "a text"},
		{setting: "template_owner", why: "NATS has no templates any more"},
		{setting: "placement", why: "where it is, is the operator's choice"},
		{setting: "num_replicas", why: "how many copies there are, is the operator's choice"},
		{setting: "compression", why: "what is stored is read as it was written"},
		{setting: "first_seq", why: "numbers need not begin with 1"},
		{setting: "duplicate_window", why: "exactly once does not rest on it"},
		{setting: "republish", why: "copies go elsewhere; NATS refuses a cycle"},
		{setting: "allow_direct", why: "what must be current is asked of the leader"},
		{setting: "mirror_direct", why: "the same"},
		{setting: "allow_atomic", why: "without it events are stored one by one: slower, and as safe"},
		{setting: "allow_batched", why: "another way to publish, which is not used"},
		{setting: "allow_rollup_hdrs", why: "no message of ours has the header; who may write there may write anything"},
		{setting: "allow_msg_ttl", why: "no message of ours has the header"},
		{setting: "allow_msg_schedules", why: "no message of ours has the header"},
	}
}

// when returns the reason if the condition holds.
func when(holds bool, format string, args ...any) string {
	if !holds {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

func (s *stream) removesOld() bool { return s.have.Discard == jetstream.DiscardOld }

func (s *stream) subjects() (reason, fix string) {
	if s.have.Mirror != nil {
		return "", "" // it has none: see there
	}
	var uncovered []string
	for _, subject := range s.need.Subjects {
		if !Covers(s.have.Subjects, subject) {
			uncovered = append(uncovered, subject)
		}
	}
	return when(len(uncovered) > 0, "its subjects %q do not cover %s", s.have.Subjects, strings.Join(uncovered, ", ")),
		s.edit(fmt.Sprintf("--subjects='%s'", strings.Join(s.wanted(), ",")))
}

func (s *stream) retention() (reason, fix string) {
	fix = notEditable
	if s.have.Retention == jetstream.InterestPolicy {
		fix = s.edit("--retention=limits")
	}
	return when(s.have.Retention != jetstream.LimitsPolicy, "its retention is %s, which drops messages that were read or that nobody waits for", s.have.Retention), fix
}

func (s *stream) sources() (reason, fix string) {
	for _, source := range s.have.Sources {
		if brings(source, s.need.Subjects) {
			return fmt.Sprintf("it copies messages of stream %s to the subjects of this program, past the check of who writes", source.Name), s.rewrite("sources")
		}
	}
	return "", ""
}

func (s *stream) consumerLimits() (reason, fix string) {
	fix = s.rewrite("consumer_limits")
	switch l := s.have.ConsumerLimits; {
	case l.InactiveThreshold > 0 && l.InactiveThreshold < leastIdle:
		return fmt.Sprintf("it allows a consumer to be idle for %s, and readers need %s (consumer_limits)", l.InactiveThreshold, leastIdle), fix
	case l.MaxAckPending > 0 && l.MaxAckPending < s.need.AckPending:
		return fmt.Sprintf("it allows %d unacknowledged messages, and %d are needed (consumer_limits)", l.MaxAckPending, s.need.AckPending), fix
	}
	return "", ""
}
