package trail

import "slices"

// A noted holds a trail against lines that were kept somewhere else. What was written
// anew has other hashes, and what was taken away is not there.
type noted struct {
	places []Place // in order
	seen   int     // so many of them are before the line that is read
	absent []Place // between lines that are there
}

func newNoted(c Check) *noted {
	places := slices.Clone(c.Noted)
	slices.SortStableFunc(places, func(a, b Place) int {
		switch {
		case a.Line < b.Line:
			return -1
		case a.Line > b.Line:
			return 1
		}
		return 0
	})
	return &noted{places: places}
}

// compare compares the next line of the trail with what was noted of it. The first
// line here names the hash of the one before: that it follows a noted line proves what
// came before, and nothing of the lines that are here.
func (v *verifier) compare(l Line) error {
	n := v.noted
	for ; n.seen < len(n.places) && n.places[n.seen].Line <= l.Line; n.seen++ {
		p := n.places[n.seen]
		switch {
		case p.Line == l.Line-1 && v.Lines == 1:
			v.Proven = p.Line
			if p.Hash == l.Previous {
				continue
			}
			if err := v.fault("it follows line %d with hash %s, and %s was noted: something before it was rewritten", p.Line, l.Previous, p.Hash); err != nil {
				return err
			}
		case p.Line < l.Line && v.Lines == 1:
			v.NotedBefore++
		case p.Line < l.Line:
			n.absent = append(n.absent, p)
		case p.Hash == l.Hash:
			v.NotedHere++
			v.Proven = l.Line
		default:
			v.NotedHere++
			if err := v.fault("its hash is %s, and %s was noted: it, or something before it, was rewritten", l.Hash, p.Hash); err != nil {
				return err
			}
		}
	}
	return nil
}

// unseen tells, when all is read, which noted lines are not there. If none is here, that
// they are before the first line is an excuse only if a signature covers the record that
// their files were removed: who rewrites the lines that are here can write that, too.
func (v *verifier) unseen() error {
	n := v.noted
	missing := slices.Concat(n.absent, n.places[n.seen:])
	removed := v.gone != nil && slices.ContainsFunc(v.gone.records, v.signatures.covers)
	if v.NotedHere == 0 && len(missing) == 0 && (v.Proven == 0 || !removed) {
		missing = n.places[:n.seen]
	}
	for _, p := range missing {
		why := "the end was cut off"
		if p.Line <= v.end.line {
			why = "it was removed, or its file was moved away or removed"
		}
		if err := v.fault("line %d, which was noted with hash %s, is not there: %s", p.Line, p.Hash, why); err != nil {
			return err
		}
	}
	return nil
}
