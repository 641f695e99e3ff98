package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"roomwatch/cmd/roomaudit/trail"
)

// The stream of a later version, with fields, types and evidence that this one does not
// know, is on record byte for byte; verify accepts it, and query and room tell what they know of it.
func TestRecordsALaterVersion(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	p := start(t, r.env(dir), "run")
	later := func(n, version int, typ string) string {
		return fmt.Sprintf(`{"severity":"low","specversion":"1.0","id":"01KAS8Z1Q2R3-%016[1]d","source":"/live/1400000000","type":%[2]q,"subject":"x","time":"2026-11-23T12:00:%02[1]dZ",`+
			`"sequence":"%016[1]d","datacontenttype":"application/json","data":{"region":null,"room":{"Mood":{"is":["good"]},"RoomId":"x","RoomName":"X","Owner_Account":"o","CoverURL":"","Category":[1],"CreateTime":1,`+
			`"ActivityStatus":1,"ViewCount":7},"evidence":{"by":"oracle","requests":["q%[1]d"],"weights":{"a":[1]}},"version":%[3]d,"sweep":1}}`, n, typ, version)
	}
	var put []string
	for i, tt := range []struct{ subject, body string }{
		{"live.room.created.1400000000.x", later(1, 1, "room.created")},
		{"live.room.something.1400000000.x", later(2, 2, "room.something")},
		{"live.watch.something.1400000000", `{"specversion":"1.0","type":"watch.something","data":[1]}`},
		{"live.viewcount.changed.1400000000.x", later(3, 3, "viewcount.changed")},
		{"live.something", `[]`},
		{"live.room.ended.1400000000.x", later(4, 4, "room.ended")},
	} {
		ack, err := r.js.Publish(t.Context(), tt.subject, []byte(tt.body))
		must(t, err)
		if put = append(put, tt.body); ack.Sequence != uint64(i+1) {
			t.Fatalf("message %d is stored as %d", i+1, ack.Sequence)
		}
	}
	r.wantAllOf(dir, len(put))
	r.acknowledged(uint64(len(put)))
	p.stop()
	kinds := ""
	for i, l := range recorded(t, dir) {
		body := []byte(l.Event)
		if l.Kind == trail.Other {
			body = l.Raw
		}
		if l.Seq != uint64(i+1) || !bytes.Equal(body, []byte(put[i])) {
			t.Errorf("message %d is on record as %d: %s", i+1, l.Seq, body)
		}
		kinds += string(l.Kind) + " "
	}
	if want := "event other watch event other event "; kinds != want {
		t.Errorf("on record as %s, want %s", kinds, want)
	}
	if status, out, errs := call(t, dir, "verify"); status != 0 {
		t.Errorf("verify: %d\n%s%s", status, out, errs)
	}
	_, out, errs := call(t, dir, "query", "--room", "x")
	for _, typ := range []string{"room.created", "viewcount.changed", "room.ended"} {
		if strings.Count(out, typ) != 1 {
			t.Errorf("query:\n%s%s", out, errs)
		}
	}
	if status, out, errs := call(t, dir, "room", "x"); status != 0 || !strings.Contains(out, "of the begin: oracle, RequestId q1") || !strings.Contains(out, "of the end: oracle, RequestId q4") {
		t.Errorf("room: %d\n%s%s", status, out, errs)
	}
}
