package poller

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"time"
)

// mostSig bounds what a UserSig may unfold to: it was written by who set the
// variable, and is read in every scrape.
const mostSig = 64 << 10

// expiry returns when the signature in use ends. It is zero if there is none
// yet, or if one that was given ready does not tell.
func (s *Signer) expiry() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.key == "":
		return expiryOf(s.sig)
	case s.sig == "":
		return time.Time{}
	}
	return s.made.Add(s.ttl)
}

// origin tells where the signatures come from.
func (s *Signer) origin() string {
	if s.secretKey() == "" {
		return "elsewhere"
	}
	return "here"
}

// expiryOf reads a UserSig: JSON, compressed, in the vendor's own alphabet of base64.
func expiryOf(sig string) time.Time {
	packed, err := base64.StdEncoding.DecodeString(strings.NewReplacer("*", "+", "-", "/", "_", "=").Replace(sig))
	if err != nil {
		return time.Time{}
	}
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return time.Time{}
	}
	var doc struct {
		Made int64 `json:"TLS.time"`
		Life int64 `json:"TLS.expire"`
	}
	if err := json.NewDecoder(io.LimitReader(z, mostSig)).Decode(&doc); err != nil || doc.Made <= 0 {
		return time.Time{}
	}
	return time.Unix(doc.Made+doc.Life, 0)
}
