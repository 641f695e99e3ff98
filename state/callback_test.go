package state

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

// A callback proposes its room: a read that shows it creates it at once, also if the
// replica lags behind at first, and a read that does not find a destroyed room ends it.
func TestCallbacks(t *testing.T) {
	s, p := openReading(t)
	whole(t, s, 0, "a@1=0")
	tell := func(n float64, id string, kind diff.CallbackKind) {
		s.Tell(diff.Callback{RoomID: id, Kind: kind, At: second(n), Signed: 2})
	}
	proposed := func(when, want string) {
		t.Helper()
		if got := p.take(); got != want {
			t.Errorf("%s: proposed %q, want %q", when, got, want)
		}
	}
	tell(5, "b", diff.Created)
	proposed("created", "callback:b")
	answer(t, s, 5.1, "b-")
	proposed("not there yet", "callback_again:b")
	answer(t, s, 6, "b-")
	proposed("still not there", "callback_again:b")
	answer(t, s, 8, "b+")
	proposed("there", "")
	wantWaiting(t, s, 1, "2 +b@1=0")

	tell(20, "b", diff.Destroyed)
	proposed("destroyed", "callback:b")
	see(t, s, page(t, 20.05, "a@1=0"))
	answer(t, s, 20.1, "b-")
	wantWaiting(t, s, 2, "")
	control(t, s, 20.2)
	wantWaiting(t, s, 2, "3 -b@1")
	proposed("ended", "")
	checked(t, s)

	// One that nobody knows, and is gone.
	tell(30, "c", diff.Destroyed)
	proposed("destroyed, unknown", "callback:c")
	answer(t, s, 30.1, "c-")
	proposed("gone, unknown", "")
	// A forged one: the room lives.
	tell(40, "a", diff.Destroyed)
	answer(t, s, 40.1, "a+")
	proposed("lives", "callback:a callback_again:a")
	see(t, s, page(t, 40.2, "a@1=0"))
	wantWaiting(t, s, 3, "")
	checked(t, s)
}

// A callback that was sent before the known life began means an earlier one, however
// late or how often it comes: one read beside it ends nothing.
func TestCallbackOfAnEarlierLife(t *testing.T) {
	for _, tt := range []struct {
		name   string
		signed int64
		one    string // told after one read
	}{
		{"before", 9, ""},
		{"in the same second", 10, ""},
		{"after", 11, "3 -b@10"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, p := openReading(t)
			whole(t, s, 0, "a@1=0 b@10=0")
			s.Tell(diff.Callback{RoomID: "b", Kind: diff.Destroyed, At: second(5), Signed: tt.signed})
			p.take()
			answer(t, s, 5.1, "b-")
			see(t, s, page(t, 5.2, "a@1=0"))
			control(t, s, 5.3)
			wantWaiting(t, s, 2, tt.one)
			if got := p.take(); (got == "asked_again:b") != (tt.one == "") {
				t.Errorf("proposed %q", got)
			}
			if tt.one == "" {
				answer(t, s, 8.2, "b-")
				control(t, s, 8.3)
				wantWaiting(t, s, 2, "3 -b@10")
			}
			checked(t, s)
		})
	}
}

// What a callback says is taken while a commit waits for the disk: the receiver never does.
func TestCallbackWhileTheDiskIsSlow(t *testing.T) {
	s, p := openReading(t)
	whole(t, s, 0, "a@1=0")
	disk, told := make(chan struct{}), make(chan struct{})
	begun := make(chan struct{})
	s.commit = func(tx *bbolt.Tx) error {
		close(begun)
		<-disk
		return tx.Commit()
	}
	committed := make(chan error)
	go func() { committed <- s.Commit(page(t, 1, "a@1=0 b@1=0")) }()
	<-begun
	go func() {
		for i := range 20_000 { // a flood
			s.Tell(diff.Callback{RoomID: fmt.Sprint("r", i), Kind: diff.Destroyed, At: second(1), Signed: 2})
		}
		s.Tell(diff.Callback{RoomID: "a", Kind: diff.Destroyed, At: second(1), Signed: 2})
		close(told)
	}()
	select {
	case <-told:
	case <-time.After(time.Minute):
		t.Error("callbacks wait for the commit")
	}
	close(disk)
	if err := <-committed; err != nil {
		t.Fatal(err)
	}
	<-told
	s.commit = (*bbolt.Tx).Commit
	if got := p.take(); !strings.HasPrefix(got, "callback:a ") { // sorted
		t.Errorf("proposed %.100q, without the last one", got)
	}
}
