package retry

import "time"

// RemindEvery is how often the log repeats a failure that lasts: who reads only its
// newest lines shall see it.
const RemindEvery = 15 * time.Minute

// A Reminder knows when a failure that lasts is logged again. The zero value says
// at once that it is time. It is not safe for concurrent use.
type Reminder struct{ said time.Time }

// Due reports whether the failure was last logged RemindEvery ago, or never.
func (r *Reminder) Due() bool { return time.Since(r.said) >= RemindEvery }

// Said notes that it is logged now.
func (r *Reminder) Said() { r.said = time.Now() }
