// Command rooms lists the rooms that are live, then prints each change. It reads the
// key-value bucket of ROOMWATCH_KV_BUCKET, as any client of NATS can.
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
		fmt.Fprintln(os.Stderr, "rooms:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	url, bucket := os.Getenv("NATS_URL"), os.Getenv("ROOMWATCH_KV_BUCKET")
	if url == "" {
		url = nats.DefaultURL
	}
	if bucket == "" {
		bucket = "live_rooms"
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
	rooms, err := js.KeyValue(ctx, bucket)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", bucket, err)
	}
	watch, err := rooms.WatchAll(ctx) // first what is there, then nil, then each change
	if err != nil {
		return fmt.Errorf("watch bucket %s: %w", bucket, err)
	}
	live := 0
	for entry := range watch.Updates() { // until ctx is done
		if entry == nil {
			fmt.Println(live, "rooms are live")
			continue
		}
		e, err := events.Decode(entry.Value())
		if err != nil {
			return fmt.Errorf("key %s: %w", entry.Key(), err)
		}
		what := "live"
		if e.Type == events.RoomEnded { // it stays until it is as old as the bucket keeps
			what = "ended"
		} else {
			live++
		}
		fmt.Printf("%s %s %d %+q\n", entry.Key(), what, e.Data.Room.ViewCount, e.Data.Room.RoomName)
	}
	return nil
}
