package events_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/publisher/events"
)

func ExampleDecode() {
	e, err := events.Decode([]byte(`{"specversion":"1.0","id":"01JD3ZK8V6Q4-0000000000000042","source":"/live/88888888","type":"viewcount.changed",
		"subject":"room_id0","time":"2026-11-23T08:00:00.123Z","sequence":"0000000000000042","datacontenttype":"application/json",
		"data":{"room":{"RoomId":"room_id0","RoomName":"name","Owner_Account":"bren","CoverURL":"cover_url","Category":[1,2,3],
		"CreateTime":1693271354,"ActivityStatus":1,"ViewCount":1000},"previous":{"ViewCount":900},"version":3,"sweep":17}}`))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(e.Type, e.Data.Room.RoomID, *e.Data.Previous.ViewCount, "→", e.Data.Room.ViewCount)
	// Output: viewcount.changed room_id0 900 → 1000
}

// Greet each room once, also after a restart, and set aside what cannot be greeted.
func ExampleSubscribe() {
	js, closeAll := exampleStream("heidi", "ivan")
	defer closeAll()

	ctx, stop := context.WithCancel(context.Background()) // in a program: signal.NotifyContext
	defer stop()
	greeted := 0
	err := events.Subscribe(ctx, js, events.Options{
		Durable: "greeter",
		Types:   []events.Type{events.RoomCreated},
		Park:    "parked.greeter", // some other stream has parked.>
		Workers: 1,
	}, func(_ context.Context, e events.Event) error {
		fmt.Println("welcome,", e.Data.Room.RoomID)
		if greeted++; greeted == 2 {
			stop()
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Unordered output:
	// welcome, heidi
	// welcome, ivan
}

// Know at any time which rooms are live.
func ExampleFollow() {
	js, closeAll := exampleStream("heidi", "ivan")
	defer closeAll()

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	live := map[string]events.Room{}
	err := events.Follow(ctx, js, events.Options{}, func(c events.Change) error {
		room := c.Event.Data.Room
		switch {
		case c.Step == events.Begin:
			clear(live)
		case c.Step == events.Ready:
			fmt.Println(len(live), "rooms are live")
			stop() // a program continues
		case c.Event.Type == events.RoomEnded:
			delete(live, room.RoomID)
		default:
			live[room.RoomID] = room
		}
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	// Output: 2 rooms are live
}

func ExampleVerifier() {
	v := events.NewVerifier("live")
	for _, m := range []events.Message{
		{Sequence: 1, Subject: "live.writer.claimed.88888888"},
		{Sequence: 2, Subject: "live.room.ended.88888888.heidi", ID: "x", Body: []byte(`{"hello":"world"}`)},
	} {
		for _, f := range v.Check(m) {
			fmt.Println(f.Sequence, f.Kind)
		}
	}
	fmt.Println(v.Summary().Messages, "messages")
	// Output:
	// 2 undecodable
	// 2 messages
}

// exampleStream runs a server with a stream that tells of some rooms.
func exampleStream(rooms ...string) (jetstream.JetStream, func()) {
	dir, err := os.MkdirTemp("", "events")
	if err != nil {
		log.Fatal(err)
	}
	srv, err := server.NewServer(&server.Options{JetStream: true, StoreDir: dir, DontListen: true, NoSigs: true, NoLog: true})
	if err != nil {
		log.Fatal(err)
	}
	srv.Start()
	nc, err := nats.Connect("", nats.InProcessServer(srv), nats.MaxReconnects(-1))
	if err != nil {
		log.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "LIVE", Subjects: []string{"live.>"}}); err != nil {
		log.Fatal(err)
	}
	for i, room := range rooms {
		e := event("01JD3ZK8V6Q4", uint64(i+1), events.RoomCreated, room)
		body, err := events.Encode(e)
		if err != nil {
			log.Fatal(err)
		}
		if _, err := js.Publish(ctx, events.SubjectOf("live", e), body, jetstream.WithMsgID(e.ID)); err != nil {
			log.Fatal(err)
		}
	}
	return js, func() {
		nc.Close()
		srv.Shutdown()
		srv.WaitForShutdown()
		if err := os.RemoveAll(dir); err != nil {
			log.Fatal(err)
		}
	}
}
