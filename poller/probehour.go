package poller

import (
	"sync"
	"time"
)

// A ProbeStatus says what probes are made, and what has come of them.
type ProbeStatus struct {
	Places int    // of the list that are known and can be read again
	Probes uint64 // of the last hour, answered or not
	Found  uint64 // rooms that nobody knew and that they have shown
}

const probeMinutes = 60

// A probeHour counts the probes of each of the last sixty minutes. It is safe for
// concurrent use.
type probeHour struct {
	mu      sync.Mutex
	minutes [probeMinutes]struct {
		minute        int64 // since 1970; counts of another one are over
		probes, found uint64
	}
}

func (h *probeHour) add(found int, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	minute := now.Unix() / 60
	m := &h.minutes[minute%probeMinutes]
	if m.minute != minute {
		m.minute, m.probes, m.found = minute, 0, 0
	}
	m.probes++
	m.found += uint64(found)
}

func (h *probeHour) sum(now time.Time) (probes, found uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, m := range h.minutes {
		if back := now.Unix()/60 - m.minute; back >= 0 && back < probeMinutes {
			probes += m.probes
			found += m.found
		}
	}
	return probes, found
}

// status tells what probes are good for.
func (p *prober) status(now time.Time) *ProbeStatus {
	s := &ProbeStatus{Places: p.places.len()}
	s.Probes, s.Found = p.hour.sum(now)
	return s
}
