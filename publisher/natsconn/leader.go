package natsconn

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A Stored is a message as the leader of its stream has it.
type Stored struct {
	Subject string    `json:"subject"`
	Seq     uint64    `json:"seq"`
	Data    []byte    `json:"data"`
	Time    time.Time `json:"time"` // when it was stored
}

// A Which chooses one message of a stream.
type Which struct {
	From  uint64 `json:"seq,omitempty"`
	First string `json:"next_by_subj,omitempty"`
	Last  string `json:"last_by_subj,omitempty"`
}

// LastOn is the last message on a subject, which may have wildcards.
func LastOn(subject string) Which { return Which{Last: subject} }

// FirstOn is the first one on a subject whose sequence number is from or greater.
func FirstOn(subject string, from uint64) Which { return Which{From: max(from, 1), First: subject} }

// FromLeader asks the leader of a stream for a message; nil if the stream has none
// that fits. A get of the client library is a direct one where the stream allows it:
// any replica answers, also one that has not heard of the newest message yet.
//
// What JetStream refuses is a [jetstream.APIError]. Anything else says that there was
// no answer.
func FromLeader(ctx context.Context, js jetstream.JetStream, stream string, which Which) (*Stored, error) {
	req, err := json.Marshal(which)
	if err != nil {
		return nil, err // unreachable: strings and numbers encode
	}
	resp, err := js.Conn().RequestWithContext(ctx, APIPrefix(js)+"STREAM.MSG.GET."+stream, req)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message *Stored             `json:"message"`
	}
	if err := json.Unmarshal(resp.Data, &answer); err != nil {
		return nil, err
	}
	switch {
	case answer.Error != nil && answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, nil
	case answer.Error != nil:
		return nil, answer.Error
	case answer.Message == nil:
		return nil, errors.New("the answer holds no message")
	}
	return answer.Message, nil
}
