package publisher

import (
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// message is a message with the headers that all messages of roomwatch have.
func message(subject, id string, body []byte) *nats.Msg {
	m := nats.NewMsg(subject)
	m.Data = body
	setHeader(m, id)
	return m
}

func setHeader(m *nats.Msg, id string) {
	m.Header.Set(nats.MsgIdHdr, id)
	m.Header.Set("Content-Type", contentType)
}

// setFence lets the server store m only if the newest claim is the one at seq.
// The subject is written out: with a wildcard the server would have to search.
func setFence(m *nats.Msg, seq uint64, claims string) {
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(seq, 10))
	m.Header.Set(jetstream.ExpectedLastSubjSeqSubjHeader, claims)
}
