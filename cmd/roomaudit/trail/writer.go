package trail

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// Errors that a person must act on. The text of the error that wraps them says how.
var (
	ErrLocked = errors.New("another process writes to it")
	ErrBroken = errors.New("it is broken")
)

// Options say where a trail is and how it is written.
type Options struct {
	Dir          string // required; made if it does not exist
	MaxFileBytes int64  // a file that has grown to this is sealed; 0 means 64 MiB
	// Key returns the key that signs the last line of a file. It is called for each:
	// a key may be exchanged. nil: they are not signed.
	Key func() ed25519.PrivateKey
	Log *slog.Logger // nil discards
	// Keep is how old a sealed file may become until [Writer.RemoveOld] removes it; 0: any.
	Keep time.Duration
	// Copies has [Writer.RemoveOld] remove no file that is not on record as copied.
	Copies bool
	// Continue is the last line of a trail whose files were all moved away, by the
	// word of an operator. nil: there is none, and such a trail is not continued.
	Continue *Place

	// Refuse is called before each change of a file; an error stands for that of the
	// disk. It is for tests; nil refuses nothing.
	Refuse func(step, path string) error
}

// A Place is a line of a trail and its hash.
type Place struct {
	Line uint64 `json:"line"`
	Hash string `json:"hash"`
}

// A Writer appends to a trail. It is safe for concurrent use: the trail is kept in
// order while it is recorded.
type Writer struct {
	o    Options
	disk *disk
	lock *flock.Flock

	mu sync.Mutex // guards what follows
	current
	trail string // its id

	labelled int   // the file that the label names; 0: one that this process has not begun
	removed  int   // the newest file of which this process has put on record that it is removed
	done     State // what this process has done; the rest of it is elsewhere
	copied   int   // the newest file that is on record as copied; 0: none
	// keptCopied is what copied was when that was done.
	keptCopied int
	kept       string // the day before which this process has removed the old files; empty: none yet
	reason     string // not on record yet: what is missing before the next line, and why; empty: nothing
	// continuedAt is the line behind which an operator had the record continue; nil: none.
	continuedAt *Place
}

// A current is the newest file of a trail and the end of its chain.
type current struct {
	file   *os.File // nil: it is sealed, or there is none
	path   string
	number int
	day    string
	size   int64 // of what is acknowledged of it
	// damaged means that behind size there may be bytes of a write that was not
	// acknowledged.
	damaged bool
	end     chain // behind the last line that was acknowledged
}

// A chain is what the next line has to follow.
type chain struct {
	line     uint64 // the last one
	hash     string // of it
	position Position
	newest   Mark
	begun    uint64 // the first line of its file
}

// Open opens the trail for writing, or begins one. Whatever a crash has left is
// repaired: a line that is not whole, which was never acknowledged, is cut off, and
// a file that was sealed and not compressed is compressed. A trail that is broken
// in any other way is not touched.
func Open(o Options) (_ *Writer, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("open audit trail %s: %w", o.Dir, err)
		}
	}()
	if o.MaxFileBytes <= 0 {
		o.MaxFileBytes = 64 << 20
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(o.Dir, 0o750); err != nil {
		return nil, err
	}
	w := &Writer{o: o, disk: &disk{before: o.Refuse}, lock: flock.New(filepath.Join(o.Dir, "lock"), flock.SetPermissions(fileMode))}
	w.end.hash = noHash
	got, err := w.lock.TryLock()
	if err != nil {
		return nil, err
	}
	if !got {
		return nil, fmt.Errorf("%w: stop it, or set another ROOMAUDIT_DIR", ErrLocked)
	}
	if err := w.resume(); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

// Position returns where the record stands: a message up to it is on disk.
func (w *Writer) Position() Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.end.position
}

// Lines returns the number and the hash of the last line on disk.
func (w *Writer) Lines() (uint64, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.end.line, w.end.hash
}

// A State is how far a writer is, for those who watch it.
type State struct {
	Line     uint64
	Position Position
	Newest   Mark
	Number   int // of the newest file
	Copied   int // the newest file that is on record as copied
	// What this process has done.
	Messages, Gaps, Seals uint64
	Synced                time.Time // when lines were last on disk; zero: none were written
}

// State returns how far the writer is. While a file is sealed, it waits.
func (w *Writer) State() State {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.done
	s.Line, s.Position, s.Newest, s.Number, s.Copied = w.end.line, w.end.position, w.end.newest, w.number, w.copied
	return s
}

// Follow notes that the messages from now on are those of another stream, or of
// one that was cut, and why. Without a reason it only says where a trail begins.
func (w *Writer) Follow(p Position, at time.Time, reason string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil && w.number == 0 && reason == "" {
		w.end.position = p // the first line of the first file tells it
		return nil
	}
	if err := w.ready(at); err != nil {
		return err
	}
	return w.write([]Line{{Kind: Stream, Stream: &p, Reason: reason}})
}

// Append records messages in the order of the stream, at a time by the clock of
// the recorder: no time in a message decides about a file. One that is on record, or
// behind one that follows it, is skipped; what lacks between two is recorded as gone, so the caller must
// have seen to it that the stream no longer has it.
//
// After an error the messages up to [Writer.Position] are on disk, and of the
// others nothing; the caller retries.
func (w *Writer) Append(now time.Time, batch []Message) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	batch = after(w.end.position.Last, batch)
	for len(batch) > 0 {
		if err := w.ready(now); err != nil {
			return err
		}
		n := w.fitting(batch)
		lines := make([]Line, 0, n)
		last := w.end.position.Last
		for _, m := range batch[:n] {
			if m.Seq > last+1 {
				lines = append(lines, Line{Kind: Gap, From: last + 1, To: m.Seq - 1, Reason: "the stream no longer had them"})
			}
			last = m.Seq
			lines = append(lines, record(m))
		}
		if err := w.write(lines); err != nil {
			return err
		}
		batch = batch[n:]
	}
	return nil
}

// fitting returns how many messages go into the open file: at least one.
func (w *Writer) fitting(batch []Message) int {
	size := w.size
	for i, m := range batch {
		if i > 0 && size >= w.o.MaxFileBytes {
			return i
		}
		size += int64(len(m.Body))
	}
	return len(batch)
}

// write appends lines to the open file and waits until they are on disk. After
// an error none of them counts: what there may be of them is cut off before
// anything else is written.
func (w *Writer) write(lines []Line) error { return w.writeSigned(lines, nil) }

// writeSigned is write with the key that signs an end; nil: it is not signed.
func (w *Writer) writeSigned(lines []Line, key ed25519.PrivateKey) error {
	text, end, err := w.end.extend(lines, key)
	if err != nil {
		return err
	}
	if err := w.disk.write(w.file, text); err != nil {
		w.damaged = true
		return fmt.Errorf("write to %s: %w", w.path, err)
	}
	w.size += int64(len(text))
	w.end = end
	w.count(lines)
	return nil
}

// count counts lines that are on disk.
func (w *Writer) count(lines []Line) {
	w.done.Synced = time.Now()
	for _, l := range lines {
		switch l.Kind {
		case Event, Claim, Watch, Other:
			w.done.Messages++
		case Gap:
			w.done.Gaps++
		case End:
			w.done.Seals++
		}
	}
}

// extend encodes lines behind a chain, and returns them with the chain behind them.
func (c chain) extend(lines []Line, key ed25519.PrivateKey) ([]byte, chain, error) {
	var text []byte
	for _, l := range lines {
		c.line++
		l.Line, l.Previous = c.line, c.hash
		var signer ed25519.PrivateKey
		if l.Kind == End {
			signer = key
		}
		var err error
		if text, err = l.encode(text, signer); err != nil {
			return nil, c, err
		}
		c.follow(l)
	}
	return text, c, nil
}

// Close gives the trail free. All that was acknowledged is on disk already.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var err error
	if w.number > 0 && w.labelled == w.number {
		if err := w.label(); err != nil {
			w.o.Log.Warn("label of the trail cannot be written", "error", err, "fix", "none is needed while its newest file is there")
		}
	}
	if w.file != nil {
		err = w.file.Close()
		w.file = nil
	}
	return errors.Join(err, w.lock.Unlock())
}
