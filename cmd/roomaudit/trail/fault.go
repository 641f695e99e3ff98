package trail

import "fmt"

// A Check says what a trail is held against, besides itself.
type Check struct {
	Dir  string
	Keys []Key // that sign, in the order in which they came to; none: no signature is checked
	// First is the number of the first file that is expected; files before it were
	// moved away. 0 means 1.
	First int
	// Noted are lines that were kept somewhere else, in any order.
	Noted []Place
}

// A Fault is something about a trail that is not as it was written.
type Fault struct {
	File string `json:"file"`          // its name; empty for one that is missing
	Row  int    `json:"row,omitzero"`  // in the file, counted from 1; 0: the file as a whole
	Line uint64 `json:"line,omitzero"` // of the trail; 0: unknown
	Text string `json:"text"`
}

func (f Fault) String() string {
	switch {
	case f.Row > 0:
		return fmt.Sprintf("%s:%d: line %d: %s", f.File, f.Row, f.Line, f.Text)
	case f.File != "":
		return fmt.Sprintf("%s: %s", f.File, f.Text)
	}
	return f.Text
}

// A Summary is what [Verify] has seen.
type Summary struct {
	Files       int      `json:"files"`
	Lines       uint64   `json:"lines"`
	Messages    uint64   `json:"messages"`
	Gaps        int      `json:"gaps"`              // recorded ones: the stream had lost the messages
	Copied      int      `json:"copied,omitzero"`   // the newest file that is on record as copied
	Signed      int      `json:"signed"`            // files with a signature, checked or not
	Covered     []Cover  `json:"covered,omitempty"` // which signature proves which files, where keys were given
	NotedHere   int      `json:"noted_here"`        // lines that were kept somewhere else, and are here
	NotedBefore int      `json:"noted_before"`      // such lines that are before the first one here, and cannot be compared
	Proven      uint64   `json:"proven"`            // the last noted line that was compared, here or before the first one; 0: none
	Faults      int      `json:"faults"`
	Last        uint64   `json:"last"` // the last line
	Hash        string   `json:"hash"` // of it; worth noting somewhere else
	Open        bool     `json:"open"` // the newest file is not sealed
	Stream      Position `json:"stream"`
	Notes       []Fault  `json:"notes,omitempty"` // what the trail itself says was not as usual; no faults of it
}
