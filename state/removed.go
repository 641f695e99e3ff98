package state

import "os"

// lookForFile notes whether the path still names the file that is open. Somebody may
// have removed or replaced it: all goes on in the open file, which has no name then
// and is gone when it is closed. The next start makes a new state and rebuilds it
// from the stream; what waits for the stream then is lost.
func (s *Store) lookForFile() {
	now, err := os.Stat(s.path)
	removed := os.IsNotExist(err) || err == nil && !os.SameFile(now, s.file)
	s.mu.Lock()
	before := s.removed
	s.removed = removed
	s.mu.Unlock()
	switch {
	case removed && !before:
		s.log.Error("state file was removed or replaced", "file", s.path, "waiting", s.Status().Waiting, "fix", RemovedFix)
	case before && !removed:
		s.log.Info("state file is back", "file", s.path)
	}
}

// RemovedFix is what to do about a state file that was removed ([Status]).
const RemovedFix = "wait until no event waits for the stream, then start roomwatch again: it rebuilds the state from the stream; " +
	"a file that was only moved can be moved back"
