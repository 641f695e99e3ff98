package simulator

import "time"

// Lies are ways in which the whole service can be wrong.
type Lies int

// The ways, which can be combined.
const (
	LieInfo Lies = 1 << iota // no room exists: each get_room_info is answered by 100004
	LieList                  // the list ends in the middle of the page that is asked for
)

// A lie is what the service says until a moment.
type lie struct {
	kind  Lies
	until time.Time
}

// Lie lets the service be wrong for d from now on. It ends an earlier lie.
func (s *Service) Lie(kind Lies, d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lie = lie{kind, time.Now().Add(d)}
}

func (s *Service) lying(kind Lies) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lie.kind&kind != 0 && time.Now().Before(s.lie.until)
}
