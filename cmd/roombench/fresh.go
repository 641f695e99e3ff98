package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"roomwatch/diff/retry"
	"roomwatch/poller/simulator"
	"roomwatch/publisher/events"
)

// A liveliness is the world of [benchFresh].
type liveliness struct {
	rooms         int
	opens, enters float64 // a second
	next          simulator.Next
	cursor        string // its name
	latency       time.Duration
	watch, wait   time.Duration // for which changes are counted, and for which news of them is waited for
}

// worldAge is how long a world has lived: at its birth far too many rooms have no views.
const worldAge = 10 * time.Minute

// A way is how a daemon comes to its news.
type way struct {
	name      string
	env       []string
	callbacks bool
}

func ways() []way {
	return []way{
		{name: "sweeps alone", env: []string{"ROOMWATCH_POINT_READS_PER_SECOND=0"}},
		{name: "with point reads", env: []string{"ROOMWATCH_PROBE_SHARE=0"}},
		{name: "and probes"},
		{name: "and callbacks", callbacks: true},
	}
}

// A freshness is how old the news of a daemon was when the stream had it.
type freshness struct {
	created, ended         []time.Duration // sorted
	untold, falseEnds      int
	requests, most, maxAny int // of the list, of get_room_info in any second, and of the list in any second
	over                   time.Duration
}

// benchFresh measures how old news is: the real binary at the vendor's quota against a
// world that lives, in several ways beside each other, each in a world of its own.
func benchFresh(ctx context.Context, bins string, l liveliness) (err error) {
	r, err := newRig(ctx, bins, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	results := make([]freshness, len(ways()))
	g, ctx := errgroup.WithContext(ctx)
	for i, w := range ways() {
		g.Go(func() (err error) {
			results[i], err = r.fresh(ctx, w, i, l)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	fmt.Printf("%d rooms, %v opened and %v entered a second, latency %s, cursors %s; changes of %s\n", l.rooms, l.opens, l.enters, l.latency, l.cursor, l.watch)
	fmt.Printf("%-18s %9s %9s %9s %9s %8s %8s %12s %s\n", "", "created", "95 %", "ended", "95 %", "untold", "false", "quota used", "get_room_info, most in a second")
	for i, w := range ways() {
		f := results[i]
		fmt.Printf("%-18s %9s %9s %9s %9s %8d %8d %10.1f %% %d\n", w.name, age(f.created, 0.5), age(f.created, 0.95), age(f.ended, 0.5), age(f.ended, 0.95),
			f.untold, f.falseEnds, 100*float64(f.requests)/f.over.Seconds()/10, f.most)
	}
	return nil
}

// age is the q-quantile of sorted ages.
func age(sorted []time.Duration, q float64) string {
	if len(sorted) == 0 {
		return "none"
	}
	return sorted[min(len(sorted)-1, int(q*float64(len(sorted))))].Round(10 * time.Millisecond).String()
}

// fresh lets one daemon watch one world.
func (r *rig) fresh(ctx context.Context, w way, n int, l liveliness) (f freshness, err error) {
	const token = "roombench"
	stream := fmt.Sprint("LIVE", n)
	hook, err := freeAddr()
	if err != nil {
		return f, err
	}
	app := sdkAppID + n // of its own: the daemons of one application have one writer
	c := simulator.Config{
		SDKAppID: app, SecretKey: secretKey, Seed: 1, Rooms: l.rooms, Opens: l.opens, Enters: l.enters, Next: l.next, Latency: l.latency,
		Start: time.Now().Add(-worldAge),
	}
	env := append([]string{
		"ROOMWATCH_SDKAPPID=" + strconv.Itoa(app), "ROOMWATCH_STREAM=" + stream, "ROOMWATCH_SUBJECT_PREFIX=live" + fmt.Sprint(n), "ROOMWATCH_DATA_DIR=" + filepath.Join(r.dir, stream), "ROOMWATCH_HTTP_ADDR=off",
	}, w.env...)
	if w.callbacks {
		c.Callbacks = simulator.Callbacks{URL: "http://" + hook + "/webhook", Token: token}
		env = append(env, "ROOMWATCH_WEBHOOK_ADDR="+hook, "ROOMWATCH_WEBHOOK_TOKEN="+token)
	}
	world, err := simulator.New(c)
	if err != nil {
		return f, err
	}
	url, stop, err := serveWorld(ctx, world)
	if err != nil {
		return f, err
	}
	defer stop()
	p, err := r.roomwatch(ctx, append(env, "ROOMWATCH_ENDPOINT="+url)...)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, ignoreExit(p.stop())) }()
	// Two sweeps, so that the first look is over and the daemon knows what is usual.
	if err := retry.Sleep(ctx, 2*time.Duration(l.rooms/perPage)*time.Second/9+5*time.Second); err != nil {
		return f, err
	}
	begin, before := time.Now(), world.Requests()
	if err := retry.Sleep(ctx, l.watch); err != nil {
		return f, err
	}
	end := time.Now()
	f.requests, f.over = world.Requests()-before, end.Sub(begin)
	if err := retry.Sleep(ctx, l.wait); err != nil {
		return f, err
	}
	told, err := r.told(ctx, stream)
	if err != nil {
		return f, err
	}
	f.compare(world.Truth(), told, begin, end)
	f.most, f.maxAny = world.MaxInfoInSecond(), world.MaxInSecond()
	if f.maxAny > 10 {
		return f, fmt.Errorf("%s: %d requests in a second", w.name, f.maxAny)
	}
	return f, nil
}

// serveWorld serves a world, and sends its callbacks, until stop is called.
func serveWorld(ctx context.Context, world *simulator.Service) (url string, stop func(), err error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	srv := &http.Server{Handler: world, ReadHeaderTimeout: 5 * time.Second}
	var g errgroup.Group
	g.Go(func() error { return srv.Serve(l) })
	g.Go(func() error {
		world.SendCallbacks(ctx)
		return nil
	})
	return "http://" + l.Addr().String(), func() {
		cancel()
		_ = srv.Close()
		_ = g.Wait() // says that it was closed
	}, nil
}

// A life names one life of a room.
type life struct {
	id      string
	created int64
}

// A news is when the stream had the begin and the end of a life.
type news struct{ created, ended time.Time }

// told reads a stream from its start.
func (r *rig) told(ctx context.Context, stream string) (map[life]news, error) {
	cons, err := r.js.OrderedConsumer(ctx, stream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{"*.room.created.>", "*.room.ended.>"}})
	if err != nil {
		return nil, err
	}
	info, err := cons.Info(ctx)
	if err != nil {
		return nil, err
	}
	msgs, err := cons.Messages()
	if err != nil {
		return nil, err
	}
	defer msgs.Stop()
	all := map[life]news{}
	for left := info.NumPending; left > 0; left-- {
		msg, err := msgs.Next(jetstream.NextContext(ctx))
		if err != nil {
			return nil, err
		}
		meta, err := msg.Metadata()
		if err != nil {
			return nil, err
		}
		e, err := events.Decode(msg.Data())
		if err != nil {
			return nil, err
		}
		key := life{e.Data.Room.RoomID, e.Data.Room.CreateTime}
		n := all[key]
		if e.Type == events.RoomCreated {
			n.created = meta.Timestamp
		} else {
			n.ended = meta.Timestamp
		}
		all[key] = n
	}
	return all, nil
}

// compare holds what was told against what was true of the changes between begin and end.
func (f *freshness) compare(truth simulator.Truth, told map[life]news, begin, end time.Time) {
	within := func(t time.Time) bool { return t.After(begin) && t.Before(end) }
	for _, l := range truth.Lives {
		n := told[life{l.RoomID, l.CreateTime}]
		switch {
		case !within(l.Opened):
		case !n.created.IsZero():
			f.created = append(f.created, n.created.Sub(l.Opened))
		case l.Ended.IsZero() || l.Ended.Sub(l.Opened) > time.Minute: // a shorter one may never have been on a list
			f.untold++
		}
		switch {
		case !n.ended.IsZero() && (l.Ended.IsZero() || n.ended.Before(l.Ended)):
			f.falseEnds++
		case !within(l.Ended) || n.created.IsZero():
		case n.ended.IsZero():
			f.untold++
		default:
			f.ended = append(f.ended, n.ended.Sub(l.Ended))
		}
	}
	slices.Sort(f.created)
	slices.Sort(f.ended)
}
