package natsconn

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natstest"
)

func TestFromLeader(t *testing.T) {
	s := natstest.Start(t, nil)
	conn, err := Dial(t.Context(), Config{URL: s.ClientURL()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	js, err := conn.JetStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s.>"}, AllowDirect: true}); err != nil {
		t.Fatal(err)
	}
	for _, m := range []string{"a", "b", "a", "c"} {
		if _, err := js.Publish(t.Context(), "s."+m, []byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	for name, tt := range map[string]struct {
		which Which
		seq   uint64 // 0: none
		data  string
	}{
		"last on a subject":       {LastOn("s.a"), 3, "a"},
		"last on any":             {LastOn("s.*"), 4, "c"},
		"last on one without":     {LastOn("s.d"), 0, ""},
		"first on a subject":      {FirstOn("s.a", 0), 1, "a"},
		"first from the next one": {FirstOn("s.a", 2), 3, "a"},
		"first from itself":       {FirstOn("s.a", 3), 3, "a"},
		"first after the last":    {FirstOn("s.a", 4), 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := FromLeader(t.Context(), js, "S", tt.which)
			switch {
			case err != nil:
				t.Fatal(err)
			case m == nil && tt.seq != 0, m != nil && (m.Seq != tt.seq || string(m.Data) != tt.data || m.Subject != "s."+tt.data || m.Time.IsZero()):
				t.Errorf("%+v, want message %d", m, tt.seq)
			}
		})
	}

	var refusal *jetstream.APIError
	if _, err := FromLeader(t.Context(), js, "T", LastOn("s.a")); !errors.As(err, &refusal) || refusal.ErrorCode != jetstream.JSErrCodeStreamNotFound {
		t.Errorf("a stream that is not there: %v", err)
	}
	conn.Close()
	if m, err := FromLeader(t.Context(), js, "S", LastOn("s.a")); !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("without a connection: %v, %v", m, err)
	}
}
