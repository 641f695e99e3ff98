package config

import (
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"time"

	"roomwatch/cmd/internal/environ"
	"roomwatch/poller"
)

// validateSigner checks who asks the service. The key and the UserSig are tried
// by a signer for some application with some life, so that they are named also
// if those of the configuration are no good.
func (c *Config) validateSigner(p *environ.Problems) {
	switch id := environ.Value("ROOMWATCH_SDKAPPID"); {
	case c.SDKAppID > 0 && c.SDKAppID <= math.MaxUint32:
	case id == "":
		p.Add(false, "ROOMWATCH_SDKAPPID is missing: set it to the number that the console shows")
	default:
		_, err := strconv.ParseInt(id, 0, 64) // an error is named already
		p.Add(err != nil, "ROOMWATCH_SDKAPPID is %d: write the number that the console shows", c.SDKAppID)
	}
	p.Add(c.UserSigTTL >= time.Minute, "ROOMWATCH_USERSIG_TTL is %s: set at least 1m", c.UserSigTTL)
	given := 0
	for _, s := range []string{string(c.SecretKey), c.SecretKeyFile, string(c.UserSig), c.UserSigFile} {
		if s != "" {
			given++
		}
	}
	p.Add(given == 1, "%d of ROOMWATCH_SECRET_KEY, ROOMWATCH_SECRET_KEY_FILE, ROOMWATCH_USERSIG and ROOMWATCH_USERSIG_FILE are set: set one of them", given)
	if given != 1 {
		return
	}
	some := *c
	some.SDKAppID, some.UserSigTTL = 1, time.Minute
	_, err := some.Signer(slog.New(slog.DiscardHandler))
	p.Add(err == nil, "%w", err)
}

// Signer is who asks the service, by key or by a ready UserSig. What is in a file
// is exchanged when the file is. The error names the variable.
func (c *Config) Signer(log *slog.Logger) (*poller.Signer, error) {
	byKey := func(key environ.Secret) (*poller.Signer, error) {
		return poller.NewSigner(int64(c.SDKAppID), c.Identifier, string(key), c.UserSigTTL)
	}
	ready := func(userSig environ.Secret) (*poller.Signer, error) {
		return poller.ReadySigner(int64(c.SDKAppID), c.Identifier, string(userSig))
	}
	variable, value, file, newSigner := "ROOMWATCH_SECRET_KEY", c.SecretKey, c.SecretKeyFile, byKey
	if c.UserSig != "" || c.UserSigFile != "" {
		variable, value, file, newSigner = "ROOMWATCH_USERSIG", c.UserSig, c.UserSigFile, ready
	}
	if file == "" {
		s, err := newSigner(value)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", variable, err)
		}
		return s, nil
	}
	f, err := environ.NewSecretFile(variable+"_FILE", file, func(s environ.Secret) error {
		_, err := newSigner(s)
		return err
	}, log)
	if err != nil {
		return nil, fmt.Errorf("%w; name a file that holds it and that roomwatch may read", err)
	}
	s, err := newSigner(f.Value())
	if err != nil {
		return nil, fmt.Errorf("%s_FILE: %w", variable, err)
	}
	s.Follow(func() string { return string(f.Value()) })
	return s, nil
}
