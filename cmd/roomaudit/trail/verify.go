package trail

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Verify reads the whole trail and tells every fault. The trail may be written
// to meanwhile: a last line that is not whole yet is no fault. The error is one of
// reading, or that of ctx when it ends meanwhile.
func Verify(ctx context.Context, c Check, tell func(Fault) error) (Summary, error) {
	files, err := Files(c.Dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return Summary{}, fmt.Errorf("verify audit trail: %w", err)
	}
	v := &verifier{ctx: ctx, Check: c, tell: tell, end: chain{hash: noHash}, next: max(1, c.First), ends: map[int]Place{}, noted: newNoted(c), signatures: newSignatures(c)}
	v.fresh = v.next > 1
	for i, f := range files {
		v.newest = i == len(files)-1
		if err := v.file(f); err != nil {
			return v.Summary, fmt.Errorf("verify audit trail: %w", err)
		}
	}
	if err := v.unsealed(false); err != nil {
		return v.Summary, err
	}
	v.at = Fault{}
	if len(files) == 0 {
		err = v.fault("%v", none(c.Dir))
	} else {
		err = errors.Join(v.unseen(), v.unsigned(), v.unexplained())
	}
	v.Last, v.Hash, v.Stream = v.end.line, v.end.hash, v.end.position
	return v.Summary, err
}

// A verifier is one run of [Verify].
type verifier struct {
	ctx context.Context // of the one call that it lives for
	Check
	Summary

	tell   func(Fault) error
	at     Fault // where it reads
	newest bool
	next   int    // the number of the next file
	trail  string // its id
	end    chain
	fresh  bool          // what comes next need not follow what came before
	sealed bool          // the line before was the last of its file
	ends   map[int]Place // the last lines of sealed files
	noted  *noted
	index  *collector // makes the index of the file, to be compared with the one beside it; nil: there is none

	gone *gone  // what is missing before the first file; nil: nothing
	open *Fault // the file before has no last line, and was not the newest

	signatures *signatures
}

func (v *verifier) fault(format string, args ...any) error {
	f := v.at
	f.Text = fmt.Sprintf(format, args...)
	v.Faults++
	return v.tell(f)
}

// note keeps what the trail itself says was not as usual.
func (v *verifier) note(format string, args ...any) {
	n := v.at
	n.Text = "on record: " + fmt.Sprintf(format, args...)
	v.Notes = append(v.Notes, n)
}

func (v *verifier) file(f File) error {
	before := v.Faults
	err := v.lines(f)
	v.signatures.file(f.Number, v.sealed, v.Faults == before)
	return err
}

func (v *verifier) lines(f File) error {
	v.at = Fault{File: filepath.Base(f.Path)}
	v.Files++
	if f.Number != v.next { // what would explain it is not there
		if err := v.unsealed(false); err != nil {
			return err
		}
	}
	if f.Number < v.next {
		return v.fault("its number is there twice, or it lies before the first file that is expected")
	}
	switch {
	case f.Number > v.next && v.Files == 1:
		v.gone, v.fresh = &gone{from: v.next, to: f.Number - 1}, true
		v.signatures.from = f.Number
	case f.Number > v.next:
		missing := Fault{Text: fmt.Sprintf("files %d to %d are missing", v.next, f.Number-1)}
		v.Faults++
		if err := v.tell(missing); err != nil {
			return err
		}
		v.fresh = true // what the missing ones held is one fault, not many
	}
	v.next = f.Number + 1
	v.sealed = false
	err := v.read(f)
	switch {
	case v.ctx.Err() != nil:
		return v.ctx.Err() // and no fault of the file
	case errors.Is(err, errTorn) && v.newest && !f.Compressed:
		v.Open = true
		return nil // it is being written, or was when the power went
	case err != nil && (errors.Is(err, errTorn) || errors.Is(err, errLong) || f.Compressed):
		return v.fault("it cannot be read to its end: %v", err)
	case err != nil:
		return err
	case v.newest && !v.sealed:
		v.Open = true
		if f.Compressed {
			return v.fault("its end was cut off")
		}
	case !v.sealed:
		at := v.at
		v.open = &at
	}
	return nil
}

// read checks the lines of a file, and compares with them the index beside it.
func (v *verifier) read(f File) error {
	x, indexed := f.index()
	v.index = nil
	if indexed {
		v.index = newCollector()
	}
	err := f.lines(func(text []byte) error {
		v.at.Row++
		if err := v.ctx.Err(); err != nil {
			return err
		}
		return v.line(f, text)
	})
	v.at.Row, v.at.Line = 0, 0
	if err == nil && indexed && !v.index.index(x.Size, x.Tail).same(x) {
		err = v.fault("its index is not what is made from it, and may hide something from queries: remove %s", filepath.Base(f.indexPath()))
	}
	return err
}

// unsealed tells that the file before has no end, unless this one says why, and
// follows its last line.
func (v *verifier) unsealed(explained bool) error {
	cut := v.open
	v.open = nil
	if cut == nil || explained {
		return nil
	}
	v.Faults++
	cut.Text = "its end was cut off: it is not the newest file, and has no last line"
	return v.tell(*cut)
}

// unexplained tells, when all is read, which files are missing before the first one
// and not on record as removed. Where keys are given, a record counts that a signature
// covers: who has none can write a line behind the last signature.
func (v *verifier) unexplained() error {
	g := v.gone
	switch {
	case g == nil || len(g.records) > 0 && len(v.Keys) == 0 || slices.ContainsFunc(g.records, v.signatures.covers):
		return nil
	case len(g.records) > 0:
		return v.fault("files %d to %d are missing, and no signature covers the line in file %d that says that they were removed", g.from, g.to, g.records[0])
	}
	return v.fault("files %d to %d are missing", g.from, g.to)
}

// line checks a line against the one before, and then continues behind it whatever
// it is, so that one fault is told once.
func (v *verifier) line(f File, text []byte) error {
	l, err := Parse(text)
	sound := err == nil
	intact := l.Line == v.end.line+1 && l.Previous == v.end.hash
	if err := v.unsealed(err == nil && intact && l.Reason != ""); err != nil {
		return err
	}
	v.at.Line = l.Line
	v.Lines++
	switch {
	case errors.Is(err, errChanged) && intact: // one fault, not that of the next line, too
		err = v.fault("%v", err)
	case err != nil:
		if terr := v.fault("%v", err); terr != nil {
			return terr
		}
		v.end.line++ // it stands where a line was
		if err = nil; l.Line == 0 {
			v.fresh = true
			return nil
		}
	case !v.fresh:
		err = v.follows(l)
	}
	if err == nil {
		err = v.content(f, text, l)
	}
	v.fresh = false
	v.end.follow(l)
	if err == nil && sound && v.index != nil {
		if bad := v.index.see(l); bad != nil {
			err = v.fault("its event cannot be read: %v", bad)
		}
	}
	return err
}

// follows checks T1 and T2.
func (v *verifier) follows(l Line) error {
	switch want := v.end.line + 1; {
	case l.Line > want:
		return v.fault("lines %d to %d are missing before it", want, l.Line-1)
	case l.Line < want:
		return v.fault("it was inserted or moved here: line %d belongs here", want)
	case l.Previous != v.end.hash:
		return v.fault("the line before it was exchanged or changed: it does not have the hash that this one names")
	}
	return nil
}

// content checks what the line says.
func (v *verifier) content(f File, text []byte, l Line) error {
	if err := v.compare(l); err != nil {
		return err
	}
	first := v.at.Row == 1
	switch {
	case first != (l.Kind == Begin):
		return v.fault("it is of kind %s, where the first line, and no other, begins a file", l.Kind)
	case v.sealed:
		return v.fault("it stands behind the last line of the file")
	}
	switch l.Kind {
	case Begin:
		if l.File != f.Number || v.trail != "" && l.Trail != v.trail {
			return v.fault("it begins file %d of trail %s", l.File, l.Trail)
		}
		v.trail = l.Trail
		if v.gone != nil && v.gone.line == 0 {
			v.gone.line, v.gone.previous = l.Line, l.Previous
		}
		if l.Reason != "" {
			v.note("%s", l.Reason)
		}
	case Event, Claim, Watch, Other:
		v.Messages++
		if o, ok := unwatched(l); ok {
			v.note("%s", o.unwatched())
		}
		if l.Seq != v.end.position.Last+1 && !v.fresh {
			return v.fault("message %d follows message %d", l.Seq, v.end.position.Last)
		}
	case Gap:
		v.Gaps++
		if (l.From != v.end.position.Last+1 || l.To < l.From) && !v.fresh {
			return v.fault("gap from %d to %d follows message %d", l.From, l.To, v.end.position.Last)
		}
		v.note("messages %d to %d of the stream are not here: %s", l.From, l.To, l.Reason)
	case Stream:
		v.note("%s", l.Reason)
	case Removed:
		v.note("the files up to number %d, which end with line %d:%s, were removed: %s", l.File, l.To, l.Last, l.Reason)
		if v.gone != nil && v.gone.recorded(l) {
			v.gone.records = append(v.gone.records, f.Number)
		}
		return v.ended(f, l, "removed")
	case Copied:
		v.Copied = l.File
		return v.ended(f, l, "copied")
	case End:
		v.sealed = true
		v.ends[f.Number] = Place{l.Line, l.Hash}
		return v.signature(f, text, l)
	default:
		return v.fault("its kind is %q", l.Kind)
	}
	return nil
}
