package lease

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

// A Standby is a process that waits for the lease.
type Standby struct {
	Instance string
	Host     string
	Version  string
	Since    string // by its own clock
	Behind   uint64 // messages of the stream that it had still to read
	CaughtUp bool
}

// standbys is what a holder knows of those who wait.
type standbys struct {
	l    *Lease
	read uint64 // the newest revision that was looked at
	all  map[string]heard
}

type heard struct {
	Standby
	revision uint64
	at       time.Time
}

// look reads the announcements that are new, and forgets those that have not been
// renewed for the duration of the lease (L5).
func (s *standbys) look(ctx context.Context) error {
	for {
		v, err := s.l.store.nextStandby(ctx, s.read)
		if err != nil {
			return err
		}
		if v.revision == 0 {
			break
		}
		s.read = v.revision
		a := v.value
		if instance := v.key[len(s.l.store.standbyKey("")):]; v.removed {
			delete(s.all, instance)
		} else if instance != s.l.c.Instance {
			s.all[instance] = heard{Standby{instance, a.Host, a.Version, a.Since, a.Behind, a.CaughtUp}, v.revision, time.Now()}
		}
	}
	for instance, h := range s.all {
		if time.Since(h.at) <= s.l.c.Duration {
			continue
		}
		err := s.l.store.remove(ctx, s.l.store.standbyKey(instance), h.revision)
		if errors.Is(err, errStale) { // it has been renewed just now, or went with its bucket
			v, err := s.l.store.standby(ctx, instance)
			if err != nil {
				return err
			}
			if v.revision != 0 && !v.removed {
				continue
			}
		} else if err != nil {
			return err
		}
		delete(s.all, instance)
	}
	return nil
}

// list returns them in the order of their names.
func (s *standbys) list() []Standby {
	out := make([]Standby, 0, len(s.all))
	for h := range maps.Values(s.all) {
		out = append(out, h.Standby)
	}
	slices.SortFunc(out, func(a, b Standby) int { return cmp.Compare(a.Instance, b.Instance) })
	return out
}
