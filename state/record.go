package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"

	"roomwatch/diff"
)

// The records of the file. A field's number is its name on disk: it is never
// given to another field, and a new field gets a new one. A reader skips the
// numbers that it does not know.
type (
	// attributesRecord is what is shown of a room, but for its identity.
	attributesRecord struct {
		Name     string  `cbor:"1,keyasint,omitempty"`
		Owner    string  `cbor:"2,keyasint,omitempty"`
		Cover    string  `cbor:"3,keyasint,omitempty"`
		Category []int64 `cbor:"4,keyasint,omitempty"`
		Status   int64   `cbor:"5,keyasint,omitempty"`
		Views    int64   `cbor:"6,keyasint,omitempty"`
		Hidden   bool    `cbor:"7,keyasint,omitempty"`
	}

	// knownRecord is the rest of what is known of it.
	knownRecord struct {
		Version   uint64 `cbor:"1,keyasint,omitempty"`
		Published int64  `cbor:"2,keyasint,omitempty"`
		CountedAt int64  `cbor:"3,keyasint,omitempty"` // times are Unix nanoseconds, 0 for none
		SeenAt    int64  `cbor:"4,keyasint,omitempty"`
		EqualAt   int64  `cbor:"5,keyasint,omitempty"`
		FirstSeen int64  `cbor:"6,keyasint,omitempty"`
		Unlisted  bool   `cbor:"7,keyasint,omitempty"`
	}

	markRecord struct {
		First    uint64 `cbor:"1,keyasint"`
		LastSeen int64  `cbor:"2,keyasint,omitempty"`
		Watched  int64  `cbor:"3,keyasint,omitempty"` // nanoseconds
	}

	eventRecord struct {
		Type     string           `cbor:"1,keyasint"`
		RoomID   string           `cbor:"2,keyasint"`
		Created  int64            `cbor:"3,keyasint"`
		Room     attributesRecord `cbor:"4,keyasint"`
		Since    int64            `cbor:"5,keyasint,omitempty"`
		Time     int64            `cbor:"6,keyasint"`
		Previous previousRecord   `cbor:"7,keyasint"`
		Version  uint64           `cbor:"8,keyasint"`
		Baseline bool             `cbor:"9,keyasint,omitempty"`
		Sweep    uint64           `cbor:"10,keyasint"`
		Trace    string           `cbor:"11,keyasint,omitempty"`
		Evidence *evidenceRecord  `cbor:"12,keyasint,omitempty"` // nil in rows of builds that told none
		Gap      bool             `cbor:"13,keyasint,omitempty"`
	}

	evidenceRecord struct {
		By       string   `cbor:"1,keyasint"`
		Requests []string `cbor:"2,keyasint,omitempty"`
		Missed   uint64   `cbor:"3,keyasint,omitempty"`
	}

	previousRecord struct {
		Name     *string  `cbor:"1,keyasint,omitempty"`
		Owner    *string  `cbor:"2,keyasint,omitempty"`
		Cover    *string  `cbor:"3,keyasint,omitempty"`
		Category *[]int64 `cbor:"4,keyasint,omitempty"`
		Status   *int64   `cbor:"5,keyasint,omitempty"`
		Views    *int64   `cbor:"6,keyasint,omitempty"`
	}

	// counters is everything in the file that is one number.
	counters struct {
		Seq          uint64  `cbor:"1,keyasint"` // the last one given
		Rooms        uint64  `cbor:"2,keyasint"`
		Missing      uint64  `cbor:"3,keyasint"`
		Sweep        uint64  `cbor:"4,keyasint"` // the newest sweep that wrote anything
		Time         int64   `cbor:"5,keyasint"` // the clock of the epoch: nothing was seen later
		BaselineDone bool    `cbor:"6,keyasint"`
		Complete     uint64  `cbor:"7,keyasint"` // from here on diff.History
		Begin        int64   `cbor:"8,keyasint"`
		End          int64   `cbor:"9,keyasint"`
		Doubted      int     `cbor:"10,keyasint"`
		Misses       float64 `cbor:"11,keyasint"`
		Looks        float64 `cbor:"12,keyasint"`
		Pages        int     `cbor:"13,keyasint,omitempty"`
		Watched      int64   `cbor:"14,keyasint,omitempty"` // nanoseconds
		DoubtedSince int64   `cbor:"15,keyasint,omitempty"`

		Hidden       uint64 `cbor:"16,keyasint,omitempty"` // rooms that the list does not show
		WatchedSince int64  `cbor:"20,keyasint,omitempty"` // see [Store.WatchedSince]; 0: not known

		Until int64  `cbor:"24,keyasint,omitempty"` // see [Store.Watched]
		GapTo int64  `cbor:"25,keyasint,omitempty"` // the end of the newest gap that has ended
		Ended uint64 `cbor:"26,keyasint,omitempty"` // the number of the newest complete sweep …
		Shown uint64 `cbor:"27,keyasint,omitempty"` // … and how many rooms it showed; 0 where an older build made it

		StreamAt   uint64 `cbor:"30,keyasint,omitempty"` // see [Store.Followed]
		StreamMade int64  `cbor:"31,keyasint,omitempty"`
	}
)

// decode takes strings as they are, valid UTF-8 or not: a record that can be
// written can be read.
var decode, _ = cbor.DecOptions{UTF8: cbor.UTF8DecodeInvalid}.DecMode() // no error: the options are valid

func (c *counters) history() diff.History {
	return diff.History{
		Complete: c.Complete, Begin: fromNano(c.Begin), End: fromNano(c.End), Pages: c.Pages,
		Watched: time.Duration(c.Watched), Doubted: c.Doubted, DoubtedSince: time.Duration(c.DoubtedSince),
		Misses: c.Misses, Looks: c.Looks,
	}
}

// setHistory takes h over. Its begin is compared with the times of events, so it
// is held to the clock of the epoch: the wall clock can be set back in a sweep.
func (c *counters) setHistory(h diff.History) {
	c.Complete, c.Begin, c.End = h.Complete, min(nano(h.Begin), c.Time), nano(h.End)
	c.Pages, c.Misses, c.Looks = h.Pages, h.Misses, h.Looks
	c.Watched, c.Doubted, c.DoubtedSince = int64(h.Watched), h.Doubted, int64(h.DoubtedSince)
}

func attributes(r diff.Room) attributesRecord {
	return attributesRecord{
		Name: r.RoomName, Owner: r.OwnerAccount, Cover: r.CoverURL,
		Category: r.Category, Status: r.ActivityStatus, Views: r.ViewCount, Hidden: r.Hidden,
	}
}

func (r attributesRecord) room(id string, created int64) diff.Room {
	return diff.Room{
		RoomID: id, CreateTime: created, RoomName: r.Name, OwnerAccount: r.Owner, CoverURL: r.Cover,
		Category: r.Category, ActivityStatus: r.Status, ViewCount: r.Views, Hidden: r.Hidden,
	}
}

// A room's value begins with what is read without decoding: its CreateTime, so
// that the end of a sweep can tell one life from another. Whether its view count
// is published follows, and must agree with the rest.
const (
	createdSize = 8
	headSize    = createdSize + 1

	held      = 0 // a change of the view count is held back
	published = 1
)

// room returns the value of a room. It is the caller's.
func (e *encoder) room(k diff.Known) ([]byte, error) {
	e.buf.Reset()
	e.buf.Write(binary.BigEndian.AppendUint64(e.buf.AvailableBuffer(), uint64(k.Room.CreateTime)))
	if k.Published == k.Room.ViewCount {
		e.buf.WriteByte(published)
	} else {
		e.buf.WriteByte(held)
	}
	e.attributes = attributes(k.Room)
	e.known = knownRecord{
		Version: k.Version, Published: k.Published,
		CountedAt: nano(k.CountedAt), SeenAt: nano(k.SeenAt), EqualAt: nano(k.EqualAt), FirstSeen: nano(k.FirstSeen), Unlisted: k.Unlisted,
	}
	err := e.mode.MarshalToBuffer(&e.attributes, &e.buf)
	if err == nil {
		err = e.mode.MarshalToBuffer(&e.known, &e.buf)
	}
	if err != nil {
		return nil, fmt.Errorf("encode room %q: %w", k.Room.RoomID, err)
	}
	return bytes.Clone(e.buf.Bytes()), nil
}

// An encoder makes records in a buffer that it uses again. It is not safe for
// concurrent use.
type encoder struct {
	mode cbor.UserBufferEncMode
	buf  bytes.Buffer

	attributes attributesRecord
	known      knownRecord
	event      eventRecord
}

func newEncoder() (*encoder, error) {
	// An empty list is a list, not null: a Previous that points to it says that
	// there was no category.
	mode, err := cbor.EncOptions{NilContainers: cbor.NilContainerAsEmpty}.UserBufferEncMode()
	if err != nil {
		return nil, fmt.Errorf("make encoder: %w", err) // unreachable: the options are valid
	}
	return &encoder{mode: mode}, nil
}

// created returns the CreateTime of a room's value.
func created(v []byte) (int64, error) {
	if len(v) < headSize {
		return 0, errors.New("room record is cut")
	}
	return int64(binary.BigEndian.Uint64(v)), nil
}

func decodeRoom(id string, v []byte) (diff.Known, error) {
	at, err := created(v)
	if err != nil {
		return diff.Known{}, fmt.Errorf("decode room %q: %w", id, err)
	}
	var a attributesRecord
	var k knownRecord
	rest, err := decode.UnmarshalFirst(v[headSize:], &a)
	if err == nil {
		err = decode.Unmarshal(rest, &k)
	}
	if err == nil && (v[createdSize] == published) != (k.Published == a.Views) {
		err = errors.New("record contradicts itself")
	}
	if err != nil {
		return diff.Known{}, fmt.Errorf("decode room %q: %w", id, err)
	}
	return diff.Known{
		Room: a.room(id, at), Version: k.Version, Published: k.Published,
		CountedAt: fromNano(k.CountedAt), SeenAt: fromNano(k.SeenAt), EqualAt: fromNano(k.EqualAt), FirstSeen: fromNano(k.FirstSeen), Unlisted: k.Unlisted,
	}, nil
}

func encodeMark(m diff.Missing) ([]byte, error) {
	return cbor.Marshal(markRecord{First: m.First, LastSeen: nano(m.LastSeen), Watched: int64(m.Watched)})
}

func decodeMark(id string, v []byte) (diff.Missing, error) {
	var m markRecord
	if err := decode.Unmarshal(v, &m); err != nil {
		return diff.Missing{}, fmt.Errorf("decode mark of room %q: %w", id, err)
	}
	return diff.Missing{First: m.First, LastSeen: fromNano(m.LastSeen), Watched: time.Duration(m.Watched)}, nil
}

// encodeEvent returns the record of an event. It is the caller's.
func (e *encoder) encodeEvent(v diff.Event) ([]byte, error) {
	p := v.Previous
	e.event = eventRecord{
		Type: string(v.Type), RoomID: v.Room.RoomID, Created: v.Room.CreateTime, Room: attributes(v.Room),
		Since: nano(v.Since), Time: nano(v.Time), Version: v.Version, Baseline: v.Baseline, Sweep: v.Sweep, Trace: v.Trace, Gap: v.Gap,
		Previous: previousRecord{p.RoomName, p.OwnerAccount, p.CoverURL, p.Category, p.ActivityStatus, p.ViewCount},
	}
	if by := v.Evidence.By; by != "" {
		e.event.Evidence = &evidenceRecord{string(by), v.Evidence.Requests, v.Evidence.Missed}
	}
	e.buf.Reset()
	if err := e.mode.MarshalToBuffer(&e.event, &e.buf); err != nil {
		return nil, err
	}
	return bytes.Clone(e.buf.Bytes()), nil
}

func decodeEvent(epoch string, seq uint64, v []byte) (diff.Event, error) {
	var r eventRecord
	if err := decode.Unmarshal(v, &r); err != nil {
		return diff.Event{}, fmt.Errorf("decode event %d: %w", seq, err)
	}
	p := r.Previous
	var evidence diff.Evidence
	if r.Evidence != nil {
		evidence = diff.Evidence{By: diff.By(r.Evidence.By), Requests: r.Evidence.Requests, Missed: r.Evidence.Missed}
	}
	return diff.Event{
		ID: eventID(epoch, seq), Seq: seq, Type: diff.Type(r.Type), Room: r.Room.room(r.RoomID, r.Created),
		Since: fromNano(r.Since), Time: fromNano(r.Time), Version: r.Version, Baseline: r.Baseline, Sweep: r.Sweep, Trace: r.Trace, Evidence: evidence, Gap: r.Gap,
		Previous: diff.Previous{
			RoomName: p.Name, OwnerAccount: p.Owner, CoverURL: p.Cover,
			Category: p.Category, ActivityStatus: p.Status, ViewCount: p.Views,
		},
	}, nil
}

// eventID is the ID of the event with this sequence number.
func eventID(epoch string, seq uint64) string { return epoch + "-" + diff.FormatSeq(seq) }

func nano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func fromNano(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

func seqKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }
