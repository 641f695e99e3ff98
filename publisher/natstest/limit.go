package natstest

import (
	"testing"

	"github.com/nats-io/nats-server/v2/server"
)

// Limit limits what the clients of a server of [Start] may use of JetStream. What
// edit leaves alone is unlimited; streams that are there stay.
func Limit(t testing.TB, s *server.Server, edit func(*server.JetStreamAccountLimits)) {
	t.Helper()
	l := server.JetStreamAccountLimits{
		MaxMemory: -1, MaxStore: -1, MaxStreams: -1, MaxConsumers: -1, MaxAckPending: -1, MemoryMaxStreamBytes: -1, StoreMaxStreamBytes: -1,
	}
	edit(&l)
	if err := s.GlobalAccount().UpdateJetStreamLimits(map[string]server.JetStreamAccountLimits{"": l}); err != nil {
		t.Fatal(err)
	}
}
