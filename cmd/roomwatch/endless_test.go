package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"roomwatch/cmd/roomwatch/config"
	"roomwatch/diff"
	"roomwatch/publisher"
	"roomwatch/publisher/events"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
)

// endlessReads are the reads of the commands; each calls seen for each message.
var endlessReads = map[string]func(ctx context.Context, conn *natsconn.Conn, cfg *config.Config, seen func()) error{
	"verify": func(ctx context.Context, conn *natsconn.Conn, cfg *config.Config, seen func()) error {
		return eachMessage(ctx, conn, cfg, func(events.Message) error { seen(); return nil })
	},
	"tail": func(ctx context.Context, conn *natsconn.Conn, cfg *config.Config, seen func()) error {
		return follow(ctx, conn, cfg, selection{since: past(time.Hour)}, slog.New(slog.DiscardHandler), tailPatience,
			func([]byte, diff.Event) error { seen(); return nil })
	},
}

// readLeaderless begins a read of many events, and takes the leader away at the
// first. what continues from there, with the end of the read.
func readLeaderless(t *testing.T, command string, what func(l *natstest.Leaderless, stop func(), ended <-chan error, seen *atomic.Int64)) {
	const rooms = 1500 // more than the client fetches at once
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		nc := s.Connect()
		natstest.Live(t, nc)
		for i := range uint64(rooms) {
			e := diff.Event{ID: fmt.Sprint("E-", i+1), Seq: i + 1, Type: diff.RoomCreated, Version: 1, Time: time.Now(), Room: diff.Room{RoomID: fmt.Sprint("r", i), CreateTime: 1}}
			if err := nc.Publish(publisher.Subject("live", e.Type, testApp, e.Room.RoomID), publisher.Encode(testApp, e)); err != nil {
				t.Fatal(err)
			}
		}
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		l := &natstest.Leaderless{}
		s.Tap(l.Tap)
		conn, err := natsconn.Dial(t.Context(), natsconn.Config{InProcess: s})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { conn.Close(); time.Sleep(2 * time.Minute) }()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var seen atomic.Int64
		ended := make(chan error, 1)
		go func() {
			ended <- endlessReads[command](ctx, conn, &config.Config{Stream: "LIVE", SubjectPrefix: "live", SDKAppID: testApp}, func() {
				if seen.Add(1) == 1 {
					l.Cut("CONSUMER.CREATE")
					time.Sleep(5 * time.Second)
				}
			})
		}()
		time.Sleep(12 * time.Second) // the client makes the consumer anew
		what(l, cancel, ended, &seen)
		l.Lose()
		cancel()
		time.Sleep(time.Minute)
	})
}

// A read whose consumer cannot be recreated ends with an error that says where
// to look.
func TestReadEndsWithoutALeader(t *testing.T) {
	for command := range endlessReads {
		t.Run(command, func(t *testing.T) {
			readLeaderless(t, command, func(_ *natstest.Leaderless, _ func(), ended <-chan error, _ *atomic.Int64) {
				select {
				case err := <-ended:
					if err == nil || !strings.Contains(err.Error(), "nats stream info LIVE") {
						t.Errorf("it ended with %v", err)
					}
				case <-time.After(2 * time.Minute):
					t.Error("it reads for ever")
				}
			})
		})
	}
}

// A read that is stopped ends at once, also while the client makes its consumer anew.
func TestStopEndsReadWithoutALeader(t *testing.T) {
	for command := range endlessReads {
		t.Run(command, func(t *testing.T) {
			readLeaderless(t, command, func(_ *natstest.Leaderless, stop func(), ended <-chan error, _ *atomic.Int64) {
				stop()
				select {
				case err := <-ended:
					if command == "verify" != errors.Is(err, context.Canceled) {
						t.Errorf("it ended with %v", err)
					}
				case <-time.After(100 * time.Millisecond):
					t.Error("it did not end")
				}
			})
		})
	}
}

// A leader that is back in time brings the rest of the events, each once.
func TestTailGoesOnWithALeader(t *testing.T) {
	readLeaderless(t, "tail", func(l *natstest.Leaderless, stop func(), ended <-chan error, seen *atomic.Int64) {
		l.Lose()
		time.Sleep(30 * time.Second)
		if n := seen.Load(); n != 1500 {
			t.Errorf("%d events, want 1500", n)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
