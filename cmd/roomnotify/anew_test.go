package main

import (
	"os"
	"strings"
	"testing"
)

// The server cannot make the files of roomnotify's stream for a moment, as while
// it still removes those of one that was deleted: it is asked again.
func TestStoreCannotBeMadeForAMoment(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
		// Where the server wants a directory; the attempt that it fails removes it.
		if err := os.WriteFile(r.srv.StreamPath("NOTIFY"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		stop := r.start()
		r.put("x")
		r.takes("a", "x created")
		stop()
		if log := r.log.String(); !strings.Contains(log, "error creating store for stream") {
			t.Errorf("no refusal:\n%s", log)
		}
	})
}
