package main

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/roomaudit/trail"
)

// Keys as openssl makes them sign and check.
func TestKeysOfOpenSSL(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("no openssl")
	}
	dir := t.TempDir()
	private, public := filepath.Join(dir, "key.pem"), filepath.Join(dir, "public.pem")
	for _, args := range [][]string{{"genpkey", "-algorithm", "ed25519", "-out", private}, {"pkey", "-in", private, "-pubout", "-out", public}} {
		if out, err := exec.CommandContext(t.Context(), openssl, args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v: %s", args, err, out)
		}
	}
	key, err := (&config{KeyFile: private}).signer(slog.New(slog.DiscardHandler))
	must(t, err)
	w, err := trail.Open(trail.Options{Dir: filepath.Join(dir, "audit"), Key: key})
	must(t, err)
	must(t, w.Append(time.Now().Add(-48*time.Hour), []trail.Message{{Seq: 1, Stored: time.Now().Add(-48 * time.Hour), Body: event(1, "r", "n")}}))
	must(t, w.Tick(time.Now()))
	must(t, w.Close())
	if status, out, errs := call(t, filepath.Join(dir, "audit"), "verify", "--public-key", public); status != 0 || !strings.Contains(out, "1 signature checked") {
		t.Errorf("%d %s %s", status, out, errs)
	}
	// Who follows the advice must not write over the private key.
	if _, err := (&config{KeyFile: public}).signer(slog.New(slog.DiscardHandler)); err == nil || strings.Contains(err.Error(), "-out") {
		t.Errorf("a public key to sign with: %v", err)
	}
	if status, _, errs := call(t, dir, "verify", "--public-key", private); status != 2 || !strings.Contains(errs, "openssl pkey") || strings.Contains(errs, "-out "+private) {
		t.Errorf("a private key: %d %s", status, errs)
	}
}

// writeKey makes a key, and writes it as openssl would: the private one to path,
// the public one to the file that it returns.
func writeKey(t *testing.T, path string) (publicFile string) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	must(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	must(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	der, err = x509.MarshalPKIXPublicKey(public)
	must(t, err)
	publicFile = filepath.Join(t.TempDir(), "public.pem")
	must(t, os.WriteFile(publicFile, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600))
	return publicFile
}

// A key that is exchanged while roomaudit runs signs from the next sealed file
// on. While its file cannot be used, the key before signs.
func TestKeyExchanged(t *testing.T) {
	dir, path := t.TempDir(), filepath.Join(t.TempDir(), "key.pem")
	one := writeKey(t, path)
	var log bytes.Buffer
	key, err := (&config{KeyFile: path}).signer(slog.New(slog.NewTextHandler(&log, nil)))
	must(t, err)
	w, err := trail.Open(trail.Options{Dir: dir, Key: key})
	must(t, err)
	day := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	seal := func(n int) {
		at := day.Add(time.Duration(n) * 24 * time.Hour)
		must(t, w.Append(at, []trail.Message{{Seq: uint64(n), Stored: at, Body: event(uint64(n), "r", "n")}}))
		must(t, w.Tick(at.Add(24*time.Hour)))
	}
	seal(1)
	whole, err := os.ReadFile(path)
	must(t, err)
	for i, broken := range [][]byte{whole[:len(whole)/2], nil} { // it is being copied
		must(t, os.WriteFile(path, broken, 0o600))
		seal(2 + i)
	}
	if !strings.Contains(log.String(), "ROOMAUDIT_KEY_FILE") || strings.Contains(log.String(), "PRIVATE") {
		t.Errorf("log: %s", &log)
	}
	two := writeKey(t, path)
	seal(4)
	must(t, w.Close())
	status, out, errs := call(t, dir, "verify", "--public-key", one, "--public-key", two)
	if status != 0 || !strings.Contains(out, "files 1 to 3: signed with key ") || !strings.Contains(out, "file 4: signed with key ") {
		t.Errorf("%d %s%s", status, out, errs)
	}
	if status, out, errs := call(t, dir, "verify", "--public-key", two); status != 0 || !strings.Contains(out, "files 1 to 3: covered by the signature of file 4, key ") {
		t.Errorf("the newest alone: %d %s%s", status, out, errs)
	}
	if status, out, errs := call(t, dir, "verify", "--public-key", one, "--public-key", "4:"+two); status != 0 {
		t.Errorf("with its first file: %d %s%s", status, out, errs)
	}
	for _, flags := range [][]string{{"--public-key", "0:" + one}, {"--public-key", "4:" + one, "--public-key", "4:" + two},
		{"--public-key", "4:" + one, "--public-key", two, "--public-key", "3:" + two}} {
		if status, out, errs := call(t, dir, append([]string{"verify"}, flags...)...); status != 2 {
			t.Errorf("%v: %d %s%s", flags, status, out, errs)
		}
	}
}

// Whatever the file of a key is, it is refused by its name, or signs what its other half
// accepts; a private key is in no error text.
func FuzzKeyFile(f *testing.F) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)) // the same in each process that fuzzes
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		f.Fatal(err)
	}
	pkix, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		f.Fatal(err)
	}
	other, err := ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{9}, 32))
	if err != nil {
		f.Fatal(err)
	}
	otherPKCS8, err := x509.MarshalPKCS8PrivateKey(other)
	if err != nil {
		f.Fatal(err)
	}
	otherPKIX, err := x509.MarshalPKIXPublicKey(other.PublicKey())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: otherPKCS8}))
	f.Add(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: otherPKIX}))
	first, second := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: pkix})
	for _, seed := range [][]byte{first, second, bytes.Join([][]byte{second, first}, nil), first[:len(first)/2], []byte(""), []byte("-----BEGIN PRIVATE KEY-----\n\n-----END PRIVATE KEY-----\n"),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8[:len(pkcs8)-5]}), bytes.ReplaceAll(first, []byte("\n"), []byte("\r\n"))} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "key.pem")
		must(t, os.WriteFile(path, text, 0o600))
		keys, err := publicKeys([]string{"3:" + path})
		switch {
		case err != nil:
			if !errors.Is(err, errConfig) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v", err)
			}
		case len(keys) != 1 || keys[0].First != 3 || len(keys[0].Public) != ed25519.PublicKeySize:
			t.Errorf("%v", keys)
		default:
			_ = ed25519.Verify(keys[0].Public, text, make([]byte, ed25519.SignatureSize))
		}
		key, err := privateKey(environ.Secret(text))
		if err != nil {
			if showsKey(err.Error(), pkcs8) {
				t.Errorf("the key is in %v", err)
			}
			return
		}
		if !ed25519.Verify(key.Public().(ed25519.PublicKey), text, ed25519.Sign(key, text)) {
			t.Error("it signs what its other half does not accept")
		}
	})
}

// showsKey reports whether a text has a part of the secret half of a key: as in its file, in
// hex, in bytes or in the numbers that stand for them.
func showsKey(text string, pkcs8 []byte) bool {
	secret := pkcs8[18:27] // behind the head; a multiple of three, so that it is in base64 as in the file
	for _, form := range []string{base64.StdEncoding.EncodeToString(secret), hex.EncodeToString(secret), string(secret), strings.Trim(fmt.Sprintf("%d", secret), "[]")} {
		if strings.Contains(text, form) {
			return true
		}
	}
	return false
}
