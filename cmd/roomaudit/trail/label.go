package trail

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"github.com/oklog/ulid/v2"
)

// labelName is the file that says which trail a directory has.
const labelName = "trail.json"

// A label says which trail a directory has, and how far it was when the label
// was written: when a file begins, and when the writer is closed. It is no evidence.
// It keeps a directory whose files were all moved away from being taken for a
// new one, whose record would begin at line 1 again.
type label struct {
	Trail  string   `json:"trail"`
	File   int      `json:"file"` // the newest one; 0: none was begun yet
	Line   uint64   `json:"line"` // the trail has it, and perhaps more
	Hash   string   `json:"hash"`
	Stream Position `json:"stream"`
	Copied int      `json:"copied,omitzero"` // the newest file that is on record as copied; perhaps more are
	// Continued is the line behind which an operator had the record continue; nil: none.
	Continued *Place `json:"continued,omitempty"`
}

// check refuses what no writer has written. Believed, it would number files and lines
// as nobody can read them, or have files removed that were not copied.
func (l label) check() error {
	places := []Place{{l.Line, l.Hash}}
	if l.Continued != nil {
		places = append(places, *l.Continued)
	}
	for _, p := range places {
		if p.Line > lineMax || p.Hash != "" && !hashed.MatchString(p.Hash) {
			return fmt.Errorf("it names line %d with hash %q", p.Line, p.Hash)
		}
	}
	if l.File < 0 || l.File > fileMax || l.Copied < 0 {
		return fmt.Errorf("it names file %d, and file %d as copied", l.File, l.Copied)
	}
	return nil
}

const (
	fileMax = 1 << 30 // more files than a trail has
	lineMax = 1 << 60
)

var hashed = regexp.MustCompile(`^[0-9a-f]{64}$`)

// ID is the id of the trail.
func (w *Writer) ID() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.trail
}

// label writes the label. Power cut at
//
//	writing X.tmp    the label is the one before
//	rename of X.tmp  the same, or the new one
//
// Both say which trail it is, and of no file that does not exist: a file is begun
// before its label is written, and has no message before that.
func (w *Writer) label() error {
	path := filepath.Join(w.o.Dir, labelName)
	text, err := json.Marshal(label{w.trail, w.number, w.end.line, w.end.hash, w.end.position, w.copied, w.continuedAt})
	if err != nil {
		return err // unreachable: it encodes
	}
	f, err := w.disk.open(path+unsafe, 0)
	if err == nil {
		err = errors.Join(w.disk.write(f, append(text, '\n')), f.Close())
	}
	if err == nil {
		err = w.disk.rename(path+unsafe, path)
	}
	if err == nil {
		err = w.disk.syncDir(w.o.Dir)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	w.labelled = w.number
	return nil
}

// identify finds which trail the directory has, after its files were read. A
// directory without a trail gets a new one. While the label knows of something
// that is missing and not on record yet, it is not rewritten: a process that
// ends before its first line leaves it to the next one.
func (w *Writer) identify(files []File) error {
	path := filepath.Join(w.o.Dir, labelName)
	var l label
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return err
	default:
		err := json.Unmarshal(text, &l)
		if err == nil {
			err = l.check()
		}
		if err != nil {
			return fmt.Errorf("%s: %w: %w; remove it if all files of the trail are there: it is rewritten", path, ErrBroken, err)
		}
	}
	// Which files were copied is known of those that were begun: others of their numbers were not.
	w.continuedAt, w.copied = l.Continued, max(w.copied, min(l.Copied, l.File))
	switch {
	case l.File > w.number && w.number == 0:
		return w.resumeBehind(l, path)
	case l.File > w.number:
		w.copied = min(w.copied, w.number)
		w.shortened(l, "newest file missing", "file %d, which had line %d, was begun, and was not there when the record went on", l.File, l.Line)
		return nil
	case l.File == w.number && l.Line > w.end.line:
		w.shortened(l, "end of the newest file missing", "file %d had line %d, and ended with line %d when the record went on", l.File, l.Line, w.end.line)
		return nil
	case w.o.Continue != nil:
		if err := w.continued(files); err != nil {
			return err
		}
	case len(files) == 0 && l.Trail != "":
		w.trail = l.Trail
	case len(files) == 0:
		w.trail = ulid.Make().String()
	}
	return w.label()
}

// shortened has the next line say what is missing at the end of the trail. What the
// stream still has of it is recorded again.
func (w *Writer) shortened(l label, what, reason string, args ...any) {
	w.reason = fmt.Sprintf(reason, args...)
	w.o.Log.Warn("the trail is shorter than it was", "what", what, "file", l.File, "line", l.Line, "fix", "find out who removed it; that is on record")
}

// resumeBehind continues behind files that were moved away, if an operator said so.
func (w *Writer) resumeBehind(l label, path string) error {
	c := w.o.Continue
	switch {
	case c == nil:
		return fmt.Errorf("%w: no file is there, and %s says that file %d was begun. If all were moved to an archive, continue after them with `roomaudit run --continue LINE:HASH`, "+
			"the last line that `roomaudit verify` of the archive prints; if they are lost, with --continue %d:%s. Otherwise put them back", ErrBroken, path, l.File, l.Line, l.Hash)
	case c.Line < l.Line || c.Line == l.Line && c.Hash != l.Hash:
		return fmt.Errorf("%w: the trail had line %d with hash %s, and --continue names %d:%s; take the last line that `roomaudit verify` of the archive prints", ErrBroken, l.Line, l.Hash, c.Line, c.Hash)
	}
	w.trail, w.number, w.continuedAt = l.Trail, l.File, c
	w.end = chain{line: c.Line, hash: c.Hash, position: l.Stream}
	w.reason = fmt.Sprintf("the files before were moved away: the record continues after line %d with hash %s, as the operator said with --continue", c.Line, c.Hash)
	if c.Line > l.Line {
		w.reason += fmt.Sprintf("; what the stream has behind message %d may be on record twice", l.Stream.Last)
	}
	return nil
}

// continued accepts the word of the operator that was followed already, and no other.
func (w *Writer) continued(files []File) error {
	c := w.o.Continue
	if w.continuedAt != nil && *w.continuedAt == *c {
		return nil
	}
	if len(files) > 0 { // the label is of an earlier version, or was recreated
		first, err := files[0].begin()
		if err != nil {
			return err
		}
		if first.Line == c.Line+1 && first.Previous == c.Hash {
			return nil
		}
	}
	return fmt.Errorf("%w: --continue is for a trail whose files were all moved away, and whose %s is there", ErrBroken, labelName)
}
