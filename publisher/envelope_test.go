package publisher

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"pgregory.net/rapid"

	"roomwatch/diff"
)

func at(t testing.TB, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// contractEvent is the example of the contract.
func contractEvent(t testing.TB) diff.Event {
	return diff.Event{
		ID: "01JD3ZK8V6Q4-0000000000000042", Seq: 42, Type: diff.ViewCountChanged,
		Room: diff.Room{
			RoomID: "room_id0", RoomName: "name", OwnerAccount: "bren", CoverURL: "cover_url",
			Category: []int64{1, 2, 3}, CreateTime: 1693271354, ActivityStatus: 1, ViewCount: 1000,
		},
		Previous: diff.Previous{ViewCount: new(int64(900))},
		Version:  3, Baseline: true, Sweep: 17,
		Time:  at(t, "2026-11-23T08:00:00.123Z"),
		Since: at(t, "2026-11-23T07:59:48.001Z"),
	}
}

// The wire form is a promise to subscribers: a change here breaks them.
func TestEncodeIsTheContract(t *testing.T) {
	const want = `{"specversion":"1.0","id":"01JD3ZK8V6Q4-0000000000000042","source":"/live/88888888",` +
		`"type":"viewcount.changed","subject":"room_id0","time":"2026-11-23T08:00:00.123Z","sequence":"0000000000000042",` +
		`"datacontenttype":"application/json","dataschema":"urn:roomwatch:schema:viewcount.changed.data.v1","data":{"room":{"RoomId":"room_id0","RoomName":"name","Owner_Account":"bren",` +
		`"CoverURL":"cover_url","Category":[1,2,3],"CreateTime":1693271354,"ActivityStatus":1,"ViewCount":1000},` +
		`"previous":{"ViewCount":900},"version":3,"since":"2026-11-23T07:59:48.001Z","baseline":true,"sweep":17}}`
	got := Encode(88888888, contractEvent(t))
	if string(got) != want {
		t.Errorf("Encode:\n got %s\nwant %s", got, want)
	}
}

func TestEncode(t *testing.T) {
	tests := []struct {
		name   string
		edit   func(*diff.Event)
		has    string
		hasNot string
	}{
		{name: "no category is an empty list", edit: func(e *diff.Event) { e.Room.Category = nil }, has: `"Category":[]`, hasNot: "null"},
		{name: "category that was empty", edit: func(e *diff.Event) { e.Previous = diff.Previous{Category: new([]int64)} }, has: `"previous":{"Category":[]}`, hasNot: "null"},
		{name: "nothing previous", edit: func(e *diff.Event) { e.Previous = diff.Previous{} }, hasNot: `"previous"`},
		{name: "previous count of zero", edit: func(e *diff.Event) { e.Previous = diff.Previous{ViewCount: new(int64)} }, has: `"previous":{"ViewCount":0}`},
		{name: "previous name that was empty", edit: func(e *diff.Event) { e.Previous = diff.Previous{RoomName: new(string)} }, has: `"previous":{"RoomName":""}`},
		{name: "unknown since", edit: func(e *diff.Event) { e.Since = time.Time{} }, hasNot: `"since"`},
		{name: "no baseline", edit: func(e *diff.Event) { e.Baseline = false }, hasNot: `"baseline"`},
		{name: "HTML is left as it is", edit: func(e *diff.Event) { e.Room.RoomName = "<a> & b" }, has: `"<a> & b"`},
		{name: "microseconds are cut off", edit: func(e *diff.Event) { e.Time = e.Time.Add(999_999) }, has: `"2026-11-23T08:00:00.123Z"`},
		{name: "another zone", edit: func(e *diff.Event) { z := time.FixedZone("", 8*3600); e.Time, e.Since = e.Time.In(z), e.Since.In(z) }, has: `"since":"2026-11-23T07:59:48.001Z"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := contractEvent(t)
			tt.edit(&e)
			got := Encode(88888888, e)
			if !strings.Contains(string(got), tt.has) {
				t.Errorf("%s\nlacks %s", got, tt.has)
			}
			if tt.hasNot != "" && strings.Contains(string(got), tt.hasNot) {
				t.Errorf("%s\nhas %s", got, tt.hasNot)
			}
		})
	}
}

// drawEvent makes events as the wire can hold them: times in milliseconds, a
// category that is never nil.
func drawEvent(t *rapid.T) diff.Event {
	text := rapid.String()
	number := rapid.Int64()
	category := rapid.SliceOf(number).Filter(func(s []int64) bool { return s != nil })
	moment := rapid.Custom(func(t *rapid.T) time.Time {
		return time.UnixMilli(rapid.Int64Range(0, 4e12).Draw(t, "ms")).UTC()
	})
	e := diff.Event{
		Seq: rapid.Uint64Range(1, 9999999999999999).Draw(t, "seq"), Type: rapid.SampledFrom(diff.Types()).Draw(t, "type"),
		Room: diff.Room{
			// The SDK refuses a subject of blanks only; the specification does not.
			RoomID:   rapid.StringN(1, -1, 48).Filter(func(s string) bool { return strings.TrimSpace(s) != "" }).Draw(t, "id"),
			RoomName: text.Draw(t, "name"), OwnerAccount: text.Draw(t, "owner"), CoverURL: text.Draw(t, "cover"),
			Category: category.Draw(t, "category"), CreateTime: number.Draw(t, "made"),
			ActivityStatus: number.Draw(t, "status"), ViewCount: number.Draw(t, "views"), Hidden: rapid.Bool().Draw(t, "hidden"),
		},
		Previous: diff.Previous{
			RoomName: rapid.Ptr(text, true).Draw(t, "was"), OwnerAccount: rapid.Ptr(text, true).Draw(t, "was"),
			CoverURL: rapid.Ptr(text, true).Draw(t, "was"), Category: rapid.Ptr(category, true).Draw(t, "was"),
			ActivityStatus: rapid.Ptr(number, true).Draw(t, "was"), ViewCount: rapid.Ptr(number, true).Draw(t, "was"),
		},
		Version: rapid.Uint64Min(1).Draw(t, "version"), Baseline: rapid.Bool().Draw(t, "baseline"), Gap: rapid.Bool().Draw(t, "gap"),
		Sweep: rapid.Uint64().Draw(t, "sweep"), Time: moment.Draw(t, "time"),
	}
	if rapid.Bool().Draw(t, "has since") {
		e.Since = moment.Draw(t, "since")
	}
	if by := rapid.SampledFrom([]diff.By{"", diff.ByList, diff.ByInfo, diff.BySweeps}).Draw(t, "by"); by != "" {
		e.Evidence = diff.Evidence{By: by, Requests: rapid.SliceOfN(text, 1, 3).Draw(t, "requests"), Missed: rapid.Uint64().Draw(t, "missed")}
	}
	e.ID = eventID("01JD3ZK8V6Q4", e.Seq)
	return e
}

// encodeByReflection says with the struct that [Decode] reads what [Encode]
// writes by hand.
func encodeByReflection(app int, e diff.Event) ([]byte, error) {
	d := eventData{
		Room: wireRoom{
			RoomID: e.Room.RoomID, RoomName: e.Room.RoomName, OwnerAccount: e.Room.OwnerAccount, CoverURL: e.Room.CoverURL,
			Category: e.Room.Category, CreateTime: e.Room.CreateTime, ActivityStatus: e.Room.ActivityStatus, ViewCount: e.Room.ViewCount,
		},
		Version: e.Version, Gap: e.Gap, Baseline: e.Baseline, Sweep: e.Sweep,
	}
	if e.Room.Hidden {
		d.Room.Public = new(bool)
	}
	if v := e.Evidence; v.By != "" {
		d.Evidence = &wireEvidence{string(v.By), v.Requests, v.Missed}
	}
	if e.Previous != (diff.Previous{}) {
		d.Previous = new(wirePrevious(e.Previous))
	}
	if !e.Since.IsZero() {
		d.Since = e.Since.UTC().Format(wireTime)
	}
	return marshal(envelope[eventData]{
		SpecVersion: "1.0", ID: e.ID, Source: source(app), Type: string(e.Type), Subject: e.Room.RoomID,
		Time: e.Time.UTC().Format(wireTime), Sequence: fmt.Sprintf("%016d", e.Seq), TraceParent: e.Trace, DataContentType: "application/json",
		DataSchema: dataSchema(string(e.Type)), Data: d,
	})
}

func TestEncodeIsTheStruct(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		if rapid.Bool().Draw(t, "traced") {
			e.Trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		}
		// What is not UTF-8 comes from nowhere today; it must not break the JSON.
		e.Room.RoomName += string(rapid.SliceOf(rapid.Byte()).Draw(t, "bytes"))
		want, err := encodeByReflection(1400000000, e)
		if err != nil {
			t.Fatal(err)
		}
		if got := Encode(1400000000, e); string(got) != string(want) {
			t.Fatalf("\n got %s\nwant %s", got, want)
		}
	})
}

func TestDecodeUndoesEncode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawEvent(t)
		body := Encode(1400000000, want)
		got, err := Decode(body)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\n got %+v\nwant %+v", body, got, want)
		}
	})
}

// What the rest of the world's CloudEvents library reads is what was meant.
func TestCloudEventsSDKAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := drawEvent(t)
		body := Encode(1400000000, e)
		var ce event.Event
		if err := json.Unmarshal(body, &ce); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		if err := ce.Validate(); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		got := []any{ce.SpecVersion(), ce.ID(), ce.Source(), ce.Type(), ce.Subject(), ce.Time(), ce.DataContentType(), ce.DataSchema(), ce.Extensions()["sequence"]}
		want := []any{"1.0", e.ID, "/live/1400000000", string(e.Type), e.Room.RoomID, e.Time, "application/json", "urn:roomwatch:schema:" + string(e.Type) + ".data.v1", e.ID[len("01JD3ZK8V6Q4-"):]}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\n got %v\nwant %v", body, got, want)
		}
		var data eventData
		if err := ce.DataAs(&data); err != nil {
			t.Fatal(err)
		}
		if data.Room.RoomID != e.Room.RoomID || data.Version != e.Version {
			t.Fatalf("data %+v of %+v", data, e)
		}
	})
}

func TestDecodeRefuses(t *testing.T) {
	good := Encode(1, contractEvent(t))
	tests := []struct{ name, old, new string }{
		{name: "nothing", old: string(good)},
		{name: "other JSON", old: string(good), new: `{}`},
		{name: "no JSON", old: string(good), new: `hello`},
		{name: "cut off", old: `"sweep":17}}`},
		{name: "id without an epoch", old: "01JD3ZK8V6Q4-", new: "-"},
		{name: "id without a number", old: "-0000000000000042", new: "-"},
		{name: "id of a claim", old: "01JD3ZK8V6Q4-0000000000000042", new: "01JD3ZK8V6Q4S3T5V7W9XYZABC"},
		{name: "no room", old: `"RoomId":"room_id0"`, new: `"RoomId":""`},
		{name: "no version", old: `"version":3`, new: `"version":0`},
		{name: "no time", old: `"time":"2026-11-23T08:00:00.123Z"`, new: `"time":"today"`},
		{name: "since is no time", old: `"since":"2026-11-23T07:59:48.001Z"`, new: `"since":"lately"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			body := strings.Replace(string(good), tt.old, tt.new, 1)
			if e, err := Decode([]byte(body)); err == nil {
				t.Errorf("Decode(%s) = %+v", body, e)
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	e := contractEvent(b)
	for b.Loop() {
		Encode(88888888, e)
	}
}

func eventID(epoch string, seq uint64) string { return fmt.Sprintf("%s-%016d", epoch, seq) }
