package state

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

// The records as builds wrote them before there were the times of absences, the
// first look and the recent ends.
type (
	oldCounters struct {
		Seq          uint64  `cbor:"1,keyasint"`
		Rooms        uint64  `cbor:"2,keyasint"`
		Missing      uint64  `cbor:"3,keyasint"`
		Sweep        uint64  `cbor:"4,keyasint"`
		Time         int64   `cbor:"5,keyasint"`
		BaselineDone bool    `cbor:"6,keyasint"`
		Complete     uint64  `cbor:"7,keyasint"`
		Begin        int64   `cbor:"8,keyasint"`
		End          int64   `cbor:"9,keyasint"`
		Doubted      int     `cbor:"10,keyasint"`
		Misses       float64 `cbor:"11,keyasint"`
		Looks        float64 `cbor:"12,keyasint"`
	}
	oldMark struct {
		First    uint64 `cbor:"1,keyasint"`
		LastSeen int64  `cbor:"2,keyasint,omitempty"`
	}
)

// downgrade closes s, makes its file one of an older build, and opens it.
func downgrade(t *testing.T, s *Store) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	again := func(v []byte, old any) []byte {
		if err := decode.Unmarshal(v, old); err != nil {
			t.Fatal(err)
		}
		v, err := cbor.Marshal(old)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	db, err := bbolt.Open(s.path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		meta, missing := tx.Bucket(metaBucket), tx.Bucket(missingBucket)
		marks := map[string][]byte{}
		_ = missing.ForEach(func(k, v []byte) error {
			marks[string(k)] = again(v, new(oldMark))
			return nil
		})
		for k, v := range marks {
			if err := missing.Put([]byte(k), v); err != nil {
				return err
			}
		}
		return errors.Join(meta.Put(countersKey, again(meta.Get(countersKey), new(oldCounters))),
			tx.DeleteBucket(endsBucket), tx.DeleteBucket(endOrderBucket))
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	if _, exists, err := Inspect(s.path, testApp); err != nil || !exists {
		t.Errorf("Inspect: %t, %v", exists, err)
	}
	return open(t, s.path, s.policy)
}

// A file of an older build goes on where it was: nobody is announced twice, a room
// that was missing ends after a further sweep, and its end is remembered.
func TestOldFile(t *testing.T) {
	s := open(t, newPath(t))
	sweep(t, s, 0, "a@1=5 b@1=0 c@1=0")
	sweep(t, s, 10, "a@1=5 c@1=0") // b is marked
	s = downgrade(t, s)
	checked(t, s)
	if st := s.Status(); st.Rooms != 3 || st.Missing != 1 {
		t.Errorf("%d rooms, %d missing, want 3 and 1", st.Rooms, st.Missing)
	}
	sweep(t, s, 20, "a@1=6")
	wantWaiting(t, s, 3, "4 a@1:5→6, 5 -b@1")
	sweep(t, s, 25, "a@1=6")
	wantWaiting(t, s, 5, "") // c has been missing for five seconds
	sweep(t, s, 30, "a@1=6")
	wantWaiting(t, s, 5, "6 -c@1")
	commit(t, s, page(t, 41, "b@0=0 c@0=0"))
	wantWaiting(t, s, 6, "")
	s = reopen(t, s)
	sweep(t, s, 50, "a@1=6 b@1=0")
	wantWaiting(t, s, 6, "7 +b@1=0")
}

// When an older build has first looked is not known: the first look of this one
// counts in its place.
func TestOldFileWithoutACompleteSweep(t *testing.T) {
	s := open(t, newPath(t))
	first := page(t, 100, "a@1=0")
	first.Asked = time.Unix(100, 0)
	commit(t, s, first)
	if _, err := s.EndSweep(diff.Sweep{Begin: second(100), End: second(101)}); err != nil {
		t.Fatal(err)
	}
	s = downgrade(t, s)
	for n := range 2 {
		p := page(t, 200+float64(n), fmt.Sprintf("a@1=0 b@150=0 c%d@%d=0", n, 201+n))
		p.Asked = time.Unix(200+int64(n), 0)
		commit(t, s, p)
	}
	wantWaiting(t, s, 0, "1 *a@1=0, 2 *b@150=0, 3 +c0@201=0, 4 +c1@202=0")
	checked(t, s)
}
