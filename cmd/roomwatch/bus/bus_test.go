package bus

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"roomwatch/cmd/roomwatch/web"
	"roomwatch/diff"
)

// What is told over NATS is what is told over HTTP, whatever the RoomIDs.
func TestTheSameAsHTTP(t *testing.T) {
	r := newRig(t, nil)
	odd := []string{"room_id0", "a.b.c", "with space", "*", ">", "%2E", "a/b", "..", "直播间", `quote"\`, "<img>", "{}", "\x00", "tab\there", "\u2028"}
	for i, id := range odd {
		r.list(diff.Room{RoomID: id, RoomName: "name of " + id, ViewCount: int64(i), OwnerAccount: "bren", Category: []int64{int64(i % 2)}})
	}
	r.start(nil)
	r.there("roomwatch.88888888.room")
	for _, id := range odd {
		question, err := json.Marshal(map[string]string{"RoomId": id})
		if err != nil {
			t.Fatal(err)
		}
		code, _, body := r.ask("room", string(question))
		path := strings.ReplaceAll(strings.ReplaceAll(url.PathEscape(id), ".", "%2E"), "+", "%2B")
		if want := r.get("/api/v1/rooms/" + path); code != "200" || body != want {
			t.Errorf("%q: %s %s, want %s", id, code, body, want)
		}
	}
	for question, query := range map[string]string{
		"":                                 "",
		`{}`:                               "",
		` {"limit": 3, "cursor": null} `:   "limit=3",
		`{"limit": "3", "sort": "-views"}`: "limit=3&sort=-views",
		`{"category": 1, "owner": "bren", "q": "NAME"}`:          "category=1&owner=bren&q=NAME",
		`{"owner": "nobody"}`:                                    "owner=nobody",
		`{"sort": "name", "limit": 200, "q": "\u76f4\u64ad"}`:    "sort=name&limit=200&q=%E7%9B%B4%E6%92%AD",
		`{"sort": "id", "unknown": null, "owner": ""}`:           "sort=id",
		`{"sort": "created", "limit": 1, "category": "0"}`:       "sort=created&limit=1&category=0",
		"{\"sort\": \"-name\",\n\t\"limit\": 2, \"q\": \"e o\"}": "sort=-name&limit=2&q=e+o",
	} {
		code, _, body := r.ask("rooms", question)
		if want := r.get("/api/v1/rooms?" + query); code != "200" || body != want {
			t.Errorf("%s: %s %s, want %s", question, code, body, want)
		}
	}
	if code, _, body := r.ask("status", ""); code != "200" || body != r.get("/api/v1/status") || !strings.Contains(body, `"known":15`) {
		t.Errorf("status: %s %s", code, body)
	}
}

// What cannot be answered is refused as micro services do, with the code and the text
// of HTTP.
func TestRefusals(t *testing.T) {
	r := newRig(t, nil)
	r.list(diff.Room{RoomID: "a"})
	r.start(nil)
	r.there("roomwatch.88888888.room")
	for _, tt := range []struct{ name, question, code, want string }{
		{"room", "", "400", `write {"RoomId":"…"}`},
		{"room", `{"RoomId":""}`, "400", "no room is named"},
		{"room", `{"RoomId":"a","owner":"b"}`, "400", "something else is asked for"},
		{"room", `{"room":"a"}`, "400", "no room is named"},
		{"room", `{"RoomId":["a"]}`, "400", "write a string or a number"},
		{"room", `{"RoomId":"nowhere\n\u76f4"}`, "404", `room "nowhere\n直" is not known to be live`},
		{"room", `a`, "400", "no JSON object"},
		{"rooms", `["a"]`, "400", "no JSON object"},
		{"rooms", `{"limit":1}{}`, "400", "no JSON object"},
		{"rooms", `{"limit":true}`, "400", `"limit" is true`},
		{"rooms", `{"limit":201}`, "400", "1 to 200"},
		{"rooms", `{"limit":1e1}`, "400", "1 to 200"},
		{"rooms", `{"page":1}`, "400", "unknown"},
		{"rooms", `{"cursor":"x"}`, "400", "cursor"},
		{"rooms", strings.Repeat(" ", 17<<10), "400", "at most 16384"},
	} {
		code, text, body := r.ask(tt.name, tt.question)
		var p web.Problem
		if err := json.Unmarshal([]byte(body), &p); err != nil || code != tt.code || !strings.Contains(text, tt.want) || p.Error != text {
			t.Errorf("%s %.40s: %s %q %s, want %s %q", tt.name, tt.question, code, text, body, tt.code, tt.want)
		}
	}
}

// The pages of a long list are those of HTTP. Where NATS takes no more than 8 KiB, the
// pages are shorter, and together they are the same.
func TestPages(t *testing.T) {
	for _, most := range []int32{1 << 20, 8 << 10} {
		t.Run(fmt.Sprint(most), func(t *testing.T) {
			r := newRig(t, func(o *server.Options) { o.MaxPayload = most })
			rooms := make([]diff.Room, 3000)
			for i := range rooms {
				rooms[i] = diff.Room{
					RoomID: fmt.Sprintf("room.%04d", i), RoomName: strings.Repeat("名", i%40), CoverURL: strings.Repeat("u", i%700),
					ViewCount: int64(i % 37), CreateTime: int64(1 + i%11),
				}
			}
			r.list(rooms...)
			r.start(nil)
			r.there("roomwatch.88888888.rooms")
			for _, sort := range []string{"views", "-name"} {
				want, wantPages := r.ids(func(cursor string) string { return r.get("/api/v1/rooms?limit=200&sort=" + sort + "&cursor=" + cursor) })
				got, pages := r.ids(func(cursor string) string {
					code, text, body := r.ask("rooms", fmt.Sprintf(`{"limit":200,"sort":%q,"cursor":%q}`, sort, cursor))
					if code != "200" || len(body) > int(most) {
						t.Fatalf("%s %s, %d bytes", code, text, len(body))
					}
					return body
				})
				if !slices.Equal(got, want) || len(got) != 3000 {
					t.Errorf("%s: %d rooms, want %d", sort, len(got), len(want))
				}
				// No shorter than they have to be, or nearly.
				if most == 1<<20 && pages != wantPages || pages > 300 {
					t.Errorf("%s: %d pages, HTTP has %d", sort, pages, wantPages)
				}
			}
		})
	}
}

// An answer that cannot be cut is refused with the reason.
func TestTooLargeARoom(t *testing.T) {
	r := newRig(t, func(o *server.Options) { o.MaxPayload = 8 << 10 })
	r.list(diff.Room{RoomID: "small"}, diff.Room{RoomID: "large", CoverURL: strings.Repeat("u", 9<<10)})
	r.start(nil)
	r.there("roomwatch.88888888.room")
	for name, question := range map[string]string{"room": `{"RoomId":"large"}`, "rooms": `{"sort":"id"}`} {
		if code, text, _ := r.ask(name, question); code != "507" || !strings.Contains(text, "at most 8192") || !strings.Contains(text, "raise max_payload") {
			t.Errorf("%s: %s %s", name, code, text)
		}
	}
	if code, _, body := r.ask("rooms", `{"sort":"-id"}`); code != "200" || strings.Contains(body, "large") || !strings.Contains(body, `"next":"`) {
		t.Errorf("before it: %s %.300s", code, body)
	}
}
