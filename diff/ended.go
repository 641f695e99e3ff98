package diff

// mostEnded is how many ends an [Ended] remembers.
const mostEnded = 10_000

// An Ended remembers the latest ends that were told. A room that is shown again
// in the life that was told as over was live all the time, or hidden: sweeps have
// missed it, and the miss rate has to know. The zero Ended is empty. It is not
// safe for concurrent use.
type Ended struct {
	missed map[Key]uint64
}

// Add remembers the end of a life that so many complete sweeps had missed. When
// there are too many, all are forgotten: what is measured is then too low for once.
func (e *Ended) Add(k Key, missed uint64) {
	if len(e.missed) >= mostEnded {
		clear(e.missed)
	}
	if e.missed == nil {
		e.missed = make(map[Key]uint64)
	}
	e.missed[k] = missed
}

// Missed returns how many complete sweeps had missed a life when it was told as
// over; 0 if it was not, or not lately.
func (e *Ended) Missed(k Key) uint64 { return e.missed[k] }
