package main

import (
	"strings"
	"testing"

	"roomwatch/cmd/roomwatch/web"
)

// Status says how fresh news is, how much sweeps see, and what probes find.
func TestStatusText(t *testing.T) {
	recall := 0.99996
	s := web.Status{Absence: web.Absence{Recall: &recall}, Probes: &web.Probes{Places: 51, Made: 1234, Found: 1}, News: web.News{
		Created: web.NewsAge{Events: 1200, Median: 1.26, P95: 4},
		Ended:   web.NewsAge{Events: 1, Median: 75, P95: 75},
	}}
	want := "news          in the last hour 1,200 rooms created, seen 1.3s after their CreateTime in the median, 95% within 4s; " +
		"1 room ended, seen 1m15s after they were last seen in the median, 95% within 1m15s\n"
	for _, want := range []string{want, "recall        a sweep shows 99.99% of the live rooms",
		"probes        51 places of the list known; in the last hour 1,234 probes made, which found 1 room that nobody knew\n"} {
		if got := statusText(s); !strings.Contains(got, want) {
			t.Errorf("want %s in\n%s", want, got)
		}
	}
	s.Probes = nil
	if got := statusText(s); strings.Contains(got, "probes") {
		t.Errorf("without probes:\n%s", got)
	}
}
