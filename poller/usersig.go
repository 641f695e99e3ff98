package poller

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/tencentyun/tls-sig-api-v2-golang/tencentyun"
)

// defaultTTL is the life of a signature; the vendor recommends a day or more.
const defaultTTL = 24 * time.Hour

// A Signer says who asks, and proves it with a UserSig. It is safe for
// concurrent use and never shows its secrets when it is printed.
type Signer struct {
	appID      int64
	identifier string
	ttl        time.Duration // whole seconds

	mu   sync.Mutex
	key  string        // empty if the UserSig was given ready-made
	from func() string // where the key or the ready UserSig is now; nil if it stays
	sig  string        // empty until it is needed
	made time.Time     // wall clock, as is the life of a signature
	gen  int           // counts the signatures
}

// NewSigner returns a Signer that makes its signatures with the secret key of
// the application, each with a life of ttl (at least a minute; 0 means 24 h). A
// signature is replaced when half of its life is over.
func NewSigner(appID int64, identifier, key string, ttl time.Duration) (*Signer, error) {
	if ttl == 0 {
		ttl = defaultTTL
	}
	var errTTL error
	if ttl < time.Minute {
		errTTL = fmt.Errorf("life of a signature %v: shorter than 1m", ttl)
	}
	if err := errors.Join(checkAccount(appID, identifier), checkSecret("secret key", key), errTTL); err != nil {
		return nil, err
	}
	return &Signer{appID: appID, identifier: identifier, key: key, ttl: ttl.Truncate(time.Second)}, nil
}

// ReadySigner returns a Signer for who may not have the key: its UserSig was
// made elsewhere and cannot be renewed here, only be exchanged: see [Signer.Follow].
func ReadySigner(appID int64, identifier, userSig string) (*Signer, error) {
	if err := errors.Join(checkAccount(appID, identifier), checkSecret("UserSig", userSig)); err != nil {
		return nil, err
	}
	return &Signer{appID: appID, identifier: identifier, sig: userSig}, nil
}

// Follow makes the signer ask before each use for its key, or for its UserSig if
// that was given ready: one that was exchanged counts for the next request. What
// can be neither changes nothing.
func (s *Signer) Follow(secret func() string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.from = secret
}

// exchange takes what is to be used now. It is called with the mutex held.
func (s *Signer) exchange() {
	if s.from == nil {
		return
	}
	switch given := s.from(); {
	case checkSecret("secret", given) != nil:
	case s.key == "" && given != s.sig:
		s.sig = given
		s.gen++
	case s.key != "" && given != s.key:
		s.key, s.sig = given, ""
	}
}

// secretKey returns the key with which the signature in use was made.
func (s *Signer) secretKey() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.key
}

// String tells whom the signer signs for.
func (s *Signer) String() string { return fmt.Sprintf("%s of %d", s.identifier, s.appID) }

// GoString is String, so that no verb of fmt shows a secret.
func (s *Signer) GoString() string { return s.String() }

// current returns the signature to use now and its generation.
func (s *Signer) current() (sig string, gen int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.exchange()
	if s.key == "" {
		return s.sig, s.gen, nil
	}
	// Compared without the monotonic clock, which stands still while a machine
	// sleeps; a signature of the future comes from a clock that was set back.
	now := time.Now().Round(0)
	if age := now.Sub(s.made); s.sig != "" && age >= 0 && age < s.ttl/2 {
		return s.sig, s.gen, nil
	}
	sig, err = tencentyun.GenUserSig(int(s.appID), s.key, s.identifier, int(s.ttl/time.Second))
	if err != nil {
		return "", 0, fmt.Errorf("sign for %s: %w", s, err)
	}
	s.sig, s.made = sig, now
	s.gen++
	return sig, s.gen, nil
}

// renew makes the next call of current return another signature than that of
// generation gen, which was refused, and reports whether that is possible.
func (s *Signer) renew(gen int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.key == "" {
		s.exchange()
		return gen != s.gen
	}
	if gen == s.gen {
		s.sig = ""
	}
	return true
}

func checkAccount(appID int64, identifier string) error {
	var errs []error
	if appID <= 0 || appID > math.MaxUint32 {
		errs = append(errs, fmt.Errorf("SDKAppID %d: not the number the console shows", appID))
	}
	if identifier == "" {
		errs = append(errs, errors.New("identifier: empty; it names an App Administrator account"))
	}
	return errors.Join(errs...)
}

func checkSecret(name, secret string) error {
	switch {
	case secret == "":
		return fmt.Errorf("%s: empty", name)
	case strings.ContainsAny(secret, " \t\r\n"):
		return fmt.Errorf("%s: has white space in it; write it whole and alone, on one line", name)
	}
	return nil
}
