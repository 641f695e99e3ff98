package publisher

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestUnanswered(t *testing.T) {
	code := func(c jetstream.ErrorCode, text string) error {
		return &jetstream.APIError{Code: 503, ErrorCode: c, Description: text}
	}
	tests := []struct {
		err  error
		want bool
	}{
		{nil, false},
		{context.DeadlineExceeded, true},
		{nats.ErrNoResponders, true},
		{jetstream.ErrJetStreamNotEnabled, true},
		{code(10077, "no space left on device"), true},
		{code(10077, "maximum bytes exceeded"), false},
		{code(10054, "message size exceeds maximum allowed"), false},
		{fmt.Errorf("%w: %w", context.DeadlineExceeded, nats.ErrPermissionViolation), false},
		{ErrUnfit, false},
		{errors.New("write state.db: no space left on device"), false},
	}
	for _, tt := range tests {
		if tt.err != nil {
			tt.err = fmt.Errorf("publish: %w", tt.err)
		}
		if got := Unanswered(tt.err); got != tt.want {
			t.Errorf("Unanswered(%v) = %t", tt.err, got)
		}
	}
}
