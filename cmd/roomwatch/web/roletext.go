package web

import (
	"fmt"
	"strings"

	"github.com/dustin/go-humanize/english"
)

// RoleText says who writes, who stands by, since when, and how far behind; since writes a
// moment after the words before it, as in "for 5m" or "since 08:00".
func RoleText(s Status, since func(Time) string) string {
	if s.Role == "" { // there is one alone, of an earlier build
		return ""
	}
	var b strings.Builder
	b.WriteString(s.Role)
	switch by := s.Writer; {
	case s.Role == RoleWriter && s.Lease != nil && s.Lease.Held:
		fmt.Fprintf(&b, " %s, term %d", since(s.Lease.Since), s.Lease.Term)
	case s.Role == RoleWriter && by != nil && by.Self:
		fmt.Fprintf(&b, " %s, without a lease", since(by.Since))
	case s.Role == RoleWriter:
	case s.Standby != nil:
		fmt.Fprintf(&b, " %s, %s", since(s.Standby.Since), standbyBehind(*s.Standby))
		fallthrough
	default:
		b.WriteString("; " + writerText(by, since))
	}
	if l := s.Lease; l != nil && l.Held {
		for _, o := range l.Standbys {
			fmt.Fprintf(&b, "; %s stands by on host %s since %s, %s behind", o.Instance, o.Host, o.Since, messages(o.Behind))
			if !o.CaughtUp {
				b.WriteString(", has not read the stream yet")
			}
		}
		if len(l.Standbys) == 0 {
			b.WriteString("; nobody stands by")
		}
	}
	return b.String()
}

func standbyBehind(f Following) string {
	if !f.CaughtUp {
		return messages(f.Behind) + " behind, has not read the stream yet"
	}
	return messages(f.Behind) + " behind"
}

func messages(n uint64) string { return english.Plural(int(n), "message", "") }

func writerText(by *Writer, since func(Time) string) string {
	if by == nil || by.Self {
		return "who is the writer is not known"
	}
	return fmt.Sprintf("the writer is %s on host %s, %s", by.Instance, by.Host, since(by.Since))
}

// utc writes since when something is, for those who may read it at any time.
func utc(t Time) string { return "since " + t.UTC().Format("2006-01-02T15:04:05Z") }

// roleInUTC is RoleText with times in UTC.
func roleInUTC(s Status) string { return RoleText(s, utc) }
