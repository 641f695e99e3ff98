package web

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roomwatch/state"
)

// One backup at a time, whole, and never half an answer that looks like one.
func TestBackup(t *testing.T) {
	fail := errors.New("no room on the disk at /secret/place")
	var failing bool
	r := newRig(t, func(c *Config) {
		real := c.Backup
		c.Backup = func() (*state.Backup, error) {
			if failing {
				return nil, fail
			}
			return real()
		}
	}).serve()
	status, header, body := r.get(BackupPath)
	if status != 200 || header.Get("Content-Type") != "application/octet-stream" || len(body) < 4096 {
		t.Fatalf("%d %v, %d bytes", status, header, len(body))
	}
	path := filepath.Join(t.TempDir(), "state.db")
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, exists, err := state.Inspect(path, testApp); err != nil || !exists {
		t.Errorf("the copy: %t, %v", exists, err)
	}
	r.web.copying <- struct{}{}
	if status, _, body := r.get(BackupPath); status != 503 || !strings.Contains(body, "another backup is on its way") {
		t.Errorf("beside another one: %d %s", status, body)
	}
	<-r.web.copying
	failing = true
	if status, _, body := r.get(BackupPath); status != 500 || strings.Contains(body, "/secret") || !strings.Contains(body, "the log of roomwatch says why") {
		t.Errorf("on a full disk: %d %s", status, body)
	}
	failing = false
	if status, _, _ := r.get(BackupPath); status != 200 {
		t.Errorf("the next one: %d", status)
	}
}
