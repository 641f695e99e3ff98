package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"roomwatch/diff"
	"roomwatch/publisher"
)

const floorBatch = 1000 // messages, the most that nats-server takes

// floor measures what a first sweep cannot undercut on this machine: the bare
// reading of the list beside the publishing of as many events that are ready
// made, in the largest batches, with nothing compared, kept or encoded.
func (r *rig) floor(ctx context.Context, rooms int) (s sample, err error) {
	_, err = r.js.CreateStream(ctx, jetstream.StreamConfig{Name: "LIVE", Subjects: []string{"live.>"}, AllowAtomicPublish: true, AllowDirect: true})
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, r.forget(ctx)) }()
	self, err := os.Executable()
	if err != nil {
		return s, err
	}
	pub := prepare(ctx, nil, self, "publish", "-addr", r.natsURL, "-rooms", fmt.Sprint(rooms))
	in, err := pub.cmd.StdinPipe()
	if err != nil {
		return s, err
	}
	out, err := pub.cmd.StdoutPipe()
	if err != nil {
		return s, err
	}
	if err := pub.cmd.Start(); err != nil {
		return s, err
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		return s, fmt.Errorf("wait for the publisher: %w", err)
	}
	before, err := cpuTimes(r.stub, r.nats)
	if err != nil {
		return s, err
	}
	if _, err := io.WriteString(in, "go\n"); err != nil {
		return s, err
	}
	bare, err := r.bareReading(ctx)
	if err != nil {
		return s, err
	}
	if err := pub.cmd.Wait(); err != nil {
		return s, fmt.Errorf("publish: %w", err)
	}
	after, err := cpuTimes(r.stub, r.nats)
	if err != nil {
		return s, err
	}
	stored, at, err := r.last(ctx)
	if err != nil || stored != uint64(rooms) {
		return s, errors.Join(err, fmt.Errorf("the stream has %d events of %d", stored, rooms))
	}
	rep, err := r.report(ctx)
	if err != nil {
		return s, err
	}
	sweep := rep.Sweeps[len(rep.Sweeps)-1]
	s.took = max(bare.took, at.Sub(sweep.Begin))
	s.cpu = [3]time.Duration{bare.cpu[0], after[0] - before[0], after[1] - before[1]}
	return s, nil
}

// publishReady makes the messages of a first sweep, says so on standard output,
// waits for a line on standard input and publishes them.
func publishReady(ctx context.Context, addr string, rooms int) error {
	nc, err := nats.Connect(addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	msgs := make([]*nats.Msg, rooms)
	for i := range msgs {
		e := diff.Event{Seq: uint64(i + 1), Type: diff.RoomCreated, Version: 1, Baseline: true, Sweep: 1, Time: time.Now(), Room: roomAt(i, rooms)}
		e.ID = "ROOMBENCH000-" + diff.FormatSeq(e.Seq)
		m := nats.NewMsg(publisher.Subject("live", e.Type, sdkAppID, e.Room.RoomID))
		m.Header.Set(nats.MsgIdHdr, e.ID)
		m.Header.Set("Content-Type", "application/cloudevents+json")
		m.Data = publisher.Encode(sdkAppID, e)
		msgs[i] = m
	}
	fmt.Println("ready")
	if _, err := bufio.NewReader(os.Stdin).ReadString('\n'); err != nil {
		return err
	}
	for i := 0; i < rooms; i += floorBatch {
		_, err := jetstreamext.PublishMsgBatch(ctx, js, msgs[i:min(i+floorBatch, rooms)], jetstreamext.BatchFlowControl{AckFirst: false})
		if err != nil {
			return err
		}
	}
	return nil
}
