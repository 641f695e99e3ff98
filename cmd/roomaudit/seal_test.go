package main

import (
	"path/filepath"
	"strings"
	"testing"

	"roomwatch/cmd/roomaudit/trail"
)

// The open file is sealed when somebody asks for it, by the process that writes
// it, or by the command if none does; and nothing is sealed that has no message.
func TestSealNow(t *testing.T) {
	r := newRig(t)
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Join(dir, "missing")} {
		if status, out, _ := call(t, d, "seal"); (status == 0) != (d == dir) || status == 0 && out != "there is nothing to seal\n" {
			t.Errorf("%s: %d %s", d, status, out)
		}
	}
	sealed := func(times int, file, how string) {
		t.Helper()
		for range times { // after the first there is nothing to do
			if status, out, errs := call(t, dir, "seal"); status != 0 || !strings.HasPrefix(out, file) || !strings.Contains(out, "is sealed\nlast line ") {
				t.Errorf("%s: %d %s%s", how, status, out, errs)
			}
		}
	}
	r.publish(3)
	p := start(t, r.env(dir), "run")
	r.wantAll(dir)
	sealed(1, "audit-00000001", "while it records")
	r.publish(3)
	r.wantAll(dir)
	p.stop()
	sealed(2, "audit-00000002", "while nothing records")
	if files, err := trail.Files(dir); err != nil || len(files) != 2 || !files[1].Compressed {
		t.Errorf("%v, %v", files, err)
	}
	wantSound(t, dir)
}
