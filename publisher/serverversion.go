package publisher

import (
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/streams"
)

// The claim fences the stream by the header Nats-Expected-Last-Subject-Sequence-Subject,
// which nats-server knows from 2.11 on. An older one compares the claim's sequence
// with that of the event's own subject: it refuses every event.
const minMajor, minMinor = 2, 11

// tooOld returns an error if the server that has a stream is too old.
func (c StreamConfig) tooOld(conn *natsconn.Conn, have jetstream.StreamConfig) error {
	if have.Metadata[streams.VersionKey] != "" {
		return nil
	}
	return c.oldServer("an old nats-server (the connection is to " + conn.Client().ConnectedServerVersion() + ")")
}

// mayMake returns an error if the server is too old to make the stream there. Behind
// a JetStream domain it is another server, which is not known before.
func (c StreamConfig) mayMake(version, domain string) error {
	if domain != "" || !streams.IsBefore(version, minMajor, minMinor) {
		return nil
	}
	return c.oldServer("nats-server " + version)
}

func (c StreamConfig) oldServer(who string) error {
	return fmt.Errorf("%w: %s: it is on %s, which does not know the fence that keeps two writers apart; upgrade to nats-server %d.%d or newer",
		ErrUnfit, c.Name, who, minMajor, minMinor)
}
