package main

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"roomwatch/cmd/internal/display"
	"roomwatch/cmd/roomaudit/trail"
	"roomwatch/publisher/events"
)

// tablePrinter shows an event in a line for people. The columns have fixed
// widths, so that nothing is held back to measure it; what is longer moves the
// rest of its line.
func tablePrinter(w io.Writer) printer {
	row := func(cells ...any) error {
		_, err := fmt.Fprintf(w, "%-24s  %-17s  %-24s  %9v  %7v  %-16s  %-10s  %s\n", cells...)
		return err
	}
	begun := false
	return printer{
		print: func(_ trail.Line, _ []byte, e events.Event) error {
			if !begun {
				begun = true
				if err := row("TIME", "TYPE", "ROOM", "VIEWS", "VERSION", "OWNER", "EVIDENCE", "NAME"); err != nil {
					return err
				}
			}
			r := e.Data.Room
			return row(eventTime(e.Time), e.Type, visible(r.RoomID), r.ViewCount, e.Data.Version, visible(r.OwnerAccount), visible(proofOf(e)), visible(r.RoomName))
		},
		flush: func() error { return nil },
	}
}

// proofOf says in a word what proves an event; by sweeps with their number, and
// empty where the event does not say.
func proofOf(e events.Event) string {
	switch p := e.Data.Evidence; {
	case p == nil:
		return ""
	case p.Missed > 0:
		return p.By + " " + strconv.FormatUint(p.Missed, 10)
	default:
		return p.By
	}
}

// visible writes what a stranger has chosen so that it cannot move the cursor,
// colour the screen or turn the line around.
func visible(s string) string {
	var b strings.Builder
	for r, safe := range display.Runes(s) {
		if safe {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRuneToASCII(r), "'"))
		}
	}
	return b.String()
}

// csvPrinter writes comma separated values with a header, by RFC 4180.
func csvPrinter(w io.Writer) printer {
	out := csv.NewWriter(w)
	begun := false
	header := func() error {
		if begun {
			return nil
		}
		begun = true
		return out.Write([]string{
			"line", "stored", "id", "type", "time", "sdkappid", "room_id", "create_time", "owner", "name", "views", "previous_views", "version", "since", "baseline",
			"evidence", "missed", "requests", // new columns come last, for who counts them
		})
	}
	return printer{
		print: func(l trail.Line, _ []byte, e events.Event) error {
			if err := header(); err != nil {
				return err
			}
			r, previous, since := e.Data.Room, "", ""
			by, missed, requests := "", "", ""
			if p := e.Data.Evidence; p != nil {
				by, requests = cell(p.By), cell(strings.Join(p.Requests, " "))
				if p.Missed > 0 {
					missed = strconv.FormatUint(p.Missed, 10)
				}
			}
			if p := e.Data.Previous; p != nil && p.ViewCount != nil {
				previous = strconv.FormatInt(*p.ViewCount, 10)
			}
			if !e.Data.Since.IsZero() {
				since = eventTime(e.Data.Since)
			}
			return out.Write([]string{
				strconv.FormatUint(l.Line, 10), storedTime(l.Stored), cell(e.ID), cell(string(e.Type)), eventTime(e.Time),
				strconv.Itoa(e.App()), cell(r.RoomID), strconv.FormatInt(r.CreateTime, 10), cell(r.OwnerAccount), cell(r.RoomName),
				strconv.FormatInt(r.ViewCount, 10), previous, strconv.FormatUint(e.Data.Version, 10), since, strconv.FormatBool(e.Data.Baseline),
				by, missed, requests,
			})
		},
		flush: func() error {
			err := header()
			out.Flush()
			if err == nil {
				err = out.Error()
			}
			return err
		},
	}
}

// The times of a copy have a fixed width, so that they sort as text.
func storedTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000Z") }
func eventTime(t time.Time) string  { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// cell keeps a spreadsheet from running what a stranger has chosen: it takes what
// begins like a formula for one, unless an apostrophe stands before it. Where a
// cell begins is for each reader to say: many split also at semicolons, tabs, bars
// and line breaks, within quotes or not, and drop blanks and quotes. So each
// formula sign behind one of those gets its apostrophe.
func cell(s string) string {
	var b strings.Builder
	begins := true
	for _, r := range s {
		if begins && strings.ContainsRune("=+-@＝＋－＠", r) {
			b.WriteByte('\'')
		}
		switch {
		case strings.ContainsRune(",;|\"'", r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r):
			begins = true
		case !unicode.IsSpace(r) && !hidden(r): // what is not seen does not begin a cell, nor end its beginning
			begins = false
		case r == '\t' || r == '\n' || r == '\r' || r == '\v' || r == '\f' || r == 0x85:
			begins = true
		}
		b.WriteRune(r)
	}
	return b.String()
}

// hidden reports what a reader may drop; unlike [visible] it spares no joiner.
func hidden(r rune) bool { return !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r) }
