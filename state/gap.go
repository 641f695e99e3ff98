package state

import (
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"
	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

// mostGaps is how many gaps wait for the stream before the oldest two become one.
const mostGaps = 100

// gapRecord is a gap that the stream is not known to have.
type gapRecord struct {
	From int64 `cbor:"1,keyasint"`
	To   int64 `cbor:"2,keyasint"`
}

func (r gapRecord) gap() diff.Gap { return diff.Gap{From: fromNano(r.From), To: fromNano(r.To)} }

// A reading is what is known of the sweep that is being committed, by the wall clock:
// the monotonic one stands still while the machine sleeps.
type reading struct {
	sweep uint64    // its number
	began time.Time // since when its pages have come without a gap between two of them
	page  time.Time // when the newest page of all was read
}

// read notes a page. A sweep that was cut in two by a gap counts from the page after it.
func (s *Store) read(p diff.Page, c *counters) {
	at := p.At.Round(0)
	if s.reading.sweep != s.sweep {
		s.reading.sweep, s.reading.began = s.sweep, p.Begin.Round(0)
	} else if g, cut := s.policy.Gap(c.history(), s.reading.page, at); cut {
		s.reading.began = g.To
	}
	s.reading.page = at
}

// until returns up to when the list was watched: the end of the newest complete sweep,
// of this state or, where the stream knows of a later one, of another.
func (c *counters) until() time.Time { return fromNano(max(c.End, c.Until)) }

// gapTo returns the end of the gap in which a change may lie that is seen now; zero if
// nobody missed anything. While no sweep is complete after a gap, it ends with the begin
// of the sweep that is under way. What reads and probes show while no page comes is seen
// in the gap.
//
// It is decided when an event is committed, so before the gap is told: an event never
// changes. If that sweep fails, the gap that is told ends later, with the begin of the
// next. What the failed one saw come and told without the mark was not missed.
func (s *Store) gapTo(c *counters, now time.Time) time.Time {
	h, until := c.history(), c.until()
	if g, open := s.policy.Gap(h, until, s.reading.began); open {
		return g.To
	}
	if !until.IsZero() && s.reading.page.After(until) {
		until = s.reading.page
	}
	if g, open := s.policy.Gap(h, until, now); open {
		return g.To
	}
	return fromNano(c.GapTo)
}

// endGap notes the gap that a complete sweep has ended, if there was one. It is in the
// transaction that counts the sweep, before it does.
func (s *Store) endGap(tx *bbolt.Tx, c *counters, sw diff.Sweep) error {
	began := sw.Begin.Round(0)
	if s.reading.sweep == s.sweep {
		began = s.reading.began
	}
	g, open := s.policy.Gap(c.history(), c.until(), began)
	if !open {
		return nil
	}
	c.GapTo = nano(g.To)
	gaps, err := readGaps(tx)
	if err != nil {
		return err
	}
	gaps = append(gaps, gapRecord{nano(g.From), nano(g.To)})
	if len(gaps) > mostGaps {
		gaps[1].From = gaps[0].From
		gaps = gaps[1:]
	}
	s.log.Warn("nobody had watched", "from", g.From, "to", g.To, "consequence", "rooms that began and ended in between are not known; events whose change may lie there say so")
	return putGaps(tx, gaps)
}

// Gap returns the oldest gap that the stream is not known to have.
func (s *Store) Gap() (g diff.Gap, waits bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.gaps) == 0 {
		return g, false
	}
	return s.gaps[0].gap(), true
}

// signalGap tells that a gap has ended.
func (s *Store) signalGap() {
	if _, waits := s.Gap(); !waits {
		return
	}
	select {
	case s.gapEnded <- struct{}{}:
	default: // the last signal was not taken yet
	}
}

// GapEnded returns a channel that gets a value after a gap has ended.
func (s *Store) GapEnded() <-chan struct{} { return s.gapEnded }

// Told notes that the stream has the gap, and all before it. A crash before that costs
// nothing: who tells of a gap asks the stream first.
func (s *Store) Told(told diff.Gap) error {
	return s.changeGaps(func(_ *counters, gaps []gapRecord) []gapRecord {
		for len(gaps) > 0 && gaps[0].From <= nano(told.From) {
			gaps = gaps[1:]
		}
		return gaps
	})
}

// Watched notes what the stream knows: that the list was watched up to a moment, by
// whoever was the writer, and the end of the newest gap that was told. A state of long
// ago, or one that was rebuilt, would take the time since then for a gap otherwise.
func (s *Store) Watched(until, gapTo time.Time) error {
	s.mu.Lock()
	known := !until.After(s.now.until()) && nano(gapTo) <= s.now.GapTo
	s.mu.Unlock()
	if known {
		return nil
	}
	return s.changeGaps(func(c *counters, gaps []gapRecord) []gapRecord {
		// Another's clock may be ahead; no time before it would be a gap then.
		c.Until = max(c.Until, min(nano(until), time.Now().UnixNano()))
		c.GapTo = max(c.GapTo, nano(gapTo))
		return gaps
	})
}

func (s *Store) changeGaps(f func(*counters, []gapRecord) []gapRecord) error {
	s.write.Lock()
	defer s.write.Unlock()
	err := s.update(func(tx *bbolt.Tx, c *counters) (bool, error) {
		gaps, err := readGaps(tx)
		if err != nil {
			return false, err
		}
		return true, putGaps(tx, f(c, gaps))
	})
	if err != nil {
		return fmt.Errorf("note gaps: %w", err)
	}
	return nil
}

func readGaps(tx *bbolt.Tx) (gaps []gapRecord, err error) {
	v := tx.Bucket(metaBucket).Get(gapsKey)
	if v == nil {
		return nil, nil
	}
	if err := decode.Unmarshal(v, &gaps); err != nil {
		return nil, fmt.Errorf("decode gaps: %w", err)
	}
	return gaps, nil
}

func putGaps(tx *bbolt.Tx, gaps []gapRecord) error {
	meta := tx.Bucket(metaBucket)
	if len(gaps) == 0 {
		return meta.Delete(gapsKey)
	}
	v, err := cbor.Marshal(gaps)
	if err != nil {
		return fmt.Errorf("encode gaps: %w", err) // unreachable: numbers encode
	}
	return meta.Put(gapsKey, v)
}

// Pulse returns how the watch is doing. It reads memory only.
func (s *Store) Pulse() diff.Pulse {
	st := s.Status()
	s.mu.Lock()
	defer s.mu.Unlock()
	h, until := s.now.history(), s.now.until()
	_, gap := s.policy.Gap(h, until, time.Now())
	p := diff.Pulse{
		Until: until, Watching: !until.IsZero() && !gap,
		Rooms: st.Rooms, Missing: st.Missing, Hidden: st.Hidden, Waiting: st.Waiting, Recall: st.Recall,
	}
	if h.Complete > 0 {
		p.Sweep = &diff.Complete{Number: s.now.Ended, Begin: h.Begin, End: h.End, Rooms: s.now.Shown}
	}
	return p
}
