package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/roomaudit/trail"
)

// signer returns what gives the key that signs, or nil if files are not signed.
// The file of the key is read for each seal: a key that was exchanged signs from
// the next sealed file on, and while it cannot be used the one before does.
func (c *config) signer(log *slog.Logger) (func() ed25519.PrivateKey, error) {
	if c.KeyFile == "" {
		return nil, nil
	}
	file, err := environ.NewSecretFile("ROOMAUDIT_KEY_FILE", c.KeyFile, func(s environ.Secret) error {
		_, err := privateKey(s)
		return err
	}, log)
	if err != nil {
		hint := "name a file that roomaudit may read, with an Ed25519 private key in PEM"
		if errors.Is(err, os.ErrNotExist) { // or the advice would write over a key
			hint = "make one with `openssl genpkey -algorithm ed25519 -out " + c.KeyFile + "`"
		}
		return nil, fmt.Errorf("%w: %w; %s", errConfig, err, hint)
	}
	return func() ed25519.PrivateKey {
		key, err := privateKey(file.Value())
		if err != nil {
			return nil // unreachable: the file has no value that was not checked
		}
		return key
	}, nil
}

func privateKey(text environ.Secret) (ed25519.PrivateKey, error) {
	der, err := decodePEM([]byte(text))
	if err != nil {
		return nil, err
	}
	k, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, err
	}
	key, ok := k.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the file has a key of type %T", k)
	}
	return key, nil
}

// publicKeys reads the keys that signatures are checked with, each as FILE or N:FILE.
func publicKeys(flags []string) ([]trail.Key, error) {
	keys := make([]trail.Key, 0, len(flags))
	newest := 0 // the first file of the newest key that names one
	for _, flag := range flags {
		path, first := flag, 0
		if number, rest, ok := strings.Cut(flag, ":"); ok {
			if n, err := strconv.Atoi(number); err == nil {
				path, first = rest, n
			}
		}
		if path != flag && first < 1 {
			return nil, fmt.Errorf("%w: --public-key %s: the number of a file is 1 or more", errConfig, flag)
		}
		if first > 0 && first <= newest {
			return nil, fmt.Errorf("%w: --public-key %s: name the keys in the order in which they came to sign", errConfig, flag)
		}
		newest = max(newest, first)
		key, err := publicKey(path)
		if err != nil {
			return nil, err
		}
		keys = append(keys, trail.Key{Public: key, First: first})
	}
	return keys, nil
}

// publicKey reads one of them.
func publicKey(path string) (ed25519.PublicKey, error) {
	der, err := readPEM(path)
	if err == nil {
		var k any
		if k, err = x509.ParsePKIXPublicKey(der); err == nil {
			if key, ok := k.(ed25519.PublicKey); ok {
				return key, nil
			}
			err = fmt.Errorf("it holds a key of type %T", k)
		}
	}
	return nil, fmt.Errorf("%w: --public-key %s: %w; make one from the private key with `openssl pkey -in key.pem -pubout -out public.pem`", errConfig, path, err)
}

func readPEM(path string) ([]byte, error) {
	b, err := environ.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return decodePEM(b)
}

func decodePEM(text []byte) ([]byte, error) {
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, errors.New("it is not in PEM")
	}
	return block.Bytes, nil
}
