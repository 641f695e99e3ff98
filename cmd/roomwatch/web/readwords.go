package web

import "fmt"

// reads tells what the point reads of a room have said, and which are due.
func (s *sentences) reads(e Explanation) {
	r := e.Reads
	switch {
	case r.Refused != nil:
		s.say("The service refuses point reads since %s: %s. Sweeps alone decide; reads are tried again at %s.", s.at(r.Refused.Since), r.Refused.Text, s.at(r.Retry))
	case !r.Answering:
		s.say("Point reads get no definite answers: sweeps alone decide until one does.")
	}
	s.lastRead(e)
	if r.Failed > 0 {
		s.say("%s of it said nothing definite since one has shown it, the newest at %s.", count(r.Failed, "read"), s.at(r.FailedAt))
	}
	if r.Reading {
		s.say("A read of it is on its way.")
	}
	if p := r.Waiting; p != nil && !e.secondRead() {
		s.say("Proposed for a read since %s, because %s: due at %s, with %s of its class (%s) before it.", s.at(p.Since), because(p.Source), s.at(p.Due), count(p.Before, "room"), p.Class)
	}
	if n := r.Newer; n != nil {
		s.newer(*n)
	}
	s.witnesses(*r)
}

// secondRead reports whether the read that waits is the second witness.
func (e Explanation) secondRead() bool {
	r := e.Reads
	return e.Room != nil && r.Waiting != nil && r.Last != nil && r.Last.Outcome == "gone" && len(r.Witnesses) == 1
}

func (s *sentences) lastRead(e Explanation) {
	r := e.Reads.Last
	switch {
	case r == nil:
	case e.secondRead():
		s.say("Read at %s: gone, second read due at %s.", s.at(r.At), s.at(e.Reads.Waiting.Due))
	case !r.Void.IsZero():
		s.say("Read at %s: %s. That is void: the control at %s did not find a room that lives.", s.at(r.At), outcome(r.Outcome), s.at(r.Void))
	case e.Room == nil && r.Outcome == "hidden":
		s.say("Read at %s: %s. A hidden room that is not known becomes known when the list shows it.", s.at(r.At), outcome(r.Outcome))
	default:
		s.say("Read at %s: %s.", s.at(r.At), outcome(r.Outcome))
	}
}

func outcome(o string) string {
	switch o {
	case "live":
		return "it lives, and the list shows it"
	case "hidden":
		return "it lives, and the list does not show it"
	case "no_answer":
		return "no definite answer"
	}
	return o
}

// because says why a read is proposed.
func because(source string) string {
	switch source {
	case "missed":
		return "a complete sweep has missed it"
	case "passed":
		return "the sweep on its way should have shown it"
	case "shown_again":
		return "a page shows it otherwise than it is known"
	case "probe":
		return "a probe shows it, and it is not known"
	case "hidden":
		return "it is hidden"
	case "asked_again":
		return "a read needs a second one"
	case "callback":
		return "a callback has named it"
	case "lower_count":
		return "pages of two sweeps show fewer views"
	case "callback_again":
		return "a read has contradicted a callback"
	}
	return source
}

func (s *sentences) newer(n NewerLife) {
	shown := "a page has shown it, and no read yet"
	if !n.Read.IsZero() {
		shown = fmt.Sprintf("a read at %s has shown it, and no page yet", s.at(n.Read))
		if n.Listed {
			shown = "a page and a read have shown it"
		}
	}
	s.say("A newer life (CreateTime %d) waits for its proof: %s.", n.CreateTime, shown)
}

// witnesses tells who says that the room does not exist, and what is lacking.
func (s *sentences) witnesses(r RoomReads) {
	if !r.VoidSince.IsZero() {
		s.say("No read that finds no room counts now: the control at %s did not find a room that lives.", s.at(r.VoidSince))
	}
	switch len(r.Witnesses) {
	case 0:
		return
	case 1:
		s.say("Its end needs two witnesses; one says that it does not exist: the %s at %s.", r.Witnesses[0].By, s.at(r.Witnesses[0].At))
		return
	}
	a, b := r.Witnesses[0], r.Witnesses[1]
	s.say("Two witnesses say that it does not exist: the %s at %s and the %s at %s.", a.By, s.at(a.At), b.By, s.at(b.At))
	switch {
	case r.HeldBack:
		s.say("Its end is proved and held back: so many rooms are gone at once that their share has to be proved first.")
	case r.Proved:
		s.say("Its end is proved.")
	case r.Controllable:
		s.say("Its end waits for a control: a read that finds a room which lives.")
	default:
		s.say("Its end waits for a control, and no room was shown of late that could be read for one: sweeps decide.")
	}
}
