package poller

import (
	"encoding/json"
	"os"
	"testing"
	"time"
)

// The end of a UserSig that was made elsewhere is in it; the examples were made
// by the vendor's own signer.
func TestExpiryOfAReadyUserSig(t *testing.T) {
	b, err := os.ReadFile("testdata/usersig_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		UserSig      string
		Time, Expire int64
	}
	if err := json.Unmarshal(b, &vectors); err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors {
		s, err := ReadySigner(1, "admin", v.UserSig)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.expiry().Unix(); got != v.Time+v.Expire || s.origin() != "elsewhere" {
			t.Errorf("expiry of a UserSig made %s = %d, want %d", s.origin(), got, v.Time+v.Expire)
		}
		s.sig = s.sig[:len(s.sig)/2]
		if got := s.expiry(); !got.IsZero() {
			t.Errorf("expiry of half a UserSig = %s", got)
		}
	}
	for _, sig := range []string{"", "ready", "eJyrrgUAAXUA-Q__", "!"} {
		if got := expiryOf(sig); !got.IsZero() {
			t.Errorf("expiryOf(%q) = %s", sig, got)
		}
	}
}

func TestExpiryOfAnOwnUserSig(t *testing.T) {
	s := newTestSigner(t)
	if got := s.expiry(); !got.IsZero() || s.origin() != "here" {
		t.Errorf("expiry before the first signature, made %s: %s", s.origin(), got)
	}
	before := time.Now()
	if _, _, err := s.current(); err != nil {
		t.Fatal(err)
	}
	if left := s.expiry().Sub(before); left < 24*time.Hour || left > 24*time.Hour+time.Minute {
		t.Errorf("a new signature lives for %s", left)
	}
}
