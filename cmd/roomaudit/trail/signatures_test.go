package trail

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// signedBy is the option of a writer whose key is not exchanged.
func signedBy(key ed25519.PrivateKey) func() ed25519.PrivateKey {
	if key == nil {
		return nil
	}
	return func() ed25519.PrivateKey { return key }
}

// keys are those that sign one after the other.
func keys(private ...ed25519.PrivateKey) []Key {
	var all []Key
	for _, k := range private {
		all = append(all, Key{Public: k.Public().(ed25519.PublicKey)})
	}
	return all
}

// A key that was set later, or exchanged, does not make the files before it
// unsound: what was signed later covers them.
func TestKeysCameLater(t *testing.T) {
	_, one, err := ed25519.GenerateKey(nil)
	must(t, err)
	_, two, err := ed25519.GenerateKey(nil)
	must(t, err)
	_, never, err := ed25519.GenerateKey(nil)
	must(t, err)
	from := func(first int, k ed25519.PrivateKey) Key {
		return Key{Public: k.Public().(ed25519.PublicKey), First: first}
	}
	id := func(k ed25519.PrivateKey) string { return KeyID(k.Public().(ed25519.PublicKey)) }
	names := map[string]string{id(one): "ONE", id(two): "TWO", id(never): "NEVER", "": "-"}
	for _, tt := range []struct {
		name    string
		files   []ed25519.PrivateKey // which key signs each; the last one is still open
		keys    []Key
		covered string // from-to:key of the file that covers
		faults  []string
	}{
		{"set later", []ed25519.PrivateKey{nil, nil, one, one, nil}, keys(one), "1-2:ONE of 3 3-4:ONE 5-5:-", nil},
		{"exchanged", []ed25519.PrivateKey{one, one, two, two, nil}, keys(one, two), "1-2:ONE 3-4:TWO 5-5:-", nil},
		{"only the newest is known", []ed25519.PrivateKey{one, one, two, two, nil}, keys(two), "1-2:TWO of 3 3-4:TWO 5-5:-", nil},
		{"only the oldest is known", []ed25519.PrivateKey{one, one, two, two, nil}, keys(one), "1-2:ONE 3-5:-",
			[]string{"files 3 to 4: no signature covers it, and key ONE signs before: who has no key may have written it anew"}},
		{"left out for once", []ed25519.PrivateKey{one, nil, one, nil}, keys(one), "1-1:ONE 2-2:ONE of 3 3-3:ONE 4-4:-", nil},
		{"left out at the end", []ed25519.PrivateKey{one, nil, nil, nil}, keys(one), "1-1:ONE 2-4:-",
			[]string{"files 2 to 3: no signature covers it, and key ONE signs before: who has no key may have written it anew"}},
		{"the replaced one again", []ed25519.PrivateKey{one, two, one, nil}, keys(one, two), "1-1:ONE 2-2:TWO 3-4:-",
			[]string{"file 3: no signature covers it, and key TWO signs before: who has no key may have written it anew"}},
		{"first files named", []ed25519.PrivateKey{one, one, two, nil}, []Key{from(1, one), from(3, two)}, "1-2:ONE 3-3:TWO 4-4:-", nil},
		{"not before its first file", []ed25519.PrivateKey{one, two, two, nil}, []Key{from(1, one), from(3, two)}, "1-1:ONE 2-2:- 3-3:TWO 4-4:-",
			[]string{"audit-00000002-2026-11-24.jsonl.gz:3: line 6: it is signed with key TWO, which signs from file 3 on"}},
		{"an old key after its time", []ed25519.PrivateKey{one, one, one, nil}, []Key{from(1, one), from(3, two)}, "1-2:ONE 3-4:-", []string{
			"no file is signed with key TWO"}},
		{"one that is to come", []ed25519.PrivateKey{one, one, nil}, []Key{from(1, one), from(9, two)}, "1-2:ONE 3-3:-", nil},
		{"never", []ed25519.PrivateKey{one, two, nil}, keys(never), "1-3:-", []string{"no file is signed with key NEVER; files name key ONE, TWO"}},
		{"nothing sealed yet", []ed25519.PrivateKey{nil}, keys(one), "1-1:-", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for i, key := range tt.files {
				at := noon.Add(time.Duration(i) * 24 * time.Hour)
				w := mustOpen(t, Options{Dir: dir, Key: signedBy(key)})
				must(t, w.Append(at, messages(uint64(i+1), uint64(i+1), at)))
				if i < len(tt.files)-1 {
					must(t, w.Tick(at.Add(24*time.Hour)))
				}
				must(t, w.Close())
			}
			s, faults := check(t, Check{Dir: dir, Keys: tt.keys})
			for i := range faults {
				faults[i] = replaceAll(faults[i], names)
			}
			covered := ""
			for _, c := range s.Covered {
				covered += fmt.Sprintf(" %d-%d:%s", c.From, c.To, names[c.Key])
				if c.By > 0 {
					covered += fmt.Sprintf(" of %d", c.By)
				}
			}
			if covered != " "+tt.covered || !slices.Equal(faults, tt.faults) {
				t.Errorf("covered%s, faults %q\nwant    %s, %q", covered, faults, tt.covered, tt.faults)
			}
		})
	}
}

// What is behind a fault is covered by a signature behind it; what is before is not.
func TestFaultIsNotCovered(t *testing.T) {
	f := newForger(t)
	f.rows(1, func(rows [][]byte) [][]byte { return append(rows[:4:4], rows[5:]...) })
	s, _ := check(t, Check{Dir: f.dir, Keys: keys(f.key)})
	id := keyOf(f.key)
	if want := []Cover{{From: 1, To: 1, Key: id}, {From: 2, To: 2}, {From: 3, To: 3, Key: id}, {From: 4, To: 4}}; !slices.Equal(s.Covered, want) {
		t.Errorf("covered %v, want %v", s.Covered, want)
	}
}

func keyOf(key ed25519.PrivateKey) string { return KeyID(key.Public().(ed25519.PublicKey)) }

func replaceAll(s string, names map[string]string) string {
	for from, to := range names {
		if from != "" {
			s = strings.ReplaceAll(s, from, to)
		}
	}
	return s
}
