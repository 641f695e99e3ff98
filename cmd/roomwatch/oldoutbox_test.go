package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
	"go.etcd.io/bbolt"

	"roomwatch/poller/simulator"
)

// evidenceKey is the field of a row of the outbox that has what proves the event.
const evidenceKey = 12

// An outbox row of a build that had no evidence is published as it is, and when the
// stream has it already it is known again: recovery compares what is stored with the row.
func TestOutboxOfAnOldBuild(t *testing.T) {
	r := newRig(t, simulator.Config{Seed: 1, Rooms: 25, Quota: -1})
	r.stopNATS()
	data := t.TempDir()
	// The rows wait for NATS.
	p := startProcess(t, r.env(data), "run")
	eventually(t, "a sweep", func() bool { return strings.Contains(p.output.String(), "first sweep complete") })
	if status := p.stop(); status != 0 {
		t.Fatalf("exit status %d:\n%s", status, p.output)
	}
	file := filepath.Join(data, "state.db")
	if n := withoutEvidence(t, file); n != 25 {
		t.Fatalf("%d rows wait, want 25", n)
	}
	old, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r.startNATS()
	// Once the stream has nothing of them, and once all of them though the state does not know.
	for _, again := range []bool{false, true} {
		if again {
			if err := os.WriteFile(file, old, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		p := startProcess(t, r.env(data), "run")
		eventually(t, "the rows", func() bool {
			return strings.Contains(p.output.String(), "first sweep complete") && stored(t, r.nc) >= 25
		})
		if again { // what is new has evidence, and follows them
			if err := r.world.Enter(r.world.Truth().Live()[0].RoomID, 1); err != nil {
				t.Fatal(err)
			}
			eventually(t, "an event of this build", func() bool { return stored(t, r.nc) > 25 })
		}
		if status := p.stop(); status != 0 || strings.Contains(p.output.String(), "state is rebuilt") {
			t.Errorf("exit status %d:\n%s", status, p.output)
		}
		all := readStream(t, r.nc)
		if len(all) < 25 || !again && len(all) > 25 {
			t.Errorf("%d events", len(all))
		}
		for i, e := range all {
			if has := strings.Contains(string(e.raw), `"evidence"`); has != (i >= 25) {
				t.Errorf("event %d: %s", i+1, e.raw)
			}
		}
		if status, out := verifyHere(t, r); status != 0 || !strings.HasSuffix(out, "no inconsistencies\n") {
			t.Errorf("verify: status %d:\n%s", status, out)
		}
	}
}

// withoutEvidence makes the waiting events of a state file those of a build that did not
// write what proves them, and returns how many they are.
func withoutEvidence(t *testing.T, file string) (n int) {
	t.Helper()
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		outbox := tx.Bucket([]byte("outbox"))
		rows := map[string][]byte{}
		err := outbox.ForEach(func(k, v []byte) error {
			var row map[uint64]cbor.RawMessage
			if err := cbor.Unmarshal(v, &row); err != nil {
				return err
			}
			if _, ok := row[evidenceKey]; !ok {
				t.Errorf("row %x has no evidence", k)
			}
			delete(row, evidenceKey)
			old, err := cbor.Marshal(row)
			rows[string(k)] = old
			return err
		})
		for k, v := range rows {
			if err := outbox.Put([]byte(k), v); err != nil {
				return err
			}
		}
		n = len(rows)
		return err
	})
	if cerr := db.Close(); err != nil || cerr != nil {
		t.Fatal(err, cerr)
	}
	return n
}
