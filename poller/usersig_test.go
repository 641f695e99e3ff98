package poller

import (
	"compress/zlib"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tencentyun/tls-sig-api-v2-golang/tencentyun"
)

// A vector is a signature made by another implementation of the vendor.
type vector struct {
	Identifier string
	SDKAppID   int64
	Key        string
	Time       int64
	Expire     int64
	UserBuf    string
	UserSig    string
	JSON       string
}

type sigFields struct {
	Version    string `json:"TLS.ver"`
	Identifier string `json:"TLS.identifier"`
	SDKAppID   int64  `json:"TLS.sdkappid"`
	Time       int64  `json:"TLS.time"`
	Expire     int64  `json:"TLS.expire"`
	UserBuf    string `json:"TLS.userbuf"`
	Sig        string `json:"TLS.sig"`
}

// decodeSig takes a UserSig apart by the vendor's description, with none of its code.
func decodeSig(t *testing.T, sig string) sigFields {
	t.Helper()
	z, err := base64.StdEncoding.DecodeString(strings.NewReplacer("*", "+", "-", "/", "_", "=").Replace(sig))
	if err != nil {
		t.Fatalf("decode %q: %v", sig, err)
	}
	r, err := zlib.NewReader(strings.NewReader(string(z)))
	if err != nil {
		t.Fatalf("decode %q: %v", sig, err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatalf("decode %q: %v", sig, err)
	}
	var f sigFields
	if err := json.Unmarshal(b, &f); err != nil {
		t.Fatalf("decode %q: %v", sig, err)
	}
	return f
}

func sign(f sigFields, key string) string {
	m := hmac.New(sha256.New, []byte(key))
	_, _ = fmt.Fprintf(m, "TLS.identifier:%s\nTLS.sdkappid:%d\nTLS.time:%d\nTLS.expire:%d\n", f.Identifier, f.SDKAppID, f.Time, f.Expire)
	if f.UserBuf != "" {
		_, _ = fmt.Fprintf(m, "TLS.userbuf:%s\n", f.UserBuf)
	}
	return base64.StdEncoding.EncodeToString(m.Sum(nil))
}

func vectors(t *testing.T) []vector {
	t.Helper()
	b, err := os.ReadFile("testdata/usersig_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var v []vector
	if err := json.Unmarshal(b, &v); err != nil || len(v) == 0 {
		t.Fatalf("%d vectors, %v", len(v), err)
	}
	return v
}

// The vectors show that the functions with which this file checks the Signer
// read and sign as the vendor does.
func TestVectors(t *testing.T) {
	for _, v := range vectors(t) {
		var want sigFields
		if err := json.Unmarshal([]byte(v.JSON), &want); err != nil {
			t.Fatal(err)
		}
		got := decodeSig(t, v.UserSig)
		if got != want || got.Identifier != v.Identifier || got.SDKAppID != v.SDKAppID || got.Time != v.Time || got.Expire != v.Expire {
			t.Errorf("decoded %+v, want %+v", got, want)
		}
		if s := sign(got, v.Key); s != got.Sig {
			t.Errorf("%s: HMAC %s, vector has %s", v.Identifier, s, got.Sig)
		}
	}
}

// The Signer must make, at the moment of a vector, the very TLS.sig of the
// vector. Bubbles begin in 2000 and their clock costs nothing to turn.
func TestSignerMakesVectors(t *testing.T) {
	for _, v := range vectors(t) {
		ttl := time.Duration(v.Expire) * time.Second
		if v.UserBuf != "" || ttl < time.Minute {
			continue // nothing that this program asks for
		}
		synctest.Test(t, func(t *testing.T) {
			s, err := NewSigner(v.SDKAppID, v.Identifier, v.Key, ttl)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Until(time.Unix(v.Time, 0)))
			sig, _, err := s.current()
			if err != nil {
				t.Fatal(err)
			}
			if got, want := decodeSig(t, sig), decodeSig(t, v.UserSig); got != want {
				t.Errorf("made %+v, vector has %+v", got, want)
			}
			if err := tencentyun.VerifyUserSig(uint64(v.SDKAppID), v.Key, v.Identifier, sig, time.Now()); err != nil {
				t.Errorf("the vendor's verifier says %v", err)
			}
		})
	}
}

func TestSignerRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := NewSigner(88888888, "admin", "secret", time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		sig := func() string {
			t.Helper()
			sig, _, err := s.current()
			if err != nil {
				t.Fatal(err)
			}
			f := decodeSig(t, sig)
			if f.Sig != sign(f, "secret") || f.Expire != 3600 {
				t.Errorf("signature %+v is not signed as documented", f)
			}
			return sig
		}
		first := sig()
		time.Sleep(30*time.Minute - 1)
		if sig() != first {
			t.Error("renewed before half of its life was over")
		}
		time.Sleep(time.Nanosecond)
		second := sig()
		if second == first {
			t.Error("not renewed when half of its life was over")
		}
		time.Sleep(time.Second)
		_, gen, _ := s.current()
		if !s.renew(gen) || sig() == second {
			t.Error("not renewed when it was refused")
		}
		third := sig()
		time.Sleep(time.Second)
		if !s.renew(gen) || sig() != third {
			t.Error("a refusal of an older signature made a new one")
		}
		s.made = s.made.Add(24 * time.Hour) // the clock was set back by a day
		if sig() == third {
			t.Error("a signature of the future was used")
		}
	})
}

// An exchanged key signs the next request; what can be no key changes nothing.
func TestSignerFollowsItsKey(t *testing.T) {
	s, err := NewSigner(88888888, "admin", "first", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	now := "first"
	s.Follow(func() string { return now })
	for _, step := range []struct{ given, signs string }{{"first", "first"}, {"second", "second"}, {"", "second"}, {"no key", "second"}, {"third", "third"}} {
		now = step.given
		sig, _, err := s.current()
		if err != nil {
			t.Fatal(err)
		}
		if f := decodeSig(t, sig); f.Sig != sign(f, step.signs) {
			t.Errorf("after %q the signature is not of %q", step.given, step.signs)
		}
		if s.secretKey() != step.signs {
			t.Errorf("after %q the key to hide is not %q", step.given, step.signs)
		}
	}
}

func TestReadySigner(t *testing.T) {
	s, err := ReadySigner(88888888, "admin", "ready")
	if err != nil {
		t.Fatal(err)
	}
	sig, gen, err := s.current()
	if sig != "ready" || err != nil || s.renew(gen) {
		t.Errorf("current = %q, %v; want the given signature, which cannot be renewed", sig, err)
	}
}

// A ready UserSig that was exchanged counts at once, and is all that can renew one
// that was refused. What can be none changes nothing.
func TestReadySignerFollows(t *testing.T) {
	s, err := ReadySigner(88888888, "admin", "one")
	if err != nil {
		t.Fatal(err)
	}
	given := "one"
	s.Follow(func() string { return given })
	_, old, _ := s.current()
	for _, step := range []struct {
		given, want string
		renews      bool
	}{{"one", "one", false}, {"", "one", false}, {"o n e", "one", false}, {"two", "two", true}} {
		given = step.given
		if got := s.renew(old); got != step.renews {
			t.Errorf("%q: renewed is %v", given, got)
		}
		if sig, _, err := s.current(); sig != step.want || err != nil {
			t.Errorf("%q: the UserSig is %q, %v", given, sig, err)
		}
	}
}

func TestSignerRefuses(t *testing.T) {
	tests := []struct {
		name, identifier, key string
		appID                 int64
		ttl                   time.Duration
		want                  string
	}{
		{"no application", "admin", "k", 0, 0, "SDKAppID 0"},
		{"too large", "admin", "k", 1 << 32, 0, "SDKAppID 4294967296"},
		{"no identifier", "", "k", 1, 0, "identifier: empty"},
		{"no key", "admin", "", 1, 0, "secret key: empty"},
		{"line end in the key", "admin", "hunter2\n", 1, 0, "secret key: has white space"},
		{"short life", "admin", "k", 1, time.Minute - 1, "shorter than 1m"},
		{"negative life", "admin", "k", 1, -time.Hour, "shorter than 1m"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewSigner(tt.appID, tt.identifier, tt.key, tt.ttl)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("NewSigner = %v, want %q", err, tt.want)
			}
		})
	}
	if _, err := NewSigner(1, "a", "k", time.Minute); err != nil {
		t.Errorf("NewSigner with a life of 1m = %v", err)
	}
	if _, err := NewSigner(0, "", "", 1); err == nil || strings.Count(err.Error(), "\n") != 3 {
		t.Errorf("NewSigner = %v, want four problems at once", err)
	}
	for _, sig := range []string{"", "a b", "hunter2\n"} {
		if _, err := ReadySigner(1, "a", sig); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("ReadySigner(%q) = %v", sig, err)
		}
	}
}

func TestSignerIsNotPrinted(t *testing.T) {
	key, err := NewSigner(1, "admin", "hunter2", 0)
	if err != nil {
		t.Fatal(err)
	}
	ready, err := ReadySigner(1, "admin", "hunter2")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*Signer{key, ready} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			for _, v := range []any{s, Config{Signer: s}, &Config{Signer: s}} {
				if text := fmt.Sprintf(verb, v); strings.Contains(text, "hunter2") {
					t.Errorf("%s of %T shows the secret: %s", verb, v, text)
				}
			}
		}
	}
}
