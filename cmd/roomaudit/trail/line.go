package trail

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Kind says what a line records; the package comment explains each.
type Kind string

// The kinds of lines.
const (
	Begin  Kind = "begin"
	Stream Kind = "stream"
	Event  Kind = "event"
	Claim  Kind = "claim"
	Watch  Kind = "watch"
	Other  Kind = "other"
	Gap    Kind = "gap"
	End    Kind = "end"

	Removed Kind = "removed"
	Copied  Kind = "copied"
)

// A Position is a place in a stream.
type Position struct {
	Name    string    `json:"name"`
	Created time.Time `json:"created"` // tells streams of one name apart
	Last    uint64    `json:"last"`    // the last message on record; 0: none
}

// A Line is one line of a trail. Which fields it has depends on its kind.
type Line struct {
	Line uint64 `json:"line"`
	Kind Kind   `json:"kind"`

	Format int       `json:"format,omitzero"`
	Trail  string    `json:"trail,omitzero"`
	File   int       `json:"file,omitzero"`
	Stream *Position `json:"stream,omitzero"`

	Seq     uint64    `json:"seq,omitzero"`
	Stored  time.Time `json:"stored,omitzero"`
	Subject string    `json:"subject,omitzero"`
	Raw     []byte    `json:"raw,omitzero"`
	From    uint64    `json:"from,omitzero"`
	To      uint64    `json:"to,omitzero"`
	Last    string    `json:"last,omitzero"` // the hash of line To, in a removed and a copied line
	Reason  string    `json:"reason,omitzero"`

	Event     json.RawMessage `json:"event,omitzero"` // as the stream has it
	Previous  string          `json:"previous,omitzero"`
	Key       string          `json:"key,omitzero"` // which key signed: see [KeyID]
	Signature []byte          `json:"signature,omitzero"`
	Hash      string          `json:"hash,omitzero"`
}

const (
	format    = 1
	hashField = len(`,"hash":"`) + 2*sha256.Size + len(`"}`)
	signField = len(`,"signature":"`) + (ed25519.SignatureSize+2)/3*4 + len(`"`)
)

// noHash is what the first line has in the place of a hash before it.
var noHash = strings.Repeat("0", 2*sha256.Size) //nolint:gochecknoglobals // a constant that the language cannot say

// encode appends the line with its hash and a newline to b. With a key it is signed.
func (l *Line) encode(b []byte, key ed25519.PrivateKey) ([]byte, error) {
	start := len(b)
	head := *l
	head.Event, head.Previous, head.Key, head.Signature, head.Hash = nil, "", "", nil, ""
	text, err := json.Marshal(head)
	if err != nil {
		return nil, fmt.Errorf("encode line %d: %w", l.Line, err)
	}
	b = append(b, text[:len(text)-1]...)
	if l.Event != nil { // not through the encoder, which would write < as \u003c
		b = append(append(b, `,"event":`...), l.Event...)
	}
	b = fmt.Appendf(b, `,"previous":"%s"`, l.Previous)
	if key != nil {
		l.Key = KeyID(key.Public().(ed25519.PublicKey))
		b = fmt.Appendf(b, `,"key":"%s"`, l.Key)
		l.Signature = ed25519.Sign(key, b[start:])
		b = fmt.Appendf(b, `,"signature":"%s"`, base64.StdEncoding.EncodeToString(l.Signature))
	}
	l.Hash = hashOf(b[start:])
	return fmt.Appendf(b, `,"hash":"%s"}`+"\n", l.Hash), nil
}

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// errChanged means that the hash of a line is not that of its bytes.
var errChanged = errors.New("it was changed: its hash is not that of its text")

// Parse reads a line, without its newline, and checks its hash. A line whose
// hash is wrong is returned with the error if it can be read at all.
func Parse(text []byte) (Line, error) {
	var l Line
	if err := json.Unmarshal(text, &l); err != nil {
		return Line{}, fmt.Errorf("it is no line of a trail: %w", err)
	}
	if len(text) < hashField || !bytes.HasPrefix(text[len(text)-hashField:], []byte(`,"hash":"`)) ||
		hashOf(text[:len(text)-hashField]) != l.Hash {
		return l, errChanged
	}
	return l, nil
}

// signed reports whether the signature of a line is that of the key.
func signed(text []byte, l Line, key ed25519.PublicKey) bool {
	return len(l.Signature) == ed25519.SignatureSize && len(text) > hashField+signField &&
		ed25519.Verify(key, text[:len(text)-hashField-signField], l.Signature)
}

// KeyID names a public key in few characters: the first 16 digits of its SHA-256.
func KeyID(key ed25519.PublicKey) string { return hashOf(key)[:16] }

// day is the UTC day of a time, as files are named after it.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
