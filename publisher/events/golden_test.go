package events_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roomwatch/publisher/events"
)

// What was written once is read forever, and nothing of it is changed or lost:
// a later version may add files here, and change none.
func TestGolden(t *testing.T) {
	names, err := filepath.Glob("testdata/v1/*.json")
	if err != nil || len(names) < 17 {
		t.Fatalf("golden events: %q, %v", names, err)
	}
	for _, name := range names {
		if base := filepath.Base(name); strings.HasPrefix(base, "writer.") || strings.HasPrefix(base, "watch.") {
			continue // no event of a room
		}
		body, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.TrimSpace(body)
		e, err := events.Decode(body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		again, err := events.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, body) {
			t.Errorf("%s:\n has     %s\n becomes %s", name, body, again)
		}
	}
}
