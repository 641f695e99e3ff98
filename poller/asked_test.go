package poller

import (
	"testing"
	"time"
)

func TestAsked(t *testing.T) {
	left := time.Date(2026, 11, 29, 8, 0, 0, 400e6, time.UTC)
	date := time.Date(2026, 11, 29, 9, 30, 7, 0, time.UTC) // another clock
	tests := []struct {
		name string
		took time.Duration
		date time.Time
		want time.Time
	}{
		{name: "no Date", took: 3 * time.Second, want: left},
		{name: "at once", took: 20 * time.Millisecond, date: date, want: date},
		{name: "below a second", took: 999 * time.Millisecond, date: date, want: date},
		{name: "a slow answer", took: 4900 * time.Millisecond, date: date, want: date.Add(-4 * time.Second)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := asked(left, left.Add(tt.took), tt.date); !got.Equal(tt.want) {
				t.Errorf("asked at %v, want %v", got, tt.want)
			}
		})
	}
}
