package streams

import (
	"strings"
	"testing"
)

func TestCovers(t *testing.T) {
	tests := []struct {
		subjects, filter string
		want             bool
	}{
		{subjects: "live.>", filter: "live.*.*.1.*", want: true},
		{subjects: ">", filter: "live.*.*.1.*", want: true},
		{subjects: "live.*.*.*.*", filter: "live.*.*.1.*", want: true},
		{subjects: "live.*.*.1.*", filter: "live.*.*.1.*", want: true},
		{subjects: "a live.>", filter: "live.*.*.1.*", want: true},
		{subjects: "live.*.*.1.>", filter: "live.*.*.1.*", want: true},
		{subjects: "", filter: "live.*.*.1.*"},
		{subjects: "live.room.*.1.*", filter: "live.*.*.1.*"},
		{subjects: "live.*.*.2.*", filter: "live.*.*.1.*"},
		{subjects: "live.*.*.1", filter: "live.*.*.1.*"},
		{subjects: "live.*.*.1.*.>", filter: "live.*.*.1.*"},
		{subjects: "live.*", filter: "live.>"},
		{subjects: "live", filter: "live.writer.claimed.1"},
	}
	for _, tt := range tests {
		if got := Covers(strings.Fields(tt.subjects), tt.filter); got != tt.want {
			t.Errorf("Covers(%q, %q) = %v", tt.subjects, tt.filter, got)
		}
	}
}
