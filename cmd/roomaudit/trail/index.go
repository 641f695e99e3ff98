package trail

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/bits-and-blooms/bloom/v3"
	"github.com/oklog/ulid/v2"

	"roomwatch/publisher/events"
)

const (
	indexed     = ".idx"
	indexFormat = 3
	indexMax    = 64 << 20 // bytes of an index; one that is larger is no index
	falseHits   = 0.001    // share of the files that are read though they have no match
)

// An index says what a sealed file may have, so that a search need not read it. It
// lies beside the file (audit-00000001-2026-11-23.idx): a line of JSON, and behind
// it a Bloom filter of the rooms and owners. It is made from the file, recreated
// when it is missing or does not fit, and no evidence: [Verify] compares it with
// the file, and [Search.Scan] does without.
type index struct {
	Format int           `json:"format"`
	Size   int64         `json:"size"`  // of the compressed file
	Tail   string        `json:"tail"`  // its last eight bytes in hex: the checksum and the length of its text
	Seal   string        `json:"seal"`  // the hash of its last line
	First  time.Time     `json:"first"` // when the earliest event was stored; zero: there is none
	Last   time.Time     `json:"last"`  // and the latest
	Begin  time.Time     `json:"begin"` // when the first message was stored; zero: there is none
	End    time.Time     `json:"end"`   // and the last one
	Types  []events.Type `json:"types"`
	Apps   map[int]Span  `json:"apps"` // of the messages of each application
	Holes  []Hole        `json:"holes,omitempty"`
	Hashes uint          `json:"hashes"` // of the filter
	Check  uint32        `json:"check"`  // CRC-32 of the filter

	rooms *bloom.BloomFilter
}

func roomKey(id string) string    { return "r" + id }
func ownerKey(name string) string { return "o" + name }

func (f File) indexPath() string {
	return strings.TrimSuffix(strings.TrimSuffix(f.Path, packed), plain) + indexed
}

// tail returns the size and the last bytes of a compressed file.
func (f File) tail() (int64, string, error) {
	file, err := os.Open(f.Path)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = file.Close() }() // it was only read
	end := make([]byte, 8)
	size, err := file.Seek(-int64(len(end)), io.SeekEnd)
	if err == nil {
		_, err = io.ReadFull(file, end)
	}
	return size + int64(len(end)), hex.EncodeToString(end), err
}

// index reads the index of a file. It returns false if there is none that fits.
func (f File) index() (index, bool) {
	if !f.Compressed {
		return index{}, false
	}
	size, tail, err := f.tail()
	if err != nil {
		return index{}, false
	}
	if i, err := os.Stat(f.indexPath()); err != nil || i.Size() > indexMax {
		return index{}, false
	}
	b, err := os.ReadFile(f.indexPath())
	if err != nil {
		return index{}, false
	}
	x, ok := decodeIndex(b)
	return x, ok && x.Size == size && x.Tail == tail
}

func decodeIndex(b []byte) (index, bool) {
	head, filter, found := bytes.Cut(b, []byte("\n"))
	var x index
	if !found || json.Unmarshal(head, &x) != nil || x.Format != indexFormat || crc32.ChecksumIEEE(filter) != x.Check ||
		len(filter) == 0 || len(filter)%8 != 0 || x.Hashes == 0 || x.Hashes > 64 {
		return index{}, false
	}
	words := make([]uint64, len(filter)/8)
	for i := range words {
		for j := range 8 {
			words[i] |= uint64(filter[8*i+j]) << (8 * j)
		}
	}
	x.rooms = bloom.From(words, x.Hashes)
	return x, true
}

func (x index) encode() ([]byte, error) {
	var filter []byte
	for _, w := range x.rooms.BitSet().Words() {
		for j := range 8 {
			filter = append(filter, byte(w>>(8*j)))
		}
	}
	x.Format, x.Hashes, x.Check = indexFormat, x.rooms.K(), crc32.ChecksumIEEE(filter)
	head, err := json.Marshal(x)
	return append(append(head, '\n'), filter...), err
}

// makeIndex reads a sealed file and returns its index.
func (f File) makeIndex(ctx context.Context) (index, error) {
	c := newCollector()
	size, tail, err := f.tail()
	if err == nil {
		err = f.read(ctx, func(l Line, _ []byte) error { return c.see(l) })
	}
	if err != nil {
		return index{}, err
	}
	return c.index(size, tail), nil
}

// A collector makes the index of a file from its lines.
type collector struct {
	x     index
	keys  map[string]struct{}
	holes holes
}

func newCollector() *collector {
	return &collector{x: index{Apps: map[int]Span{}}, keys: map[string]struct{}{}}
}

func (c *collector) see(l Line) error {
	c.holes.see(l)
	c.x.Seal = l.Hash
	if l.Stream == nil && l.Seq > 0 {
		app := appOf(l)
		c.x.Apps[app] = c.x.Apps[app].with(l.Stored)
	}
	if l.Kind != Event {
		return nil
	}
	var e events.Event
	if err := json.Unmarshal(l.Event, &e); err != nil {
		return fmt.Errorf("line %d: %w", l.Line, err)
	}
	span := Span{c.x.First, c.x.Last}.with(l.Stored)
	c.x.First, c.x.Last = span.First, span.Last
	if !slices.Contains(c.x.Types, e.Type) {
		c.x.Types = append(c.x.Types, e.Type)
	}
	c.keys[roomKey(e.Data.Room.RoomID)] = struct{}{}
	c.keys[ownerKey(e.Data.Room.OwnerAccount)] = struct{}{}
	return nil
}

// index returns the index for a file of this size and tail.
func (c *collector) index(size int64, tail string) index {
	x := c.x
	x.Format, x.Size, x.Tail = indexFormat, size, tail
	x.Begin, x.End, x.Holes = c.holes.first, c.holes.last, c.holes.all
	words, hashes := bloom.EstimateParameters(uint(max(1, len(c.keys))), falseHits)
	x.rooms = bloom.From(make([]uint64, words/64+1), hashes)
	for k := range c.keys {
		x.rooms.AddString(k)
	}
	return x
}

// same reports whether two indexes say the same.
func (x index) same(y index) bool {
	a, errA := x.encode()
	b, errB := y.encode()
	return errA == nil && errB == nil && bytes.Equal(a, b)
}

// writeIndex puts an index beside its file. After a power cut it may be spoiled, and
// is recreated.
func (f File) writeIndex(x index) error {
	b, err := x.encode()
	if err != nil {
		return err
	}
	tmp := f.indexPath() + "." + ulid.Make().String() + unsafe // several may make it at once
	file, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, fileMode)
	if err != nil {
		return err
	}
	_, err = file.Write(b)
	if err = errors.Join(err, file.Close()); err == nil {
		err = os.Rename(tmp, f.indexPath())
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}

// Index makes the indexes that are missing, and removes those of files that are gone.
func Index(ctx context.Context, dir string) error {
	files, err := Files(dir)
	if err != nil {
		return fmt.Errorf("index audit trail: %w", err)
	}
	known := map[string]bool{}
	var errs []error
	for _, f := range files {
		known[f.indexPath()] = true
		if _, ok := f.index(); ok || !f.Compressed {
			continue
		}
		x, err := f.makeIndex(ctx)
		if err == nil {
			err = f.writeIndex(x)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("index %s: %w", f.Path, err))
		}
	}
	there, err := named(dir, indexed)
	errs = append(errs, err)
	for _, path := range there {
		if !known[path] {
			errs = append(errs, os.Remove(path))
		}
	}
	return errors.Join(errs...)
}
