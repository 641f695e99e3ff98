package main

import "time"

// A window lets so many notifications pass in each minute. The minute begins
// with its first one, so a digest at its end tells all of it. After a restart it
// begins anew.
type window struct {
	limit int // 0: any number
	began time.Time
	used  int
}

func (w *window) free(now time.Time) bool {
	return w.limit == 0 || w.used < w.limit || now.Sub(w.began) >= time.Minute
}

func (w *window) take(now time.Time) {
	if now.Sub(w.began) >= time.Minute {
		w.began, w.used = now, 0
	}
	w.used++
}

// end is when the next minute can begin.
func (w *window) end() time.Time { return w.began.Add(time.Minute) }
