package publisher

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
)

// What a source brings is not checked for who wrote it.
func TestSources(t *testing.T) {
	to := func(source, destination string) []jetstream.SubjectTransformConfig {
		return []jetstream.SubjectTransformConfig{{Source: source, Destination: destination}}
	}
	tests := []struct {
		name   string
		source jetstream.StreamSource
		unfit  bool
	}{
		{name: "everything", unfit: true},
		{name: "all of live", source: jetstream.StreamSource{FilterSubject: "live.>"}, unfit: true},
		{name: "our rooms", source: jetstream.StreamSource{FilterSubject: "*.room.created.88888888.a"}, unfit: true},
		{name: "our claims", source: jetstream.StreamSource{FilterSubject: "live.writer.claimed.*"}, unfit: true},
		{name: "another application", source: jetstream.StreamSource{FilterSubject: "live.*.*.7.*"}},
		{name: "other subjects", source: jetstream.StreamSource{FilterSubject: "chat.>"}},
		{name: "fewer tokens", source: jetstream.StreamSource{FilterSubject: "live.*.*"}},
		{name: "moved away", source: jetstream.StreamSource{SubjectTransforms: to("live.>", "copy.>")}},
		{name: "moved here", source: jetstream.StreamSource{SubjectTransforms: to("copy.>", "live.>")}, unfit: true},
		{name: "moved by parts", source: jetstream.StreamSource{SubjectTransforms: to("copy.*", "live.{{wildcard(1)}}")}, unfit: true},
	}
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		nc := s.Connect()
		js, err := jetstream.New(nc)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "OTHER", Subjects: []string{"other.>"}}); err != nil {
			t.Fatal(err)
		}
		for _, tt := range tests {
			c := live.wanted()
			tt.source.Name = "OTHER"
			c.Sources = []*jetstream.StreamSource{&tt.source}
			if _, err := js.CreateStream(t.Context(), c); err != nil {
				t.Errorf("%s: the server refuses it: %v", tt.name, err)
				continue
			}
			_, _, err := live.preflight(t.Context(), natsconn.Of(nc), js, app, 0)
			if tt.unfit != errors.Is(err, ErrUnfit) || !tt.unfit && err != nil || tt.unfit && !strings.Contains(err.Error(), "copies messages of stream OTHER") {
				t.Errorf("%s: %v", tt.name, err)
			}
			if err := js.DeleteStream(t.Context(), live.Name); err != nil {
				t.Fatal(err)
			}
			pass(time.Second)
		}
	})
}

// What an operator sees while NATS is away, and after it.
func TestStatus(t *testing.T) {
	bubble(t, func(t *testing.T, s *natstest.Server, nc *nats.Conn, b *box) {
		r := start(t, nc, b)
		pass(time.Second)
		if got := r.Status(); !got.Connected || !got.Batches || got.Fence == 0 || got.Waiting != 0 || !got.WaitingSince.IsZero() {
			t.Errorf("when all is well: %+v", got)
		}
		s.Down()
		b.add(2)
		since := time.Now()
		pass(time.Hour)
		b.add(1)
		if got := r.Status(); got.Connected || got.Epoch != "E1" || got.Stored != 0 || got.Assigned != 3 || got.Waiting != 3 || !got.WaitingSince.Equal(since) {
			t.Errorf("while NATS is away: %+v, waiting since %v", got, since)
		}
		s.Up()
		pass(time.Minute)
		if got := r.Status(); !got.Connected || got.Waiting != 0 || got.Stored != 3 || !got.WaitingSince.IsZero() {
			t.Errorf("afterwards: %+v", got)
		}
	})
}
