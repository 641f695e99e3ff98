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
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bits-and-blooms/bloom/v3"

	"roomwatch/publisher/events"
)

const (
	indexed     = ".idx"
	indexFormat = 1
	indexMax    = 64 << 20 // bytes of an index; one that is larger is no index
	falseHits   = 0.001    // share of the files that are read though they have no match
)

// A Hole is a place in the record where messages are missing, or where the stream
// became another one: between the messages before and behind it anything may have
// happened that is not on record.
type Hole struct {
	Line   uint64    `json:"line"`
	Text   string    `json:"text"`
	After  time.Time `json:"after,omitzero"`  // when the message before it was stored; zero: unknown
	Before time.Time `json:"before,omitzero"` // when the message behind it was stored; zero: unknown
}

// An index says what a sealed file may have, so that a search need not read it. It
// lies beside the file (audit-00000001-2026-11-23.idx): a line of JSON, and behind
// it a Bloom filter of the rooms and owners. It is made from the file, made anew
// when it is missing or does not fit, and no evidence.
type index struct {
	Format int           `json:"format"`
	Size   int64         `json:"size"`  // of the compressed file
	Tail   string        `json:"tail"`  // its last eight bytes in hex: the checksum and the length of its text
	First  time.Time     `json:"first"` // when the earliest event was stored; zero: there is none
	Last   time.Time     `json:"last"`  // and the latest
	Types  []events.Type `json:"types"`
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
	var x index
	var err error
	if x.Size, x.Tail, err = f.tail(); err != nil {
		return index{}, err
	}
	keys := map[string]struct{}{}
	var holes holes
	err = f.read(ctx, func(l Line, _ []byte) error {
		holes.see(l)
		if l.Kind != Event {
			return nil
		}
		var e events.Event
		if err := json.Unmarshal(l.Event, &e); err != nil {
			return fmt.Errorf("line %d: %w", l.Line, err)
		}
		if x.First.IsZero() || l.Stored.Before(x.First) {
			x.First = l.Stored
		}
		if l.Stored.After(x.Last) {
			x.Last = l.Stored
		}
		if !slices.Contains(x.Types, e.Type) {
			x.Types = append(x.Types, e.Type)
		}
		keys[roomKey(e.Data.Room.RoomID)] = struct{}{}
		keys[ownerKey(e.Data.Room.OwnerAccount)] = struct{}{}
		return nil
	})
	if err != nil {
		return index{}, err
	}
	x.Holes = holes.all
	words, hashes := bloom.EstimateParameters(uint(max(1, len(keys))), falseHits)
	x.rooms = bloom.From(make([]uint64, words/64+1), hashes)
	for k := range keys {
		x.rooms.AddString(k)
	}
	return x, nil
}

// hides reports whether a search that wants a line would not read its file.
func (x index) hides(text []byte) bool {
	l, err := Parse(text)
	var e events.Event
	if err != nil || l.Kind != Event || json.Unmarshal(l.Event, &e) != nil {
		return false // which is for others to tell
	}
	room := e.Data.Room
	return !Search{From: l.Stored, To: l.Stored.Add(1), Types: []events.Type{e.Type}, Room: room.RoomID, Owner: room.OwnerAccount}.mayHave(x)
}

// writeIndex puts an index beside its file. After a power cut it may be spoiled, and
// is made anew.
func (f File) writeIndex(x index) error {
	b, err := x.encode()
	if err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(f.Path), filepath.Base(f.indexPath())+".*"+unsafe)
	if err != nil {
		return err
	}
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), f.indexPath())
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
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
	there, err := filepath.Glob(filepath.Join(dir, "audit-*"+indexed))
	errs = append(errs, err)
	for _, path := range there {
		if !known[path] {
			errs = append(errs, os.Remove(path))
		}
	}
	return errors.Join(errs...)
}

// A holes collects the holes of a file from its lines.
type holes struct {
	all  []Hole
	last time.Time // when the message before was stored
	open int       // so many at the end have no message behind them yet
}

func (h *holes) see(l Line) {
	text := ""
	switch {
	case l.Kind == Gap:
		text = fmt.Sprintf("messages %d to %d of the stream are not on record: %s", l.From, l.To, l.Reason)
	case l.Stream != nil && l.Reason != "":
		text = l.Reason
	case l.Seq > 0:
		for i := range h.open {
			h.all[len(h.all)-1-i].Before = l.Stored
		}
		h.open, h.last = 0, l.Stored
		if l.Kind == Other {
			h.unwatched(l)
		}
	}
	if text != "" {
		h.all = append(h.all, Hole{Line: l.Line, Text: text, After: h.last})
		h.open++
	}
}

// unwatched notes a time in which roomwatch itself did not watch, as it tells of it.
func (h *holes) unwatched(l Line) {
	var e struct {
		Type string `json:"type"`
		Data struct {
			From time.Time `json:"from"`
			To   time.Time `json:"to"`
			Why  string    `json:"why"`
		} `json:"data"`
	}
	if json.Unmarshal(l.Raw, &e) != nil || e.Type != "watch.resumed" || e.Data.From.IsZero() || e.Data.To.IsZero() {
		return
	}
	h.all = append(h.all, Hole{Line: l.Line, Text: "nobody watched the rooms: " + e.Data.Why, After: e.Data.From, Before: e.Data.To})
}
