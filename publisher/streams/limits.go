package streams

import (
	"errors"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ErrLimit means that NATS refuses what it is asked for a reason that only an
// operator can change. The error that wraps it has the fix.
var ErrLimit = errors.New("NATS limit")

// Codes of refusals. The client library has no names for most of them.
const (
	accountFull          jetstream.ErrorCode = 10002
	noPeers              jetstream.ErrorCode = 10005
	unavailable          jetstream.ErrorCode = 10008
	noCluster            jetstream.ErrorCode = 10010
	serverFull           jetstream.ErrorCode = 10023
	mostConsumers        jetstream.ErrorCode = 10026
	mostStreams          jetstream.ErrorCode = 10027
	memoryFull           jetstream.ErrorCode = 10028
	notEnabledForAccount jetstream.ErrorCode = 10039
	storageFull          jetstream.ErrorCode = 10047
	noReplicas           jetstream.ErrorCode = 10074
	notEnabled           jetstream.ErrorCode = 10076
	bytesRequired        jetstream.ErrorCode = 10113
	noTier               jetstream.ErrorCode = 10120
	ackPending           jetstream.ErrorCode = 10121
	bytesExceeded        jetstream.ErrorCode = 10122
	fetchExceeded        jetstream.ErrorCode = 10125
	idleExceeded         jetstream.ErrorCode = 10153
	oldServer            jetstream.ErrorCode = 10185

	// Of a work queue, to a consumer that its others do not allow.
	needsExplicitAck jetstream.ErrorCode = 10084
	explicitAck      jetstream.ErrorCode = 10098
	notFiltered      jetstream.ErrorCode = 10099
	notUnique        jetstream.ErrorCode = 10100
	deliverAll       jetstream.ErrorCode = 10101
)

// A limit is a reason for which NATS refuses, and its fix.
type limit struct {
	codes  []jetstream.ErrorCode
	passes bool // by itself, when a server has started
	fix    func(n Need) string
}

// limits is the list of all refusals that only an operator can change.
func limits() []limit {
	type codes = []jetstream.ErrorCode
	return []limit{
		{codes{accountFull}, false, func(n Need) string {
			return fmt.Sprintf("the account's storage is full: ask its administrator to raise the limit, set %s_MAX_BYTES to less if the stream is still to be made, or make room in its streams, in this one with `nats stream edit %s --max-age=…`", n.Made, n.Name)
		}},
		{codes{serverFull}, true, serverIsFull},
		{codes{storageFull}, false, serverIsFull},
		{codes{memoryFull}, false, func(Need) string {
			return "the server's memory for JetStream is full: raise max_memory_store in its configuration"
		}},
		{codes{noPeers}, true, func(n Need) string {
			return fmt.Sprintf("the cluster has too few servers that can hold the stream: see with `nats server report jetstream` that they run and have room, or set %s_REPLICAS to less", n.Made)
		}},
		{codes{unavailable}, true, func(Need) string {
			return "the cluster has no leader for JetStream: see with `nats server report jetstream` that most of its servers run"
		}},
		{codes{notEnabled}, true, noJetStream},
		{codes{notEnabledForAccount}, false, noJetStream},
		{codes{mostConsumers}, false, func(n Need) string {
			return fmt.Sprintf("remove consumers that nobody uses (`nats consumer ls %[1]s`), or raise the limit with `nats stream edit %[1]s --max-consumers=…` (from nats-server 2.15 on), or ask the administrator to raise that of the account", n.Name)
		}},
		{codes{mostStreams}, false, func(Need) string {
			return "remove a stream that nobody uses (`nats stream ls`), or ask the administrator to raise the account's limit of streams"
		}},
		{codes{noReplicas, noCluster}, false, func(n Need) string {
			return fmt.Sprintf("the server is not part of a cluster: set %s_REPLICAS to 1, or NATS_URL to a cluster", n.Made)
		}},
		{codes{bytesRequired}, false, func(n Need) string {
			return fmt.Sprintf("the account requires a size limit for every stream: set %s_MAX_BYTES to what `nats account info` allows", n.Made)
		}},
		{codes{bytesExceeded}, false, func(n Need) string {
			return fmt.Sprintf("the account limits the size of a stream: set %s_MAX_BYTES to what `nats account info` allows", n.Made)
		}},
		{codes{noTier}, false, func(n Need) string {
			return fmt.Sprintf("the account has no JetStream limits for so many replicas: set %s_REPLICAS to a tier that `nats account info` shows, or ask the administrator to add one", n.Made)
		}},
		{codes{ackPending}, false, func(n Need) string {
			return fmt.Sprintf("a consumer with %d unacknowledged messages is needed: ask the administrator to raise max_ack_pending of the server and the account, and see `nats stream info %s` for a limit of the stream", n.AckPending, n.Name)
		}},
		{codes{idleExceeded}, false, func(n Need) string {
			return fmt.Sprintf("a consumer that may be idle for %s is needed: %s", leastIdle, (&stream{need: n}).rewrite("consumer_limits"))
		}},
		{codes{fetchExceeded}, false, func(Need) string {
			return "ask the administrator to raise max_request_batch in the server's configuration"
		}},
		{codes{oldServer}, false, func(Need) string {
			return "a setting of the stream needs a newer nats-server: upgrade it"
		}},
		{codes{needsExplicitAck, explicitAck, notFiltered, notUnique, deliverAll}, false, func(n Need) string {
			reason := "the stream is a work queue, where what one reader acknowledges is gone for all: "
			if n.Use == Keep {
				return reason + (&stream{need: n}).anew()
			}
			return reason + "`roomwatch check` says how to replace it" // with its settings, which are not known here
		}},
	}
}

func serverIsFull(n Need) string {
	return fmt.Sprintf("the storage of the server or the account is full: raise max_file_store in the server's configuration, on a disk that has room, or the account's limit, or make room in its streams, in this one with `nats stream edit %s --max-age=…`", n.Name)
}

func noJetStream(Need) string {
	return "NATS has no JetStream there: start nats-server with -js, enable JetStream for the account, or set NATS_JS_DOMAIN to the domain that has it"
}

// A limitError is an error with its fix.
type limitError struct {
	err    error
	fix    string
	passes bool
}

func (e *limitError) Error() string   { return e.err.Error() + "; " + e.fix }
func (e *limitError) Unwrap() []error { return []error{e.err, ErrLimit} }

// Explain adds the fix to an error of NATS that only an operator can change, and
// makes it [ErrLimit]. Any other error stays as it is.
func (n Need) Explain(err error) error {
	if err == nil || errors.Is(err, ErrLimit) || errors.Is(err, nats.ErrPermissionViolation) {
		return err
	}
	return n.explain(codeOf(err), err)
}

func (n Need) explain(code jetstream.ErrorCode, err error) error {
	for _, l := range limits() {
		if slices.Contains(l.codes, code) {
			return &limitError{err, l.fix(n), l.passes}
		}
	}
	return err
}

// codeOf returns the code of a refusal; 0: it is none. A server without JetStream
// has nobody to answer.
func codeOf(err error) jetstream.ErrorCode {
	if errors.Is(err, nats.ErrNoResponders) {
		return notEnabled
	}
	if refusal, ok := errors.AsType[jetstream.JetStreamError](err); ok && refusal.APIError() != nil {
		return refusal.APIError().ErrorCode
	}
	return 0
}

// MayPass reports whether an error may go away by itself: a daemon waits for
// that, and a command that is run once does not.
func MayPass(err error) bool {
	l, ok := errors.AsType[*limitError](err)
	return !errors.Is(err, ErrUnfit) && (!ok || l.passes)
}
