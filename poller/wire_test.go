package poller

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"roomwatch/diff"
)

// documented is the sample of the vendor's page, its "..." left out.
const documented = `{
"ActionStatus": "OK",
"ErrorInfo": "",
"ErrorCode": 0,
"RequestId": "Id-8c9858f01e954611ae2d4c1b1ed7d583-O-Seq-52720",
"Response" : {
"Next":"1693271355-123123123123",
"RoomList":[
{"RoomName":"name","RoomId":"room_id0","Owner_Account":"bren","CoverURL":"cover_url","Category":[1,2,3],
"CreateTime":1693271354,"ActivityStatus":1,"ViewCount":1000},
{"RoomName":"name","RoomId":"room_id19","Owner_Account":"bren","CoverURL":"cover_url","Category":[1,2,3],
"CreateTime":1693271354,"ActivityStatus":1,"ViewCount":900}
]}}`

func TestDecodeDocumentedSample(t *testing.T) {
	p, err := decodePage([]byte(documented), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	r := diff.Room{
		RoomID: "room_id0", RoomName: "name", OwnerAccount: "bren", CoverURL: "cover_url",
		Category: []int64{1, 2, 3}, CreateTime: 1693271354, ActivityStatus: 1, ViewCount: 1000,
	}
	r19 := r
	r19.RoomID, r19.ViewCount = "room_id19", 900
	want := page{
		next: "1693271355-123123123123", rooms: []diff.Room{r, r19},
		requestID: "Id-8c9858f01e954611ae2d4c1b1ed7d583-O-Seq-52720",
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("decodePage = %+v, want %+v", p, want)
	}
}

// show writes a decoded page on one line.
func (p page) show() string {
	s := fmt.Sprintf("next %q", p.next)
	for _, r := range p.rooms {
		s += fmt.Sprintf(" %s@%d=%d", r.RoomID, r.CreateTime, r.ViewCount)
		if r.OwnerAccount != "" {
			s += " owner " + r.OwnerAccount
		}
		if r.Category != nil {
			s += fmt.Sprint(" ", r.Category)
		}
	}
	if p.unusable > 0 {
		s += fmt.Sprintf(" unusable %d: %s", p.unusable, p.why)
	}
	return s
}

func TestDecodeAnswer(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"last page", `{"ErrorCode":0,"Response":{"Next":"","RoomList":[]}}`, `next ""`},
		{"no RoomList", `{"ErrorCode":0,"Response":{"Next":""}}`, `next ""`},
		{"RoomList null", `{"ErrorCode":0,"Response":{"Next":"c","RoomList":null}}`, `next "c"`},
		{"unknown fields", `{"New":[{}],"ErrorCode":0,"Response":{"New":1,"Next":""}}`, `next ""`},
		{"RequestId a number", `{"RequestId":7,"ErrorInfo":null,"ErrorCode":0,"Response":{"Next":""}}`, `next ""`},

		{"nothing", ``, "unexpected end"},
		{"empty object", `{}`, "ErrorCode is missing"},
		{"empty list", `[]`, "the answer is a list, and must be an object"},
		{"null", `null`, "ErrorCode is missing"},
		{"page of a proxy", `<html>`, "the answer is HTML or XML, not JSON"},
		{"cut", documented[:len(documented)-1], "unexpected end"},
		{"garbage behind", documented + `{}`, "invalid character '{' after"},
		{"code null", `{"ErrorCode":null,"Response":{"Next":""}}`, "ErrorCode is missing"},
		{"code a string", `{"ErrorCode":"0","Response":{"Next":""}}`, "ErrorCode is a string, and must be a whole number"},
		{"no Response", `{"ActionStatus":"OK","ErrorCode":0}`, "Response, or Next in it, is missing"},
		{"Response null", `{"ErrorCode":0,"Response":null}`, "Response, or Next in it, is missing"},
		{"Response a list", `{"ErrorCode":0,"Response":[]}`, "Response is a list, and must be an object"},
		{"no Next", `{"ErrorCode":0,"Response":{"RoomList":[]}}`, "Response, or Next in it, is missing"},
		{"Next null", `{"ErrorCode":0,"Response":{"Next":null}}`, "Response, or Next in it, is missing"},
		{"Next a number", `{"ErrorCode":0,"Response":{"Next":0}}`, "Next is a number, and must be a string"},
		{"Next outside", `{"ErrorCode":0,"Next":"","Response":{}}`, "Response, or Next in it, is missing"},
		{"Response twice", `{"ErrorCode":0,"Response":{"Next":""},"Response":{}}`, "Response, or Next in it, is missing"},
		{"RoomList an object", `{"ErrorCode":0,"Response":{"Next":"","RoomList":{}}}`, "RoomList is an object, and must be a list of rooms"},
		{"FAIL without a code", `{"ActionStatus":"FAIL","ErrorCode":0,"Response":{"Next":""}}`, "code 0: the service says FAIL"},
		{"FAIL with a code", fail(100001), `code 100001 "the text of 100001": internal server error, please retry (RequestId Id-100001)`},
		{"OK with a code", `{"ActionStatus":"OK","ErrorCode":60026,"Response":{"Next":""}}`, "code 60026: the domain"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p, err := decodePage([]byte(tt.in), time.Time{})
			switch {
			case err == nil && p.show() != tt.want:
				t.Errorf("decodePage(%s) = %s, want %s", tt.in, p.show(), tt.want)
			case err != nil && !strings.Contains(err.Error(), tt.want):
				t.Errorf("decodePage(%s) = %v, want %s", tt.in, err, tt.want)
			}
		})
	}
}

func TestDecodeRow(t *testing.T) {
	long := strings.Repeat("r", 48)
	tests := []struct{ name, in, want string }{
		{"owner a string", `{"RoomId":"a","CreateTime":1,"ViewCount":0,"Owner_Account":"bren"}`, "a@1=0 owner bren"},
		{"owner a number", `{"RoomId":"a","CreateTime":1,"ViewCount":0,"Owner_Account":144115233775727695}`, "a@1=0 owner 144115233775727695"},
		{"owner beyond 64 bits", `{"RoomId":"a","CreateTime":1,"ViewCount":0,"Owner_Account":98765432109876543210}`, "a@1=0 owner 98765432109876543210"},
		{"owner null", `{"RoomId":"a","CreateTime":1,"ViewCount":0,"Owner_Account":null}`, "a@1=0"},
		{"Category null", `{"RoomId":"a","CreateTime":1,"ViewCount":0,"Category":null}`, "a@1=0"},
		{"Category empty", `{"RoomId":"a","CreateTime":1,"ViewCount":0,"Category":[]}`, "a@1=0"},
		{"Category", `{"RoomId":"a","CreateTime":1,"ViewCount":0,"Category":[3,1]}`, "a@1=0 [3 1]"},
		{"large counts", `{"RoomId":"a","CreateTime":9007199254740993,"ViewCount":9223372036854775807}`, "a@9007199254740993=9223372036854775807"},
		{"longest RoomId", `{"RoomId":"` + long + `","CreateTime":1,"ViewCount":0}`, long + "@1=0"},

		{"RoomId too long", `{"RoomId":"` + long + `x","CreateTime":1,"ViewCount":0}`, "unusable 1: row 2: RoomId has 49 bytes, and may have 48"},
		{"no RoomId", `{"CreateTime":1,"ViewCount":0}`, "unusable 1: row 2: RoomId is missing"},
		{"RoomId empty", `{"RoomId":"","CreateTime":1,"ViewCount":0}`, "unusable 1: row 2: RoomId is missing"},
		{"RoomId a number", `{"RoomId":7,"CreateTime":1,"ViewCount":0}`, "unusable 1: row 2: RoomId is a number, and must be a string of 1 to 48 bytes"},
		{"no CreateTime", `{"RoomId":"a","ViewCount":0}`, "unusable 1: row 2: CreateTime"},
		{"CreateTime 0", `{"RoomId":"a","CreateTime":0,"ViewCount":0}`, "unusable 1: row 2: CreateTime"},
		{"CreateTime a fraction", `{"RoomId":"a","CreateTime":1.5,"ViewCount":0}`, "unusable 1: row 2: CreateTime is the number 1.5, and must be a whole number of seconds"},
		{"CreateTime a string", `{"RoomId":"a","CreateTime":"1","ViewCount":0}`, "unusable 1: row 2: CreateTime is a string, and must be"},
		{"CreateTime beyond 64 bits", `{"RoomId":"a","CreateTime":9223372036854775808,"ViewCount":0}`, "unusable 1: row 2: CreateTime is the number 9223372036854775808, and must be"},
		{"no ViewCount", `{"RoomId":"a","CreateTime":1}`, "a@1=0"},
		{"numbers null", `{"RoomId":"a","CreateTime":1,"ViewCount":null,"ActivityStatus":null}`, "a@1=0"},
		{"ViewCount negative", `{"RoomId":"a","CreateTime":1,"ViewCount":-1}`, "unusable 1: row 2: ViewCount is -1, and must not be negative"},
		{"ViewCount a string", `{"RoomId":"a","CreateTime":1,"ViewCount":"1000"}`, "unusable 1: row 2: ViewCount is a string, and must be a whole number from 0 to 9223372036854775807"},
		{"ViewCount beyond 64 bits", `{"RoomId":"a","CreateTime":1,"ViewCount":1e30}`, "unusable 1: row 2: ViewCount is the number 1e30, and must be a whole"},
		{"ActivityStatus a boolean", `{"RoomId":"a","CreateTime":1,"ActivityStatus":true}`, "unusable 1: row 2: ActivityStatus is true or false, and must be a whole"},
		{"RoomName an object", `{"RoomId":"a","CreateTime":1,"RoomName":{}}`, "unusable 1: row 2: RoomName is an object, and must be a string"},
		{"CreateTime null", `{"RoomId":"a","CreateTime":null}`, "unusable 1: row 2: CreateTime is missing"},
		{"owner an object", `{"RoomId":"a","CreateTime":1,"ViewCount":0,"Owner_Account":{}}`, "unusable 1: row 2: Owner_Account is an object, and must be a string or a whole number"},
		{"owner a fraction", `{"RoomId":"a","CreateTime":1,"ViewCount":0,"Owner_Account":1e9}`, "unusable 1: row 2: Owner_Account is the number 1e9, and must be"},
		{"Category of strings", `{"RoomId":"a","CreateTime":1,"ViewCount":0,"Category":["x"]}`, "unusable 1: row 2: Category is a string, and must be a list of whole numbers"},
		{"null", `null`, "unusable 1: row 2: RoomId is missing"},
		{"a string", `"a"`, "unusable 1: row 2: the row is a string, and must be an object"},
		{"a list", `[]`, "unusable 1: row 2: the row is a list, and must be an object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const before, after = `{"RoomId":"x","CreateTime":1,"ViewCount":9}`, `{"RoomId":"y","CreateTime":1,"ViewCount":8}`
			p, err := decodePage([]byte(`{"ErrorCode":0,"Response":{"Next":"c","RoomList":[`+before+","+tt.in+","+after+`]}}`), time.Time{})
			if err != nil {
				t.Fatal(err)
			}
			want := `next "c" x@1=9 ` + tt.want + " y@1=8"
			if strings.HasPrefix(tt.want, "unusable") {
				want = `next "c" x@1=9 y@1=8 ` + tt.want
			}
			if got := p.show(); !strings.HasPrefix(got, want) {
				t.Errorf("decodePage with row %s = %s, want %s", tt.in, got, want)
			}
		})
	}
}

// FuzzDecodePage checks what must hold for any body: a room has an identity, a
// row is never counted both ways, and the list has ended only where the answer
// says so by itself.
func FuzzDecodePage(f *testing.F) {
	for _, s := range []string{
		documented, documented[:200], ok(""), ok("c", "a@1=5"), fail(100001), `{}`, `null`, ``,
		`{"ErrorCode":0,"Response":{"Next":"","RoomList":[null,{"RoomId":7},{"RoomId":"a","CreateTime":1,"ViewCount":0,"Owner_Account":12}]}}`,
		`{"ErrorCode":0,"Response":{"Next":""},"Response":{}}`,
		`{"ErrorCode":0,"Response":{"Next":"","Next":null}}`,
		`{"ErrorCode":0,"response":{"nExt":"","RoomList":[]}}`,
		`{"ErrorCode":0,"Response":{"Next":"","RoomList":[{"RoomId":"\ud800","CreateTime":1e0,"ViewCount":-0}]}}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := decodePage(body, time.Time{})
		if err != nil {
			if p.next != "" || p.rooms != nil || p.unusable != 0 {
				t.Fatalf("error %v with %+v", err, p)
			}
			if _, isAPI := errors.AsType[*APIError](err); isAPI && !json.Valid(body) {
				t.Fatalf("the service's word %v from what is not JSON", err)
			}
			return
		}
		if parts, err := (page{}).decodeParts(body); err != nil || parts.show() != p.show() {
			t.Fatalf("page %s, part by part %s (%v)", p.show(), parts.show(), err)
		}
		for _, r := range p.rooms {
			if r.RoomID == "" || len(r.RoomID) > maxRoomID || r.CreateTime <= 0 || r.ViewCount < 0 {
				t.Fatalf("room without identity: %+v", r)
			}
		}
		if next, said := nextOf(t, body); !said || next != p.next {
			t.Fatalf("page goes on at %q, the answer says %q (said %v)", p.next, next, said)
		}
	})
}

// nextOf finds the Next of an answer token by token: the last of several fields
// of one name counts, and their case does not.
func nextOf(t *testing.T, body []byte) (next string, said bool) {
	t.Helper()
	var in any
	for name, v := range fields(t, body) {
		if strings.EqualFold(name, "Response") {
			in = v
		}
	}
	raw, isObject := in.(json.RawMessage)
	if !isObject || len(raw) == 0 || raw[0] != '{' {
		return "", false
	}
	for name, v := range fields(t, raw) {
		if strings.EqualFold(name, "Next") {
			next, said = "", json.Unmarshal(v, &next) == nil && string(v) != "null"
			if said {
				_ = json.Unmarshal(v, &next)
			}
		}
	}
	return next, said
}

func fields(t *testing.T, object []byte) func(yield func(string, json.RawMessage) bool) {
	return func(yield func(string, json.RawMessage) bool) {
		d := json.NewDecoder(strings.NewReader(string(object)))
		if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
			t.Fatalf("not an object: %q", object)
		}
		for d.More() {
			name, err := d.Token()
			if err != nil {
				t.Fatal(err)
			}
			var v json.RawMessage
			if err := d.Decode(&v); err != nil {
				t.Fatal(err)
			}
			if !yield(name.(string), v) {
				return
			}
		}
	}
}

func BenchmarkDecodePage(b *testing.B) {
	row := `{"RoomName":"name","RoomId":"room_id%d","Owner_Account":"bren","CoverURL":"https://example.com/cover.png",` +
		`"Category":[1,2,3],"CreateTime":1693271354,"ActivityStatus":1,"ViewCount":1000}`
	rows := make([]string, pageSize)
	for i := range rows {
		rows[i] = fmt.Sprintf(row, i)
	}
	body := []byte(`{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"RequestId":"Id-1","Response":{"Next":"c","RoomList":[` + strings.Join(rows, ",") + `]}}`)
	odd := []byte(strings.Replace(string(body), `"room_id19"`, `19`, 1))
	for name, body := range map[string][]byte{"clean": body, "oddRow": odd} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := decodePage(body, time.Time{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A row from the future would be the newest life of its room for good.
func TestCreateTimeAhead(t *testing.T) {
	date := time.Unix(1_800_000_000, 0)
	for _, tt := range []struct {
		name    string
		date    time.Time
		created int64
		usable  bool
	}{
		{"now", date, 1_800_000_000, true},
		{"a day ahead", date, 1_800_086_400, true},
		{"more than a day ahead", date, 1_800_086_401, false},
		{"in milliseconds", date, 1_800_000_000_000, false},
		{"the answer has no Date", time.Time{}, 1_800_000_000_000, true},
	} {
		p, err := decodePage(fmt.Appendf(nil, `{"ErrorCode":0,"Response":{"Next":"","RoomList":[{"RoomId":"a","CreateTime":%d}]}}`, tt.created), tt.date)
		if err != nil || (len(p.rooms) == 1) != tt.usable || (p.unusable == 0) != tt.usable {
			t.Errorf("%s: %+v, %v, want usable %t", tt.name, p, err, tt.usable)
		}
		if !tt.usable && !strings.Contains(p.why, "row 1: CreateTime "+fmt.Sprint(tt.created)+" is more than a day after the answer's Date") {
			t.Errorf("%s: %q does not say why", tt.name, p.why)
		}
	}
}
