package state

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/oklog/ulid/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

// Errors that a person must act on. The text of the error that wraps them says how.
var (
	ErrLocked = errors.New("another process is using it")
	ErrBroken = errors.New("it is not a state file that this program can read")
	ErrOther  = errors.New("it belongs to another application")

	// errHalfRebuilt is met only after a rebuild and the reset after it have
	// both failed, as on a full disk.
	errHalfRebuilt = errors.New("the state is half rebuilt: make room on its disk and start roomwatch again")
)

const (
	format   = "1"
	lockWait = 200 * time.Millisecond
	// epochSize is how much of a ULID names an epoch: its time in milliseconds
	// (10 characters) and 10 random bits.
	epochSize = 12
)

var (
	metaBucket    = []byte("meta")
	roomsBucket   = []byte("rooms")
	missingBucket = []byte("missing")
	outboxBucket  = []byte("outbox")

	endsBucket     = []byte("ends")
	endOrderBucket = []byte("endOrder")

	formatKey   = []byte("format")
	appKey      = []byte("app")
	epochKey    = []byte("epoch")
	followsKey  = []byte("follows")
	lastKey     = []byte("last")
	countersKey = []byte("counters")
	rebuildKey  = []byte("rebuild")
	gapsKey     = []byte("gaps")
)

// A Config holds what a [Store] needs.
type Config struct {
	Path     string // required: the bbolt file, made if it does not exist
	SDKAppID int    // required: the application whose rooms it keeps
	Policy   diff.Policy
	Log      *slog.Logger          // nil discards
	Metrics  prometheus.Registerer // nil registers none

	// Propose is told which rooms point reads should look at; it must not block.
	// Nil: there are no point reads, and sweeps alone decide.
	Propose func(diff.Proposal)

	// OpenFile opens the file; nil means [os.OpenFile]. Tests close what it returns,
	// as the end of a process does.
	OpenFile func(name string, flag int, perm os.FileMode) (*os.File, error)

	after func(step string) // of compact, by name; nil but in tests, which look at what a crash would leave
}

// A Store is the open state file. Its methods are safe for concurrent use;
// those that write take turns.
type Store struct {
	db      *bbolt.DB
	path    string
	file    os.FileInfo           // of the open file
	commit  func(*bbolt.Tx) error // bbolt's; tests let it fail
	policy  diff.Policy
	log     *slog.Logger
	metrics *metrics

	committed chan struct{}
	gapEnded  chan struct{}

	write   sync.Mutex // held while the file is changed; guards what follows
	encode  *encoder
	events  []diff.Event // empty: memory for those of the next transaction
	index   *roomIndex
	indexed bool // index is that of the file
	// complete is when the newest complete sweep began: with a reading of the
	// monotonic clock if this process made it, as the file has it otherwise.
	complete time.Time
	sweep    uint64 // the sweep whose pages are being committed
	// disturbed reports that the rooms were rebuilt in the middle of the sweep,
	// so that what it has seen is no longer what they were compared with.
	disturbed bool
	lows      []int64   // the lowest view count of each page of the sweep
	looked    time.Time // when passed rooms were looked for last

	ahead bool // it was told that the clock was set back

	reading reading

	reads  reads
	hidden hiddenRooms

	mu      sync.Mutex // guards the mirror of the file, for readers that must not wait
	epoch   string
	follows string // the ID of the event that the epoch was begun after, "" for none
	now     counters
	stored  uint64 // the stream has the events up to this one
	tail    tail
	meter   newsMeter
	gaps    []gapRecord // that the stream is not known to have, oldest first
	oldest  uint64      // the first row of the outbox, or one past the last event given
	removed bool        // the path no longer names the file
	judged  uint64      // the newest sweep of this process that was complete; 0: there was none
}

// Open opens the file, or makes it. What it says of a file it cannot use names
// the file, the reason and the fix; nothing in the file is changed then.
func Open(c Config) (_ *Store, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("open state %s: %w", c.Path, err)
		}
	}()
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(filepath.Dir(c.Path), 0o750); err != nil {
		return nil, explain(err)
	}
	if err := verify(c.Path, c.SDKAppID); err != nil {
		return nil, err
	}
	made := isNew(c.Path)
	defer func() {
		if made && isFull(err) {
			// A stub of a file that did not fit is no state, and no later start could use it.
			err = errors.Join(err, os.Remove(c.Path))
		}
	}()
	db, err := c.shrink()
	if err != nil {
		return nil, err
	}
	s := &Store{
		db: db, path: c.Path, commit: (*bbolt.Tx).Commit,
		policy: c.Policy, log: c.Log, committed: make(chan struct{}, 1), gapEnded: make(chan struct{}, 1), index: newRoomIndex(),
		reads: reads{propose: c.Propose, witnesses: diff.NewWitnesses(c.Policy)},
	}
	s.encode, err = newEncoder()
	if err == nil {
		s.file, err = os.Stat(c.Path)
	}
	if err == nil {
		err = s.load(c.SDKAppID)
	}
	if err != nil {
		return nil, errors.Join(explain(err), db.Close())
	}
	s.metrics, s.meter = newMetrics(c.Metrics, s), newNewsMeter(c.Metrics)
	return s, nil
}

// Close writes what is only noted in memory and closes the file.
func (s *Store) Close() error {
	err := s.trim(0)
	if cerr := s.db.Close(); cerr != nil {
		err = errors.Join(err, fmt.Errorf("close state: %w", cerr))
	}
	return err
}

// load makes what a new file lacks and reads the mirror and the index. A rebuild that was cut
// short is wiped: the state then believes nothing, and the publisher, who
// compares it with the stream, rebuilds it again.
func (s *Store) load(app int) error {
	err := s.transact(func(tx *bbolt.Tx) error {
		if m := tx.Bucket(metaBucket); m != nil && m.Get(rebuildKey) != nil {
			s.log.Warn("rebuild was cut short", "fix", "none is needed: the state begins empty and is rebuilt from the stream")
		} else if m != nil {
			return createEnds(tx)
		}
		return create(tx, strconv.Itoa(app))
	})
	if err != nil {
		return err
	}
	m, err := s.readFile()
	if err == nil {
		err = s.db.View(s.index.load)
	}
	if err != nil {
		return err
	}
	s.indexed = true
	s.start(m)
	s.complete = fromNano(m.counters.Begin)
	s.sweep = m.counters.Sweep + 1
	return errors.Join(s.hidden.load(s), s.askMissing())
}

// buckets returns the names of all buckets.
func buckets() [][]byte {
	return [][]byte{metaBucket, roomsBucket, missingBucket, outboxBucket, endsBucket, endOrderBucket}
}

// create lays out an empty state with an epoch of its own, in the place of any other.
func create(tx *bbolt.Tx, app string) error {
	var old string
	var holder []byte // the lease is none of what is known of the rooms
	if m := tx.Bucket(metaBucket); m != nil {
		old, holder = string(m.Get(epochKey)), bytes.Clone(m.Get(holderKey))
	}
	for _, name := range buckets() {
		if tx.Bucket(name) != nil {
			if err := tx.DeleteBucket(name); err != nil {
				return err
			}
		}
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	meta := tx.Bucket(metaBucket)
	for _, kv := range []struct {
		key   []byte
		value string
	}{{formatKey, format}, {appKey, app}, {epochKey, newEpoch(old)}} {
		if err := meta.Put(kv.key, []byte(kv.value)); err != nil {
			return err
		}
	}
	if holder != nil {
		if err := meta.Put(holderKey, holder); err != nil {
			return err
		}
	}
	return putCounters(tx, counters{})
}

// newEpoch names an epoch, other than those of old.
func newEpoch(old ...string) string {
	for {
		// Not ulid.Make: within a millisecond it only counts on, in characters
		// that are cut off here.
		if e := ulid.MustNew(ulid.Now(), rand.Reader).String()[:epochSize]; !slices.Contains(old, e) {
			return e
		}
	}
}

// counters returns the mirror of the counters.
func (s *Store) counters() counters {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// size returns the size of the file in bytes; 0 if it was taken away from under
// the process: the next commit will say so.
func (s *Store) size() int64 { return fileSize(s.path) }
