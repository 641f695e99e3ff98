package diff

import (
	"testing"
	"time"
)

func TestAge(t *testing.T) {
	began := Room{RoomID: "a", CreateTime: second(0).Unix()}
	for _, tt := range []struct {
		name  string
		event Event
		want  time.Duration
		ok    bool
	}{
		{"created", Event{Type: RoomCreated, Room: began, Time: second(2.5), Since: second(0)}, 2500 * time.Millisecond, true},
		{"created before our clock", Event{Type: RoomCreated, Room: began, Time: second(-2)}, 0, true},
		{"baseline", Event{Type: RoomCreated, Room: began, Time: second(2.5), Baseline: true}, 0, false},
		{"ended", Event{Type: RoomEnded, Room: began, Time: second(9), Since: second(4)}, 5 * time.Second, true},
		{"ended, and nobody knows when it was seen", Event{Type: RoomEnded, Room: began, Time: second(9)}, 0, false},
		{"another", Event{Type: ViewCountChanged, Room: began, Time: second(9), Since: second(4)}, 0, false},
	} {
		if age, ok := tt.event.Age(); age != tt.want || ok != tt.ok {
			t.Errorf("%s: %s, %t", tt.name, age, ok)
		}
	}
}
