// Command greeter welcomes each room that opens. It is a module of its own, as
// yours is: go.mod says how it finds the packages of roomwatch in a clone.
//
// NATS keeps the position in the stream, so that a restart continues there.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/events"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "greeter:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	url := os.Getenv("NATS_URL")
	if url == "" {
		url = nats.DefaultURL
	}
	nc, err := nats.Connect(url, nats.UserInfo(os.Getenv("NATS_USER"), os.Getenv("NATS_PASSWORD")), nats.MaxReconnects(-1))
	if err != nil {
		return fmt.Errorf("connect to NATS: %w", err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return fmt.Errorf("open jetstream: %w", err)
	}
	return events.Subscribe(ctx, js, events.Options{Durable: "greeter", Types: []events.Type{events.RoomCreated}}, welcome)
}

// welcome is your work. An event whose work returns an error comes again; the same
// id also comes again if the program stops between the work and the acknowledgement.
func welcome(_ context.Context, e events.Event) error {
	if e.Data.Baseline {
		return nil // it was live before roomwatch first looked
	}
	name := e.Data.Room.RoomName
	if name == "" {
		name = e.Data.Room.RoomID
	}
	_, err := fmt.Printf("%s welcome, %+q\n", e.ID, name)
	return err
}
