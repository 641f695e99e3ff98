package trail

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
)

// A Key is a public key that signatures are checked with.
type Key struct {
	Public ed25519.PublicKey
	// First is the number of the first file that it signs. 0: that of the first file
	// with its signature.
	First int
}

// A Cover says which signature proves that files are as they were written. The
// chain leads from a signed line back to the first line of the trail, so a
// signature covers all files before it, too.
type Cover struct {
	From int    `json:"from"`          // the first file
	To   int    `json:"to"`            // the last one
	By   int    `json:"by,omitzero"`   // the file whose signature covers them; 0: each has its own
	Key  string `json:"key,omitempty"` // which key signed: see [KeyID]; empty: no signature covers them
}

func (c Cover) String() string {
	files := fmt.Sprintf("files %d to %d: ", c.From, c.To)
	if c.From == c.To {
		files = fmt.Sprintf("file %d: ", c.From)
	}
	switch {
	case c.Key == "":
		return files + "no signature covers it"
	case c.By == 0:
		return files + "signed with key " + c.Key
	}
	return files + fmt.Sprintf("covered by the signature of file %d, key %s", c.By, c.Key)
}

// A signatures is what a run of [Verify] knows of them. A key signs from its first
// file on until the next key does: a signature of an older key proves nothing
// then, for a key is replaced because somebody else may have it.
type signatures struct {
	keys    []Key
	current int      // the key that signs; -1: none yet
	used    []bool   // of each key: a signature of it was seen
	others  []string // keys that files name and that were not given
	by      string   // the key of the file that is being read; empty: no signature that counts
	from    int      // the first file of which it is not known yet what covers it
	sealed  int      // the newest sealed file
	covered []Cover
}

func newSignatures(c Check) *signatures {
	return &signatures{keys: c.Keys, current: -1, used: make([]bool, len(c.Keys)), from: max(1, c.First)}
}

// signature checks T3.
func (v *verifier) signature(f File, text []byte, l Line) error {
	s := v.signatures
	if len(l.Signature) == 0 {
		return nil
	}
	v.Signed++
	for i, k := range s.keys {
		if k.First > 0 && k.First <= f.Number {
			s.current = max(s.current, i)
		}
	}
	for i, k := range s.keys {
		if l.Key != KeyID(k.Public) {
			continue
		}
		if !signed(text, l, k.Public) {
			return v.fault("its signature is not of key %s, which it names", l.Key)
		}
		if k.First > f.Number {
			return v.fault("it is signed with key %s, which signs from file %d on", l.Key, k.First)
		}
		if s.used[i] = true; i >= s.current {
			s.current, s.by = i, l.Key
		}
		return nil
	}
	if !slices.Contains(s.others, l.Key) {
		s.others = append(s.others, l.Key)
	}
	return nil
}

// file notes what covers a file that was read. One with a fault is not what was signed.
func (s *signatures) file(number int, sealed, sound bool) {
	by := s.by
	s.by = ""
	if len(s.keys) == 0 {
		return
	}
	if sealed {
		s.sealed = number
	}
	switch {
	case !sound:
		s.cover(Cover{From: s.from, To: number})
	case by != "":
		s.cover(Cover{From: s.from, To: number - 1, By: number, Key: by})
		s.cover(Cover{From: number, To: number, Key: by})
	}
}

func (s *signatures) cover(c Cover) {
	if c.From > c.To {
		return
	}
	s.from = c.To + 1
	if n := len(s.covered); n > 0 && s.covered[n-1].By == 0 && c.By == 0 && s.covered[n-1].Key == c.Key {
		s.covered[n-1].To = c.To
		return
	}
	s.covered = append(s.covered, c)
}

// covers reports, when all is read, whether a signature covers a file.
func (s *signatures) covers(file int) bool {
	return slices.ContainsFunc(s.covered, func(c Cover) bool { return c.Key != "" && c.From <= file && file <= c.To })
}

// unsigned tells, when all is read, which keys have signed nothing, and which
// sealed files behind the last signature have none: a forger who has no key
// leaves it away.
func (v *verifier) unsigned() error {
	s := v.signatures
	if len(s.keys) == 0 {
		return nil
	}
	open := v.next - 1
	last := Cover{From: s.from, To: s.sealed}
	s.cover(Cover{From: s.from, To: open})
	v.Covered = s.covered
	for i, k := range s.keys {
		if s.used[i] || s.sealed < max(1, k.First) {
			continue
		}
		named := ""
		if len(s.others) > 0 {
			named = "; files name key " + strings.Join(s.others, ", ")
		}
		if err := v.fault("no file is signed with key %s%s", KeyID(k.Public), named); err != nil {
			return err
		}
	}
	if last.From <= last.To && s.current >= 0 && s.used[s.current] {
		return v.fault("%s, and key %s signs before: who has no key may have written it anew", last, KeyID(s.keys[s.current].Public))
	}
	return nil
}
