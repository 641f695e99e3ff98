package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

// recentEnds is the buckets of the ends in one transaction. An end is found by its
// RoomID and forgotten in the order in which they were told; neither needs more
// than a few pages of the file, or memory beside it.
type recentEnds struct {
	ends  *bbolt.Bucket // RoomID → its newest end, see encodeEnd
	order *bbolt.Bucket // number of the end → RoomID
}

func newRecentEnds(tx *bbolt.Tx) recentEnds {
	return recentEnds{ends: tx.Bucket(endsBucket), order: tx.Bucket(endOrderBucket)}
}

// find returns the newest end of a RoomID; the zero one if none is remembered.
func (r recentEnds) find(id string) (diff.RecentEnd, error) {
	v := r.ends.Get([]byte(id))
	if v == nil {
		return diff.RecentEnd{}, nil
	}
	_, e, err := decodeEnd(id, v)
	return e, err
}

// add remembers an end, in the place of any other of its RoomID, and forgets
// those that are too many or too old.
func (r recentEnds) add(id string, end diff.RecentEnd) error {
	if v := r.ends.Get([]byte(id)); v != nil {
		old, _, err := decodeEnd(id, v)
		if err != nil {
			return err
		}
		if err := r.order.Delete(seqKey(old)); err != nil {
			return fmt.Errorf("forget end %d: %w", old, err)
		}
	}
	number, err := r.order.NextSequence()
	if err != nil {
		return fmt.Errorf("number end of room %q: %w", id, err)
	}
	r.order.FillPercent = 0.95 // only ever appended to
	if err := errors.Join(r.ends.Put([]byte(id), encodeEnd(number, end)), r.order.Put(seqKey(number), []byte(id))); err != nil {
		return fmt.Errorf("put end of room %q: %w", id, err)
	}
	// More than is added, so that old ones go while there are few new ones.
	for range 4 {
		if gone, err := r.forget(number, end); !gone {
			return err
		}
	}
	return nil
}

// forget removes the oldest end if it is too many or too old beside the newest.
func (r recentEnds) forget(newest uint64, end diff.RecentEnd) (gone bool, err error) {
	k, v := r.order.Cursor().First()
	number, err := seqOf(k)
	if err != nil {
		return false, err
	}
	id := slices.Clone(v)
	oldest, err := r.find(string(id))
	if err != nil || number+diff.MaxRecentEnds > newest && !oldest.Expired(end.Told) {
		return false, err
	}
	if err := errors.Join(r.order.Delete(seqKey(number)), r.ends.Delete(id)); err != nil {
		return false, fmt.Errorf("forget end of room %q: %w", id, err)
	}
	return true, nil
}

// createEnds lays out the buckets, which the files of older builds lack.
func createEnds(tx *bbolt.Tx) error {
	for _, name := range [][]byte{endsBucket, endOrderBucket} {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return nil
}

// endSize is the length of an end: five numbers of eight bytes, which are the
// same in every build; what a later one adds follows them. Builds that note what
// proved the end have a sixth, its index in endProofs.
const endSize = 5 * 8

// endProofs are what can prove an end; an index means the same in every build.
func endProofs() [4]diff.By {
	return [...]diff.By{"", diff.ByList, diff.ByInfo, diff.BySweeps}
}

func encodeEnd(number uint64, e diff.RecentEnd) []byte {
	v := make([]byte, 0, endSize+8)
	witnesses := endProofs()
	by := max(0, slices.Index(witnesses[:], e.By))
	for _, n := range [...]uint64{number, uint64(e.CreateTime), uint64(nano(e.Told)), e.Sweep, e.Missed, uint64(by)} {
		v = binary.BigEndian.AppendUint64(v, n)
	}
	return v
}

func decodeEnd(id string, v []byte) (number uint64, e diff.RecentEnd, err error) {
	if len(v) < endSize {
		return 0, e, fmt.Errorf("decode end of room %q: %d bytes of %d", id, len(v), endSize)
	}
	at := func(i int) uint64 { return binary.BigEndian.Uint64(v[8*i:]) }
	e = diff.RecentEnd{CreateTime: int64(at(1)), Told: fromNano(int64(at(2))), Sweep: at(3), Missed: at(4)}
	if witnesses := endProofs(); len(v) >= endSize+8 && at(5) < uint64(len(witnesses)) {
		e.By = witnesses[at(5)]
	}
	return at(0), e, nil
}

// checkEnds returns how I6 is broken. A file of an older build has no ends.
func checkEnds(tx *bbolt.Tx) error {
	r := newRecentEnds(tx)
	if r.ends == nil && r.order == nil {
		return nil
	}
	if r.ends == nil || r.order == nil {
		return fmt.Errorf("I6: one of the buckets %q and %q is missing", endsBucket, endOrderBucket)
	}
	newest := r.order.Sequence()
	oldest := newest + 1
	var err error
	if k, _ := r.order.Cursor().First(); k != nil {
		oldest, err = seqOf(k)
	}
	span := newest + 1 - oldest
	if err != nil || span > diff.MaxRecentEnds {
		return fmt.Errorf("I6: the ends are numbered from %d to %d", oldest, newest)
	}
	var errs []error
	ids := make([][]byte, span) // of the ends from the oldest on
	ends, n := 0, 0
	_ = r.ends.ForEach(func(k, v []byte) error {
		ends++
		number, _, err := decodeEnd(string(k), v)
		if err != nil {
			errs = append(errs, err)
		} else if i := number - oldest; i < span {
			ids[i] = k
		}
		return nil
	})
	_ = r.order.ForEach(func(k, v []byte) error {
		n++
		number, err := seqOf(k)
		if i := number - oldest; err != nil || i >= span || !bytes.Equal(ids[i], v) {
			errs = append(errs, fmt.Errorf("I6: end %x is not that of room %q", k, v))
		}
		return nil
	})
	if ends != n {
		errs = append(errs, fmt.Errorf("I6: %d ends, %d in order", ends, n))
	}
	return errors.Join(errs...)
}

// A foldedEnd is an end that a rebuild has read.
type foldedEnd struct {
	id  string
	end diff.RecentEnd
}

// foldedEnds keeps the last ends of a stream, of which it can have many more than
// are remembered.
type foldedEnds []foldedEnd

func (f foldedEnds) take(e diff.Event, sweep uint64) foldedEnds {
	if e.Type != diff.RoomEnded || e.Room.RoomID == "" {
		return f
	}
	if len(f) == 2*diff.MaxRecentEnds {
		f = f[:copy(f, f[diff.MaxRecentEnds:])]
	}
	return append(f, foldedEnd{e.Room.RoomID, diff.RecallEnd(e, sweep)})
}

// foldEnds writes those that are recent beside the newest of them.
func (s *Store) foldEnds(f foldedEnds) error {
	if len(f) == 0 {
		return nil
	}
	newest := f[len(f)-1].end.Told
	f = f[max(0, len(f)-diff.MaxRecentEnds):]
	f = slices.DeleteFunc(f, func(e foldedEnd) bool { return e.end.Expired(newest) })
	for part := range slices.Chunk(f, chunk) {
		err := s.transact(func(tx *bbolt.Tx) error {
			r := newRecentEnds(tx)
			for _, e := range part {
				if err := r.add(e.id, e.end); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
