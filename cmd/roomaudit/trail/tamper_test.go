package trail

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// A forger has a trail of three sealed files and an open one: in the second,
// line 13 begins, 14 … 23 are events, and 24 is the end.
type forger struct {
	t     *testing.T
	dir   string
	files []File
	key   ed25519.PrivateKey
}

// rows changes the rows of a file.
func (f forger) rows(file int, change func(rows [][]byte) [][]byte) {
	all := bytes.SplitAfter(unpack(f.t, f.files[file]), []byte("\n"))
	repack(f.t, f.files[file], bytes.Join(change(all[:len(all)-1]), nil))
}

// append writes a line behind the others, as one who knows the format could.
func (f forger) append(l Line) {
	w := mustOpen(f.t, Options{Dir: f.dir})
	must(f.t, w.ready(noon))
	must(f.t, w.write([]Line{l}))
	must(f.t, w.Close())
}

// removal is what the writer puts on record when it removes the files up to this one.
func (f forger) removal(file int) Line {
	last, err := f.files[file].End(f.t.Context())
	must(f.t, err)
	return Line{Kind: Removed, File: f.files[file].Number, To: last.Line, Last: last.Hash, Reason: "older than 72h0m0s"}
}

// rewrite writes all lines of a file from its fifth on anew, as one who knows the
// format but not the key could.
func (f forger) rewrite(file int, key ed25519.PrivateKey) {
	f.rows(file, func(rows [][]byte) [][]byte {
		before, err := Parse(bytes.TrimSuffix(rows[3], []byte("\n")))
		must(f.t, err)
		c := chain{line: before.Line, hash: before.Hash}
		out := rows[:4:4]
		for i, text := range rows[4:] {
			l, err := Parse(bytes.TrimSuffix(text, []byte("\n")))
			must(f.t, err)
			if i == 0 {
				l.Event = bytes.Replace(l.Event, []byte(`"ViewCount":7`), []byte(`"ViewCount":9`), 1)
			}
			if l.Kind == End && key == nil {
				l.Key, l.Signature = "", nil
			}
			var b []byte
			b, c, err = c.extend([]Line{l}, key)
			must(f.t, err)
			out = append(out, b)
		}
		return out
	})
}

func TestTampering(t *testing.T) {
	_, wrong, err := ed25519.GenerateKey(nil)
	must(t, err)
	swap := func(a, b int) func([][]byte) [][]byte {
		return func(rows [][]byte) [][]byte { rows[a], rows[b] = rows[b], rows[a]; return rows }
	}
	tests := []struct {
		name   string
		forge  func(f forger, c *Check)
		faults []string // the first ones begin so; no more if none is "…"
	}{
		{"nothing", func(forger, *Check) {}, nil},
		{"a byte", func(f forger, _ *Check) {
			f.rows(1, func(rows [][]byte) [][]byte {
				rows[4] = bytes.Replace(rows[4], []byte(`"ViewCount":7`), []byte(`"ViewCount":8`), 1)
				return rows
			})
		}, []string{"2.gz:5: line 17: it was changed"}},
		{"a hash", func(f forger, _ *Check) {
			f.rows(1, func(rows [][]byte) [][]byte {
				rows[4] = bytes.Replace(rows[4], []byte(`"hash":"`), []byte(`"hash":"f`), 1)
				return rows
			})
		}, []string{"2.gz:5: line 17: it was changed", "2.gz:6: line 18: the line before it was exchanged"}},
		{"a line taken out", func(f forger, _ *Check) {
			f.rows(1, func(rows [][]byte) [][]byte { return append(rows[:4:4], rows[5:]...) })
		}, []string{"2.gz:5: line 18: lines 17 to 17 are missing", "…"}},
		{"two lines swapped", func(f forger, _ *Check) { f.rows(1, swap(4, 5)) }, []string{"2.gz:5: line 18: lines 17 to 17 are missing", "…"}},
		{"a line put in again", func(f forger, _ *Check) {
			f.rows(1, func(rows [][]byte) [][]byte { return append(rows[:5:5], rows[4:]...) })
		}, []string{"2.gz:6: line 17: it was inserted or moved here: line 18 belongs here", "…"}},
		{"a line that is none", func(f forger, _ *Check) {
			f.rows(1, func(rows [][]byte) [][]byte { rows[4] = []byte("\x00\x00\n"); return rows })
		}, []string{"2.gz:5: line 0: it is no line of a trail"}},
		{"the end of a sealed file", func(f forger, _ *Check) {
			f.rows(1, func(rows [][]byte) [][]byte { return rows[:8] })
		}, []string{"2.gz: its end was cut off", "3.gz:1: line 25: lines 21 to 24 are missing"}},
		{"the beginning of a file", func(f forger, _ *Check) {
			f.rows(1, func(rows [][]byte) [][]byte { return rows[1:] })
		}, []string{"2.gz:1: line 14: lines 13 to 13 are missing", "2.gz:1: line 14: it is of kind event"}},
		{"lines behind the end", func(f forger, _ *Check) {
			f.rows(1, func(rows [][]byte) [][]byte { return append(rows, rows[3]) })
		}, []string{"2.gz:13: line 16: it was inserted or moved here", "2.gz:13: line 16: it stands behind the last line", "…"}},
		{"a compressed file cut", func(f forger, _ *Check) {
			b, err := os.ReadFile(f.files[1].Path)
			must(f.t, err)
			must(f.t, os.WriteFile(f.files[1].Path, b[:len(b)/2], 0o600))
		}, []string{"2.gz: it cannot be read to its end", "3.gz:1: line 25: lines"}},
		{"a file", func(f forger, _ *Check) { must(f.t, os.Remove(f.files[1].Path)) }, []string{"files 2 to 2 are missing"}},
		{"the first file", func(f forger, _ *Check) { must(f.t, os.Remove(f.files[0].Path)) }, []string{"files 1 to 1 are missing"}},
		{"the first file, moved away", func(f forger, c *Check) {
			must(f.t, os.Remove(f.files[0].Path))
			c.First = 2
		}, nil},
		{"all files", func(f forger, _ *Check) {
			for _, file := range f.files {
				must(f.t, os.Remove(file.Path))
			}
		}, []string{"there is no file"}},
		{"the last files, and a line was noted", func(f forger, c *Check) {
			last, _ := check(f.t, *c)
			must(f.t, os.Remove(f.files[3].Path))
			c.Noted = []Place{{last.Last, last.Hash}}
		}, []string{"line 39, which was noted"}},
		{"the open file's end, and a line was noted", func(_ forger, c *Check) {
			c.Noted = []Place{{38, "0"}}
		}, []string{"4.jsonl:2: line 38: its hash is"}},
		{"everything behind a line of a witness", func(f forger, c *Check) {
			c.Noted = seals(f)
			f.rewrite(1, nil)
			must(f.t, os.Remove(f.files[2].Path))
			must(f.t, os.Remove(f.files[3].Path))
		}, []string{"2.gz:12: line 24: its hash is", "line 36, which was noted with hash"}},
		{"a file between lines of a witness", func(f forger, c *Check) {
			c.Noted = seals(f)
			must(f.t, os.Remove(f.files[1].Path))
		}, []string{"files 2 to 2 are missing", "line 24, which was noted with hash"}},
		{"the first file, moved away, with a witness", func(f forger, c *Check) {
			c.Noted = seals(f)
			c.First = 2
			must(f.t, os.Remove(f.files[0].Path))
		}, nil},
		{"all that a witness has seen", func(f forger, c *Check) {
			c.Noted = seals(f)[:1]
			c.First = 3
			must(f.t, os.Remove(f.files[0].Path))
			must(f.t, os.Remove(f.files[1].Path))
		}, []string{"line 12, which was noted with hash"}},
		{"all that a witness has seen, which the first line here follows", func(f forger, c *Check) {
			c.Noted = seals(f)[:1]
			c.First = 2
			must(f.t, os.Remove(f.files[0].Path))
		}, []string{"line 12, which was noted with hash"}}, // it proves nothing of the lines that are here
		{"what the first line here follows", func(f forger, c *Check) {
			c.Noted = seals(f)[:1]
			c.Noted[0].Hash = noHash
			c.First = 2
			must(f.t, os.Remove(f.files[0].Path))
		}, []string{"2.gz:1: line 13: it follows line 12 with hash", "line 12, which was noted with hash"}},
		{"the list of a witness", func(f forger, c *Check) {
			c.Noted = seals(f)
			c.Noted[1].Hash = noHash
		}, []string{"2.gz:12: line 24: its hash is"}},
		{"a record of a copy that was not made", func(f forger, _ *Check) {
			f.append(Line{Kind: Copied, File: 2, To: 24, Last: noHash})
		}, []string{"4.jsonl:4: line 40: it says that file 2 was copied with last line 24:0000"}},
		{"a record of a removal, with another last line", func(f forger, _ *Check) {
			f.append(Line{Kind: Removed, File: 2, To: 24, Last: noHash})
		}, []string{"4.jsonl:4: line 40: it says that file 2 was removed with last line 24:0000"}},
		{"a record of the removal of what is to come", func(f forger, _ *Check) {
			f.append(Line{Kind: Removed, File: 4, To: 99, Last: noHash})
		}, []string{"4.jsonl:4: line 40: it says that file 4 was removed, which was not sealed yet"}},
		{"one file more than a record of a removal names", func(f forger, _ *Check) {
			f.append(f.removal(0))
			must(f.t, os.Remove(f.files[0].Path))
			must(f.t, os.Remove(f.files[1].Path))
		}, []string{"files 1 to 2 are missing"}},
		{"the record of a removal, with its file", func(f forger, _ *Check) {
			f.append(f.removal(0))
			must(f.t, os.Remove(f.files[0].Path))
			must(f.t, os.Remove(f.files[3].Path))
		}, []string{"files 1 to 1 are missing"}},
		{"a record of a removal behind the last signature", func(f forger, c *Check) {
			f.append(f.removal(0))
			must(f.t, os.Remove(f.files[0].Path))
			c.Keys = keys(f.key)
		}, []string{"files 1 to 1 are missing, and no signature covers the line in file 4"}},
		{"a witness that contradicts itself", func(f forger, c *Check) {
			c.Noted = append(seals(f), Place{24, noHash})
		}, []string{"2.gz:12: line 24: its hash is"}},
		{"a witness of another trail", func(f forger, c *Check) {
			c.Noted = seals(newForger(f.t))
		}, []string{"1.gz:12: line 12: its hash is", "2.gz:12: line 24: its hash is", "3.gz:12: line 36: its hash is"}},
		{"a half line of the open file", func(f forger, _ *Check) {
			b := unpack(f.t, f.files[3])
			repack(f.t, f.files[3], b[:len(b)-9])
		}, nil},
		{"everything rewritten, without the key", func(f forger, c *Check) {
			f.rewrite(1, nil)
			c.Keys = keys(f.key)
		}, []string{"3.gz:1: line 25: the line before it was exchanged"}},
		{"everything rewritten, with another key", func(f forger, c *Check) {
			f.rewrite(1, wrong)
			c.Keys = keys(f.key)
		}, []string{"3.gz:1: line 25: the line before it was exchanged"}},
		{"the wrong key to check", func(_ forger, c *Check) { c.Keys = keys(wrong) }, []string{"no file is signed with key"}},
		{"the last sealed file rewritten, without the key", func(f forger, c *Check) {
			must(f.t, os.Remove(f.files[3].Path))
			f.rewrite(2, nil)
			c.Keys = keys(f.key)
		}, []string{"file 3: no signature covers it"}},
		{"the last sealed file rewritten, with another key", func(f forger, c *Check) {
			must(f.t, os.Remove(f.files[3].Path))
			f.rewrite(2, wrong)
			c.Keys = keys(f.key)
		}, []string{"file 3: no signature covers it"}},
		{"the last sealed file rewritten, with the key that was replaced", func(f forger, c *Check) {
			must(f.t, os.Remove(f.files[3].Path))
			f.rewrite(2, wrong)
			c.Keys = keys(wrong, f.key)
		}, []string{"file 3: no signature covers it"}},
		{"a signature", func(f forger, c *Check) {
			f.rows(2, func(rows [][]byte) [][]byte {
				text := bytes.Clone(rows[11][:len(rows[11])-hashField-1])
				first := bytes.Index(text, []byte(`"signature":"`)) + len(`"signature":"`)
				if text[first] == 'A' {
					text[first] = 'B'
				} else {
					text[first] = 'A'
				}
				rows[11] = fmt.Appendf(text, `,"hash":"%s"}`+"\n", hashOf(text))
				return rows
			})
			must(f.t, os.Remove(f.files[3].Path))
			c.Keys = keys(f.key)
		}, []string{"3.gz:12: line 36: its signature is not of key"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newForger(t)
			c := Check{Dir: f.dir}
			tt.forge(f, &c)
			_, faults := check(t, c)
			for i, want := range tt.faults {
				if want == "…" {
					return
				}
				if i >= len(faults) || !strings.HasPrefix(short(faults[i]), want) {
					t.Errorf("fault %d is not %q: %q", i, want, faults)
				}
			}
			if len(faults) > len(tt.faults) {
				t.Errorf("more faults than %q: %q", tt.faults, faults)
			}
		})
	}
}

// short leaves the number of the file, and how it ends.
func short(fault string) string {
	fault = strings.ReplaceAll(fault, "audit-0000000", "")
	return strings.Replace(strings.Replace(fault, "-2026-11-23.jsonl.gz", ".gz", 1), "-2026-11-23.jsonl", ".jsonl", 1)
}

// seals are what a witness has noted, in the order in which it came.
func seals(f forger) (all []Place) {
	must(f.t, Read(f.t.Context(), f.dir, 0, func(l Line, _ []byte) error {
		if l.Kind == End {
			all = append(all, Place{l.Line, l.Hash})
		}
		return nil
	}))
	all[0], all[2] = all[2], all[0]
	slices.Reverse(all)
	return all
}

func newForger(t *testing.T) forger {
	t.Helper()
	f := forger{t: t, dir: t.TempDir()}
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	f.key = key
	w := mustOpen(t, Options{Dir: f.dir, MaxFileBytes: 1 << 20, Key: signedBy(key)})
	for seq := uint64(1); seq <= 30; seq += 10 {
		must(t, w.Append(noon, messages(seq, seq+9, noon)))
		w.o.MaxFileBytes = 1
		must(t, w.ready(noon.Add(time.Minute)))
		w.o.MaxFileBytes = 1 << 20
	}
	must(t, w.Append(noon, messages(31, 32, noon)))
	must(t, w.Close())
	if f.files, err = Files(f.dir); err != nil || len(f.files) != 4 {
		t.Fatalf("%v, %v", f.files, err)
	}
	return f
}

// Whatever a line is, reading it does no harm, and one that is accepted is what
// was written.
func FuzzParse(f *testing.F) {
	l := record(message(7, noon))
	l.Line, l.Previous = 3, noHash
	text, err := l.encode(nil, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.TrimSuffix(text, []byte("\n")))
	f.Add([]byte(`{"line":1,"kind":"begin","previous":"","hash":""}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		l, err := Parse(text)
		if err != nil {
			return
		}
		if again, err := Parse(fmt.Appendf(nil, "%s", text)); err != nil || again.Hash != l.Hash {
			t.Errorf("%q, %v", again.Hash, err)
		}
	})
}
