package trail

import (
	"compress/gzip"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Tick seals the open file when its day is over, so that a quiet day is sealed,
// too. It is called now and then.
func (w *Writer) Tick(now time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.attached(); err != nil {
		return err
	}
	if w.file == nil || w.damaged || day(now) == w.day {
		return nil
	}
	return w.seal()
}

// Seal seals the open file, if there is one.
func (w *Writer) Seal() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.file == nil {
		return nil
	}
	if err := w.attached(); err != nil {
		return err
	}
	if err := w.undamage(); err != nil {
		return err
	}
	return w.seal()
}

// seal ends the open file with its last line, and compresses it. Power cut at
//
//	the last line            it is not whole and is cut off, or it is: the file is sealed
//	compression              Open compresses it: see pack
func (w *Writer) seal() error {
	if err := w.explain(); err != nil {
		return err
	}
	var key ed25519.PrivateKey
	signer := "none"
	if w.o.Key != nil {
		key = w.o.Key()
		signer = KeyID(key.Public().(ed25519.PublicKey))
	}
	if err := w.writeSigned([]Line{{Kind: End}}, key); err != nil {
		return err
	}
	err := w.file.Close()
	w.file = nil
	if err != nil {
		return fmt.Errorf("close %s: %w", w.path, err)
	}
	w.o.Log.Info("file sealed", "file", filepath.Base(w.path), "line", w.end.line, "hash", w.end.hash, "key", signer)
	w.packOrLeave(w.path)
	return nil
}

// packOrLeave packs a file, or lets it be until the next start: it is read plain as well.
func (w *Writer) packOrLeave(path string) {
	if err := w.pack(path); err != nil {
		w.o.Log.Warn("file not compressed", "file", path, "error", err, "fix", "make room on the disk; it is retried at the next start")
	}
}

// pack replaces a sealed file by its compressed form. Power cut at
//
//	writing X.tmp            Open removes it and packs anew
//	rename of X.tmp          both are there, or only the plain one and X.tmp
//	removal of the plain one both are there: the compressed one is whole, and
//	                         Open removes the other
func (w *Writer) pack(path string) error {
	target := strings.TrimSuffix(path, plain) + packed
	if err := w.compress(path, target+unsafe); err != nil {
		return errors.Join(err, w.disk.remove(target+unsafe))
	}
	if err := w.disk.rename(target+unsafe, target); err != nil {
		return err
	}
	if err := w.disk.syncDir(w.o.Dir); err != nil {
		return err
	}
	if err := w.disk.remove(path); err != nil {
		return err
	}
	return w.disk.syncDir(w.o.Dir)
}

func (w *Writer) compress(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := w.disk.open(to, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	z := gzip.NewWriter(out)
	if err := w.disk.refused("write", to); err != nil {
		return err
	}
	if _, err := io.Copy(z, in); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return w.disk.sync(out)
}
