package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"roomwatch/diff"
	"roomwatch/state"
)

// list commits rooms; "id views created name owner category" each.
func (r *rig) list(rooms ...diff.Room) {
	r.t.Helper()
	if err := r.store.Commit(diff.Page{At: time.Now(), Rooms: rooms}); err != nil {
		r.t.Fatal(err)
	}
}

// ids returns the RoomIDs of all pages of a list.
func (r *rig) ids(query string) (ids []string) {
	r.t.Helper()
	cursor := ""
	for {
		status, _, body := r.get("/api/v1/rooms?" + query + cursor)
		var l RoomList
		if err := json.Unmarshal([]byte(body), &l); err != nil || status != http.StatusOK {
			r.t.Fatalf("%s: %d %s", query, status, body)
		}
		for _, room := range l.Rooms {
			ids = append(ids, room.RoomID)
		}
		if l.Next == nil {
			return ids
		}
		cursor = "&cursor=" + *l.Next
	}
}

// Rooms come in the order and with the limits that were asked for, page by page.
func TestRoomLists(t *testing.T) {
	r := newRig(t, nil).serve()
	r.list(
		diff.Room{RoomID: "a", ViewCount: 5, CreateTime: 30, RoomName: "Zoo", OwnerAccount: "bren", Category: []int64{1, 2}},
		diff.Room{RoomID: "b", ViewCount: 9, CreateTime: 10, RoomName: "äpfel", OwnerAccount: "Bren"},
		diff.Room{RoomID: "c", ViewCount: 5, CreateTime: 20, RoomName: "apple", OwnerAccount: "ann", Category: []int64{2}},
		diff.Room{RoomID: "d&e=f", ViewCount: 0, CreateTime: 40, RoomName: "Bär\x1b[2J", OwnerAccount: "bren", Category: []int64{-3}},
	)
	for query, want := range map[string]string{
		"":                       "b a c d&e=f",
		"sort=views":             "b a c d&e=f",
		"sort=-views":            "d&e=f a c b",
		"sort=created":           "d&e=f a c b",
		"sort=-created":          "b c a d&e=f",
		"sort=name":              "c d&e=f a b",
		"sort=-name":             "b a d&e=f c",
		"sort=id":                "a b c d&e=f",
		"sort=-id":               "d&e=f c b a",
		"owner=bren":             "a d&e=f",
		"owner=ren":              "",
		"category=2":             "a c",
		"category=-3":            "d&e=f",
		"category=2&owner=ann":   "c",
		"q=BREN":                 "b a d&e=f",
		"q=%C3%84":               "b d&e=f",
		"q=e%3D":                 "d&e=f",
		"q=%25":                  "",
		"q=apple&sort=-views":    "c",
		"sort=&owner=&q=&limit=": "b a c d&e=f",
	} {
		for _, limit := range []string{"", "limit=1&", "limit=2&", "limit=3&", "limit=4&", "limit=200&"} {
			if strings.Contains(query, "limit=") && limit != "" {
				continue
			}
			if got := strings.Join(r.ids(limit+query), " "); got != want {
				t.Errorf("%s%s: %q, want %q", limit, query, got, want)
			}
		}
	}
}

// What cannot be meant is refused with the parameter, the reason and the fix.
func TestRoomParameters(t *testing.T) {
	r := newRig(t, nil).serve()
	r.list(diff.Room{RoomID: "a"}, diff.Room{RoomID: "b"})
	_, _, body := r.get("/api/v1/rooms?limit=1")
	var l RoomList
	if err := json.Unmarshal([]byte(body), &l); err != nil || l.Next == nil {
		t.Fatalf("%s: %v", body, err)
	}
	for query, want := range map[string]string{
		"sort=size":                        "views, created, name or id",
		"sort=--views":                     "sort",
		"limit=0":                          "1 to 200",
		"limit=201":                        "1 to 200",
		"limit=ten":                        "1 to 200",
		"category=one":                     "category",
		"q=" + strings.Repeat("x", 201):    "q has 201 bytes",
		"cursor=x":                         "cursor",
		"cursor=%21":                       "cursor",
		"cursor=e30":                       "cursor", // {}
		"sort=name&cursor=" + *l.Next:      "same sort",
		"sort=views&sort=name":             "sort is given 2 times",
		"page=2":                           "unknown",
		"q=%":                              "percent-encode",
		"limit=99999999999999999999999999": "limit",
	} {
		status, _, body := r.get("/api/v1/rooms?" + query)
		if status != http.StatusBadRequest || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s, want %q", query, status, body, want)
		}
	}
}

// Every RoomID can be asked for, percent-encoded.
func TestOddRoomIDs(t *testing.T) {
	r := newRig(t, nil).serve()
	odd := []string{"a.b.c", "with space", "*", "%2E", "a%2Fb", "a/b", "/", "//", "a//b", "a/../b", "直播间", "?q=1", "#x", "+", "tab\there", `quote"\`, "<img src=x onerror=alert(1)>", "\x00", ";", "{id}"}
	dots := []string{".", ".."}
	for _, id := range append(odd, dots...) {
		r.list(diff.Room{RoomID: id, ViewCount: 7})
	}
	for _, id := range odd {
		status, _, body := r.get("/api/v1/rooms/" + strings.ReplaceAll(url.PathEscape(id), "+", "%2B"))
		var room Room
		if err := json.Unmarshal([]byte(body), &room); err != nil || status != http.StatusOK || room.RoomID != id || room.ViewCount != 7 {
			t.Errorf("%q: %d %s", id, status, body)
		}
	}
	for _, id := range dots { // no client may take them for a way through the tree
		if status, _, body := r.get("/api/v1/rooms/" + strings.ReplaceAll(id, ".", "%2E")); status != http.StatusOK || !strings.Contains(body, `"RoomId":"`+id+`"`) {
			t.Errorf("%q: %d %s", id, status, body)
		}
	}
	if got := r.ids("sort=id&limit=3"); len(got) != len(odd)+len(dots) || !slices.IsSorted(got) {
		t.Errorf("the list: %q", got)
	}
	if status, _, body := r.get("/api/v1/rooms/nowhere%0A"); status != http.StatusNotFound || !strings.Contains(body, "nowhere") {
		t.Errorf("a room that is not there: %d %s", status, body)
	}
}

// A heldRooms answers when it is let; it counts who is in it.
type heldRooms struct {
	in   chan struct{}
	let  chan struct{}
	gone chan error
}

func (h *heldRooms) Rooms(ctx context.Context, _ state.RoomQuery) ([]state.LiveRoom, *state.RoomPlace, error) {
	select {
	case h.in <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	select {
	case <-h.let:
		return nil, nil, nil
	case <-ctx.Done():
		h.gone <- ctx.Err()
		return nil, nil, ctx.Err()
	}
}

func (h *heldRooms) Room(string) (state.LiveRoom, bool, error) {
	return state.LiveRoom{}, false, errors.New("disk on fire")
}

// One walks through the rooms at a time; one that leaves makes room for the next.
func TestOneWalkAtATime(t *testing.T) {
	h := &heldRooms{in: make(chan struct{}), let: make(chan struct{}), gone: make(chan error, 2)}
	r := newRig(t, func(c *Config) { c.Rooms = h }).serve()
	ctx, leave := context.WithCancel(t.Context())
	first := make(chan error, 1)
	go func() {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+"/api/v1/rooms", nil)
		if err == nil {
			var resp *http.Response
			if resp, err = http.DefaultClient.Do(req); err == nil {
				err = resp.Body.Close()
			}
		}
		first <- err
	}()
	<-h.in
	second := make(chan int, 1)
	go func() { status, _, _ := r.get("/api/v1/rooms"); second <- status }()
	select {
	case <-h.in:
		t.Fatal("two walk through the rooms")
	case <-time.After(100 * time.Millisecond):
	}
	leave()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the first: %v", err)
	}
	if err := <-h.gone; !errors.Is(err, context.Canceled) {
		t.Errorf("its walk: %v", err)
	}
	<-h.in
	h.let <- struct{}{}
	if status := <-second; status != http.StatusOK {
		t.Errorf("the second: %d", status)
	}
	if status, _, body := r.get("/api/v1/rooms/x"); status != http.StatusInternalServerError || strings.Contains(body, "fire") {
		t.Errorf("a broken state: %d %s", status, body)
	}
}

// Texts of strangers come out as they are, in JSON that nothing can be read into.
func TestRoomsAreJSON(t *testing.T) {
	r := newRig(t, nil).serve()
	name := "</script><script>alert(1)</script>\u2028\x1b[2J\xff"
	r.list(diff.Room{RoomID: "a", RoomName: name})
	status, header, body := r.get("/api/v1/rooms/a")
	var room Room
	if err := json.Unmarshal([]byte(body), &room); err != nil || status != http.StatusOK {
		t.Fatal(err)
	}
	if want := strings.ToValidUTF8(name, "\uFFFD"); room.RoomName != want || header.Get("Content-Type") != "application/json" {
		t.Errorf("%q as %s, want %q", room.RoomName, header.Get("Content-Type"), want)
	}
	if !strings.Contains(body, `"Category":[]`) || !strings.Contains(body, `"first_seen":"2`) || !strings.Contains(body, `"missing":null`) {
		t.Error(body)
	}
}

// FuzzCursor checks that a cursor says what it was made of, and that no text
// from outside does harm as one.
func FuzzCursor(f *testing.F) {
	f.Add("views", int64(5), "name", "room", "eyJzIjoidmlld3MifQ")
	f.Fuzz(func(t *testing.T, sort string, n int64, name, room, alien string) {
		_, _ = parseCursor(alien)
		_, _ = parsePosition(alien)
		if room == "" {
			return
		}
		c := cursor{Sort: strings.ToValidUTF8(sort, ""), Number: n, Name: []byte(name), RoomID: []byte(room)}
		got, err := parseCursor(c.String())
		if err != nil || fmt.Sprint(got.Sort, got.Number, string(got.Name), string(got.RoomID)) != fmt.Sprint(c.Sort, n, name, room) {
			t.Errorf("%+v became %+v, %v", c, got, err)
		}
	})
}
