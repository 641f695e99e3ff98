package trail

import (
	"context"
	"strings"
	"testing"
	"time"
)

// What tells of the watch is on record byte for byte, and a time in which nobody watched
// is told by verify and is a hole for those who search.
func TestWatchIsOnRecord(t *testing.T) {
	at := time.Date(2026, 11, 23, 8, 10, 3, 0, time.UTC)
	alive := `{"specversion":"1.0","id":"A","source":"/live/8","type":"watch.alive","time":"2026-11-23T08:10:00.000Z","data":{"watching":true,"sweep":{"number":1}}}`
	resumed := `{"specversion":"1.0","id":"resumed-2026-11-23T08:00:52.310Z","source":"/live/8","type":"watch.resumed","time":"2026-11-23T08:10:03.500Z","data":{"from":"2026-11-23T08:00:52.310Z","to":"2026-11-23T08:10:01.120Z","why":"stopped"}}`
	for _, body := range []string{alive, resumed, strings.ReplaceAll(alive, "watch.alive", "watch.later")} {
		if l := record(Message{Seq: 1, Stored: at, Subject: "live.watch.x.8", Body: []byte(body)}); l.Kind != Watch || string(l.Event) != body || l.Reason != "" {
			t.Errorf("line %+v of %s", l, body)
		}
	}
	dir := t.TempDir()
	w, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Append(at, []Message{{Seq: 1, Stored: at, Subject: "live.watch.alive.8", Body: []byte(alive)}, {Seq: 2, Stored: at, Subject: "live.watch.resumed.8", Body: []byte(resumed)}}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	r, err := Verify(context.Background(), Check{Dir: dir}, func(f Fault) error { t.Error(f); return nil })
	if err != nil {
		t.Fatal(err)
	}
	told := ""
	for _, n := range r.Notes {
		told += n.Text + "\n"
	}
	want := "on record: nobody watched the rooms: stopped; of application 8, from 2026-11-23T08:00:52Z to 2026-11-23T08:10:01Z\n"
	if told != want || r.Messages != 2 {
		t.Errorf("verify tells %q of %d messages, want %q", told, r.Messages, want)
	}
}
