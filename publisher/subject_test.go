package publisher

import (
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"roomwatch/diff"
)

func TestToken(t *testing.T) {
	tests := []struct{ name, roomID, want string }{
		{name: "plain", roomID: "room_id-0", want: "room_id-0"},
		{name: "dots", roomID: "a.b", want: "a=2Eb"},
		{name: "one wildcard", roomID: "*", want: "=2A"},
		{name: "the other wildcard", roomID: ">", want: "=3E"},
		{name: "space and tab", roomID: " \t", want: "=20=09"},
		{name: "the escape itself", roomID: "=41", want: "=3D41"},
		{name: "the escape of addresses", roomID: "%41", want: "=2541"},
		{name: "group id", roomID: "@TGS#aXRLLF5G3", want: "=40TGS=23aXRLLF5G3"},
		{name: "no ASCII", roomID: "直播", want: "=E7=9B=B4=E6=92=AD"},
		{name: "no UTF-8", roomID: "\xff\x00", want: "=FF=00"},
		{name: "system subject", roomID: "$SYS", want: "=24SYS"},
		{name: "48 bytes, all escaped", roomID: strings.Repeat("~", 48), want: strings.Repeat("=7E", 48)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := Token(tt.roomID); got != tt.want {
				t.Errorf("Token(%q) = %q, want %q", tt.roomID, got, tt.want)
			}
			if got, err := RoomID(tt.want); got != tt.roomID || err != nil {
				t.Errorf("RoomID(%q) = %q, %v, want %q", tt.want, got, err, tt.roomID)
			}
		})
	}
}

func TestRoomIDRefuses(t *testing.T) {
	for _, token := range []string{"", "a.b", "=", "=4", "=2e", "=41", "=GG", "%2E", "a b", "*", ">", "直"} {
		if got, err := RoomID(token); err == nil {
			t.Errorf("RoomID(%q) = %q", token, got)
		}
	}
}

// FuzzToken checks that any RoomId becomes one legal token of its own, and that
// what RoomID accepts is what Token makes.
func FuzzToken(f *testing.F) {
	for _, s := range []string{"room_id0", "a.b.c", "*", ">", "%", "%41", "=", "=41", "直播", "\xff\x00", "@TGS#_a", " "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if back, err := RoomID(s); err == nil && Token(back) != s {
			t.Fatalf("RoomID(%q) = %q, whose token is %q", s, back, Token(back))
		}
		if s == "" {
			return // no room has this name
		}
		token := Token(s)
		if back, err := RoomID(token); back != s || err != nil {
			t.Fatalf("RoomID(Token(%q)) = %q, %v", s, back, err)
		}
		for _, eventType := range diff.Types() {
			subject := Subject("live", eventType, 1, s)
			if !server.IsValidLiteralSubject(subject) || strings.Count(subject, ".") != 4 {
				t.Fatalf("%q has the subject %q", s, subject)
			}
			for _, filter := range []string{
				Filter("live", "", 1, ""), Filter("live", eventType, 0, ""), Filter("live", "", 0, s), Filter("live", eventType, 1, s),
			} {
				if !server.SubjectsCollide(subject, filter) {
					t.Fatalf("%q does not match %q", filter, subject)
				}
			}
		}
	})
}

func TestFilter(t *testing.T) {
	tests := []struct {
		name      string
		eventType diff.Type
		app       int
		room      string
		want      string
	}{
		{name: "all", want: "live.*.*.*.*"},
		{name: "one application", app: 7, want: "live.*.*.7.*"},
		{name: "one type", eventType: diff.RoomEnded, want: "live.room.ended.*.*"},
		{name: "one room", room: "a.b", want: "live.*.*.*.a=2Eb"},
		{name: "one subject", eventType: diff.RoomCreated, app: 7, room: "a", want: "live.room.created.7.a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := Filter("live", tt.eventType, tt.app, tt.room)
			if got != tt.want {
				t.Errorf("Filter = %q, want %q", got, tt.want)
			}
			if server.SubjectsCollide(got, claimSubject("live", 7)) {
				t.Errorf("%q matches claims", got)
			}
		})
	}
}
