package state

import (
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"roomwatch/diff"
)

// A rawPage is a page in the bytes of a file.
type rawPage struct {
	data []byte
	id   uint64
}

func (p rawPage) element(i int) []byte { return p.data[headerSize+i*elementSize:] }

func (p rawPage) count() int { return int(binary.NativeEndian.Uint16(p.data[10:])) }

// key returns the ith key of a leaf, to be written to.
func (p rawPage) key(i int) []byte {
	e := p.element(i)
	at := binary.NativeEndian.Uint32(e[4:])
	return e[at : at+binary.NativeEndian.Uint32(e[8:])]
}

// Every contradiction between pages is found before bbolt meets it: it would
// end the process, read for ever, or look for keys where they are not.
func TestVerifyTree(t *testing.T) {
	u16, u32, u64 := binary.NativeEndian.PutUint16, binary.NativeEndian.PutUint32, binary.NativeEndian.PutUint64
	tests := []struct {
		name  string
		spoil func(root, branch rawPage, leaves []rawPage) // root holds the buckets, the others are of the rooms
		want  string
	}{
		{"a branch is its own child", func(_, b rawPage, _ []rawPage) { u64(b.element(0)[8:], b.id) }, "referred to twice"},
		{"a branch has a child twice", func(_, b rawPage, l []rawPage) { u64(b.element(1)[8:], l[0].id) }, "referred to twice"},
		{"a child is a meta page", func(_, b rawPage, _ []rawPage) { u64(b.element(0)[8:], 1) }, "page 1 of"},
		{"a child lies behind the end", func(_, b rawPage, _ []rawPage) { u64(b.element(0)[8:], 1<<51) }, "out of bounds"},
		{"a branch without children", func(_, b rawPage, _ []rawPage) { u16(b.data[10:], 0) }, "no tree page"},
		{"a page with another id", func(_, _ rawPage, l []rawPage) { u64(l[1].data, l[0].id) }, "says that it is page"},
		{"a page of no kind", func(_, _ rawPage, l []rawPage) { u16(l[1].data[8:], 0) }, "no tree page"},
		{"a page that goes on behind the end", func(_, _ rawPage, l []rawPage) { u32(l[1].data[12:], 1<<31) }, "ends behind the last page"},
		{"a page that goes on over another", func(_, _ rawPage, l []rawPage) {
			for _, p := range l {
				u32(p.data[12:], 1)
			}
		}, "referred to twice"},
		{"more elements than fit", func(_, _ rawPage, l []rawPage) { u16(l[1].data[10:], 1<<15) }, "elements in"},
		{"a key outside its page", func(_, _ rawPage, l []rawPage) { u32(l[1].element(0)[4:], 1<<31) }, "lies outside"},
		{"a key longer than its page", func(_, _ rawPage, l []rawPage) { u32(l[1].element(0)[8:], 1<<31) }, "lies outside"},
		{"a value longer than its page", func(_, _ rawPage, l []rawPage) { u32(l[1].element(0)[12:], 1<<32-1) }, "lies outside"},
		{"an empty key", func(_, _ rawPage, l []rawPage) { u32(l[0].element(0)[8:], 0) }, "lies outside"},
		{"a key below its page", func(_, _ rawPage, l []rawPage) { l[1].key(0)[0] = 'a' }, "out of order"},
		{"a key above its page", func(_, _ rawPage, l []rawPage) { l[0].key(l[0].count() - 1)[0] = 'z' }, "out of order"},
		{"keys in no order", func(_, _ rawPage, l []rawPage) { l[1].key(1)[0] = 'a' }, "out of order"},
		{"a bucket that is cut", func(r, _ rawPage, _ []rawPage) { u32(r.element(0)[12:], 8) }, "bucket is cut"},
	}
	path := newPath(t)
	s := open(t, path)
	commit(t, s, manyRooms(t, 1, 500))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.WriteFile(path, good, 0o600); err != nil {
				t.Fatal(err)
			}
			root, branch, leaves, data := rawPages(t, path)
			tt.spoil(root, branch, leaves)
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			before := hash(t, path)
			_, err := Open(Config{Path: path, SDKAppID: testApp, Policy: diff.DefaultPolicy()})
			if !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Open = %v, want %v: %s", err, ErrBroken, tt.want)
			}
			if hash(t, path) != before {
				t.Error("the file was changed")
			}
		})
	}
}

// rawPages returns pages of a file that has more than one page of rooms, and
// the bytes of the file, of which they are parts.
func rawPages(t *testing.T, path string) (root, branch rawPage, leaves []rawPage, data []byte) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	if data, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	size := uint64(db.Info().PageSize)
	raw := func(id uint64) rawPage { return rawPage{data: data[id*size : (id+1)*size], id: id} }
	err = db.View(func(tx *bbolt.Tx) error {
		root = raw(uint64(tx.Cursor().Bucket().RootPage()))
		branch = raw(uint64(tx.Bucket(roomsBucket).RootPage()))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range branch.count() {
		leaves = append(leaves, raw(binary.NativeEndian.Uint64(branch.element(i)[8:])))
	}
	if len(leaves) < 2 {
		t.Fatal("the rooms are on one page")
	}
	return root, branch, leaves, data
}
