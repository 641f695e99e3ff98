package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff"
	"roomwatch/publisher"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
	"roomwatch/state"
)

// A watch is a state file and a publisher on a real stream, in a bubble. Its
// rooms are checked by the test.
type watch struct {
	t      *testing.T
	nc     *nats.Conn
	policy diff.Policy
	path   string
	store  *state.Store
	stop   func()
	rooms  []diff.Room     // that are live
	told   map[string]bool // ids of the events that were in the stream
}

// inBubble runs f with a watch that has not begun, and a stream of an hour.
func inBubble(t *testing.T, baseline string, f func(w *watch)) {
	natstest.Run(t, func(t *testing.T, s *natstest.Server) {
		w := &watch{t: t, nc: s.Connect(), policy: diff.DefaultPolicy(), stop: func() {}, told: map[string]bool{}}
		w.lose()
		w.policy.SilentBaseline = baseline == "silent"
		js, err := jetstream.New(w.nc)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "LIVE", Subjects: []string{"live.>"}, MaxAge: time.Hour, AllowAtomicPublish: true}); err != nil {
			t.Fatal(err)
		}
		f(w)
		w.stop()
	})
}

// lose puts a state file that does not exist in the place of what there is.
func (w *watch) lose() { w.path = filepath.Join(w.t.TempDir(), "state.db") }

// begin opens the state file, and compares it with the stream.
func (w *watch) begin() {
	w.t.Helper()
	w.open()
	w.publish()
}

func (w *watch) open() {
	w.t.Helper()
	store, err := state.Open(state.Config{Path: w.path, SDKAppID: testApp, Policy: w.policy})
	if err != nil {
		w.t.Fatal(err)
	}
	w.store = store
	w.stop = func() {
		if err := store.Close(); err != nil {
			w.t.Error(err)
		}
		w.stop = func() {}
	}
}

func (w *watch) publish() {
	w.t.Helper()
	pub, err := publisher.New(publisher.Config{Conn: natsconn.Of(w.nc), Outbox: w.store, Stream: publisher.StreamConfig{Name: "LIVE", Prefix: "live"}, SDKAppID: testApp})
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- pub.Run(ctx, 0) }()
	closeStore := w.stop
	w.stop = func() {
		time.Sleep(time.Second)
		cancel()
		if err := <-done; err != nil {
			w.t.Error(err)
		}
		closeStore()
	}
	<-pub.Recovered()
}

// live makes a room begin now, and time continue.
func (w *watch) live(id string) {
	w.rooms = append(w.rooms, diff.Room{RoomID: id, CreateTime: time.Now().Unix()})
	time.Sleep(10 * time.Second)
}

func (w *watch) views(id string, n int64) {
	i := slices.IndexFunc(w.rooms, func(r diff.Room) bool { return r.RoomID == id })
	w.rooms[i].ViewCount = n
}

// look reads the list, and returns what is new in the stream by it.
func (w *watch) look() []string {
	w.t.Helper()
	begin := time.Now()
	time.Sleep(time.Second)
	seen := diff.NewSeen()
	for _, r := range w.rooms {
		seen.Add(r.Key())
	}
	page := diff.Page{At: time.Now().UTC(), Begin: begin, Asked: begin.UTC().Truncate(time.Second), Rooms: slices.Clone(w.rooms)}
	if err := w.store.Commit(page); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.store.EndSweep(diff.Sweep{Begin: begin, End: time.Now(), Complete: true, Pages: 1, Seen: seen}); err != nil {
		w.t.Fatal(err)
	}
	time.Sleep(9 * time.Second)
	var news []string
	for _, e := range readStream(w.t, w.nc) {
		if w.told[e.ID] {
			continue
		}
		w.told[e.ID] = true
		news = append(news, fmt.Sprint(e.Type, " ", e.Data.Room.RoomID, map[bool]string{true: " baseline"}[e.Data.Baseline]))
	}
	return news
}

func (w *watch) want(want ...string) {
	w.t.Helper()
	if got := w.look(); !slices.Equal(got, want) {
		w.t.Errorf("the stream got %q, want %q", got, want)
	}
}

// A state file that is lost: a room that was live before the first look, and was
// never told with ROOMWATCH_BASELINE=silent, is no news after the rebuild.
func TestRebuildKeepsSilence(t *testing.T) {
	inBubble(t, "silent", func(w *watch) {
		w.live("a")
		w.live("b")
		w.begin()
		w.want()
		w.live("c")
		w.views("a", 1)
		w.want("viewcount.changed a", "room.created c")
		w.stop()
		w.live("d")
		w.lose()
		w.begin()
		w.live("e")
		w.want("room.created d", "room.created e")
		w.views("b", 1)
		w.want("viewcount.changed b")
	})
}

// The same where nothing was told for so long that the events have expired.
func TestRebuildAfterEventsExpired(t *testing.T) {
	for _, baseline := range []string{"publish", "silent"} {
		t.Run(baseline, func(t *testing.T) {
			inBubble(t, baseline, func(w *watch) {
				w.begin()
				w.want()
				w.live("old")
				w.live("busy")
				w.want("room.created old", "room.created busy")
				for n := range int64(9) {
					w.views("busy", n+1)
					w.want("viewcount.changed busy")
					time.Sleep(10 * time.Minute)
				}
				w.live("new")
				w.want("room.created new")
				w.stop()
				w.live("meanwhile")
				w.lose()
				w.begin()
				if baseline == "publish" {
					w.want("room.created old baseline", "room.created meanwhile")
				} else {
					w.want("room.created meanwhile")
				}
			})
		})
	}
}

// A state that was lost is recreated while NATS is away, and looks. What began
// before that look and was never told is news all the same.
func TestRebuildOfAStateThatHasLooked(t *testing.T) {
	inBubble(t, "silent", func(w *watch) {
		w.live("a")
		w.begin()
		w.want()
		w.views("a", 1)
		w.want("viewcount.changed a")
		w.stop()
		w.live("b")
		w.lose()
		w.open()
		w.want()
		w.publish()
		w.want("room.created b")
	})
}

// The claim says since when the rooms are watched, before the first event of one
// that began later is stored, after a restart, and after a rebuild.
func TestClaimTellsWatchedSince(t *testing.T) {
	inBubble(t, "publish", func(w *watch) {
		w.live("a")
		w.begin()
		w.wantClaims(time.Time{})
		first := time.Now().UTC().Truncate(time.Second)
		w.want("room.created a baseline")
		w.wantClaims(time.Time{}, first)
		w.stop()
		w.begin()
		w.wantClaims(time.Time{}, first, first)
		oldest := readStream(w.t, w.nc)[0].Time
		w.stop()
		w.lose()
		w.begin()
		w.want()
		w.wantClaims(time.Time{}, first, first, first, oldest)
	})
}

// wantClaims fails unless the stream has claims with these values, the second one
// before any event.
func (w *watch) wantClaims(want ...time.Time) {
	w.t.Helper()
	time.Sleep(time.Second)
	js, err := jetstream.New(w.nc)
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := js.Stream(w.t.Context(), "LIVE")
	if err != nil {
		w.t.Fatal(err)
	}
	var got []time.Time
	for seq := uint64(1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(w.t.Context(), seq)
		if err != nil {
			w.t.Fatal(err)
		}
		if m.Subject != fmt.Sprint("live.writer.claimed.", testApp) {
			if seq < 3 {
				w.t.Errorf("message %d is on %s, want a claim", seq, m.Subject)
			}
			continue
		}
		var claim struct {
			Data struct {
				WatchedSince time.Time `json:"watched_since"`
			}
		}
		if err := json.Unmarshal(m.Data, &claim); err != nil {
			w.t.Fatal(err)
		}
		got = append(got, claim.Data.WatchedSince)
	}
	if !slices.EqualFunc(got, want, time.Time.Equal) {
		w.t.Errorf("claims are watched since %v, want %v", got, want)
	}
}

// copyState returns the path of a copy of the state file, which is closed.
func (w *watch) copyState() string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "state.db")
	b, err := os.ReadFile(w.path)
	if err == nil {
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return path
}

// removeLast removes the last event of the stream.
func (w *watch) removeLast() {
	w.t.Helper()
	js, err := jetstream.New(w.nc)
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := js.Stream(w.t.Context(), "LIVE")
	if err != nil {
		w.t.Fatal(err)
	}
	m, err := s.GetLastMsgForSubject(w.t.Context(), "live.*.*.*.*")
	if err == nil {
		err = s.DeleteMsg(w.t.Context(), m.Sequence)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// wantLast fails unless the last event of the stream is of another epoch than the
// one before it, and tells of this change of a view count.
func (w *watch) wantLast(previous, views int64) {
	w.t.Helper()
	all := readStream(w.t, w.nc)
	if len(all) < 2 {
		w.t.Fatalf("the stream has %d events, want at least 2", len(all))
	}
	before, e := all[len(all)-2], all[len(all)-1]
	epoch, _, _ := strings.Cut(before.ID, "-")
	if strings.HasPrefix(e.ID, epoch) || !strings.HasSuffix(e.ID, "-0000000000000001") {
		w.t.Errorf("event %s follows %s, want number 1 of a new epoch", e.ID, before.ID)
	}
	if e.Data.Previous == nil || *e.Data.Previous.ViewCount != previous || e.Data.Room.ViewCount != views || e.Data.Version != before.Data.Version+1 {
		w.t.Errorf("event %s after version %d, want the change from %d to %d", e.raw, before.Data.Version, previous, views)
	}
}

// The stream lost its last event, and a copy of the state from before gave the number
// of that event to another one. The state that had stored the first takes the stream's word.
func TestLastStoredNumberOfAnotherEvent(t *testing.T) {
	inBubble(t, "publish", func(w *watch) {
		w.live("a")
		w.begin()
		w.want("room.created a baseline")
		w.stop()
		newer, older := w.path, w.copyState()
		w.begin()
		w.views("a", 1)
		w.want("viewcount.changed a")
		w.stop()
		w.removeLast()
		time.Sleep(10 * time.Minute) // NATS has forgotten its id
		clear(w.told)
		w.path = older
		w.begin()
		w.views("a", 20)
		w.want("room.created a baseline", "viewcount.changed a")
		w.stop()
		w.path = newer
		w.begin()
		w.views("a", 300)
		w.want("viewcount.changed a")
		w.wantLast(20, 300)
	})
}

// An event was stored, a crash lost its acknowledgement, and then the stream lost the
// event, while NATS still remembers its id.
func TestEventLostAfterItsAcknowledgementWas(t *testing.T) {
	inBubble(t, "publish", func(w *watch) {
		w.live("a")
		w.begin()
		w.want("room.created a baseline")
		w.stop()
		w.open()
		w.views("a", 1)
		w.want()
		w.stop()
		crashed := w.copyState()
		w.begin()
		w.stop()
		if n := stored(w.t, w.nc); n != 2 {
			w.t.Fatalf("%d events are stored, want 2", n)
		}
		w.removeLast()
		w.path = crashed
		w.begin()
		time.Sleep(time.Second)
		w.wantLast(0, 1)
	})
}
