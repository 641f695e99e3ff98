package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/fatih/color"

	"roomwatch/cmd/internal/display"
	"roomwatch/diff"
)

// An eventPrinter writes events for people, one line each.
type eventPrinter struct {
	w                             io.Writer
	created, ended, count, update *color.Color
	faint                         *color.Color
}

// newEventPrinter returns a printer that writes to w, in colour if colored.
func newEventPrinter(w io.Writer, colored bool) *eventPrinter {
	style := func(a ...color.Attribute) *color.Color {
		c := color.New(a...)
		if colored {
			c.EnableColor()
		} else {
			c.DisableColor()
		}
		return c
	}
	return &eventPrinter{
		w: w, created: style(color.FgGreen, color.Bold), ended: style(color.FgRed, color.Bold),
		count: style(color.FgCyan), update: style(color.FgYellow), faint: style(color.Faint),
	}
}

// print writes one event.
func (p *eventPrinter) print(e diff.Event) error {
	var style *color.Color
	var what string
	r := e.Room
	switch e.Type {
	case diff.RoomCreated:
		style, what = p.created, fmt.Sprintf("%s  %s, owner %s", title(r), display.Count(r.ViewCount, "view"), plain(r.OwnerAccount))
		if e.Baseline {
			what += p.faint.Sprint("  (was live already)")
		}
	case diff.RoomEnded:
		style, what = p.ended, fmt.Sprintf("%s  %s, live for %s", title(r), display.Count(r.ViewCount, "view"), lived(e))
	case diff.ViewCountChanged:
		style, what = p.count, fmt.Sprintf("%s  %s", title(r), countChange(e))
	case diff.RoomHidden:
		style, what = p.update, title(r)+"  left the list, and lives on"
	case diff.RoomShown:
		style, what = p.update, title(r)+"  back on the list"
	default:
		style, what = p.update, fmt.Sprintf("%s  %s changed", title(r), strings.Join(changed(e.Previous), ", "))
	}
	if e.Gap {
		what += p.faint.Sprint("  (may have happened while nobody watched)")
	}
	_, err := fmt.Fprintf(p.w, "%s  %s  %-24s %s\n", p.faint.Sprint(e.Time.Local().Format("2006-01-02 15:04:05.000Z07:00")),
		style.Sprintf("%-17s", e.Type), plain(r.RoomID), what)
	return err
}

// title does not use %q, which escapes what emoji are made of.
func title(r diff.Room) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(plain(r.RoomName)) + `"`
}

// lived returns how long the room was live, as far as it was seen.
func lived(e diff.Event) string {
	return e.Time.Sub(time.Unix(e.Room.CreateTime, 0)).Round(time.Second).String()
}

func countChange(e diff.Event) string {
	if e.Previous.ViewCount == nil {
		return display.Count(e.Room.ViewCount, "view")
	}
	before := *e.Previous.ViewCount
	return fmt.Sprintf("%s → %s (%+d)", humanize.Comma(before), display.Count(e.Room.ViewCount, "view"), e.Room.ViewCount-before)
}

func changed(p diff.Previous) []string {
	var names []string
	for _, f := range []struct {
		name    string
		changed bool
	}{
		{"name", p.RoomName != nil}, {"owner", p.OwnerAccount != nil}, {"cover", p.CoverURL != nil},
		{"category", p.Category != nil}, {"activity status", p.ActivityStatus != nil}, {"views", p.ViewCount != nil},
	} {
		if f.changed {
			names = append(names, f.name)
		}
	}
	return names
}

// plain replaces what is not safe to show: names come from strangers.
func plain(s string) string {
	var b strings.Builder
	for r, safe := range display.Runes(s) {
		if !safe {
			r = '\uFFFD'
		}
		b.WriteRune(r)
	}
	return b.String()
}
