package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"roomwatch/cmd/internal/display"
	"roomwatch/cmd/roomwatch/config"
	"roomwatch/diff"
	"roomwatch/publisher/events"
)

// The types of what is told of the watch; `tail` shows them if they are asked for.
const (
	watchAlive   = diff.Type(events.WatchAlive)
	watchResumed = diff.Type(events.WatchResumed)
)

func isWatch(t diff.Type) bool { return t == watchAlive || t == watchResumed }

// watchFilter returns the filter of one of these types; an application of 0 stands for all.
func watchFilter(cfg *config.Config, t diff.Type) string {
	app := "*"
	if cfg.SDKAppID != 0 {
		app = strconv.Itoa(cfg.SDKAppID)
	}
	return strings.Join([]string{cfg.SubjectPrefix, string(t), app}, ".")
}

// printWatch writes what is told of the watch, in one line.
func (p *eventPrinter) printWatch(t diff.Type, body []byte) error {
	clock := func(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05Z07:00") }
	style, at, what := p.faint, time.Time{}, ""
	switch t {
	case watchAlive:
		a, err := events.DecodeAlive(body)
		if err != nil {
			return err
		}
		d := a.Data
		at, what = a.Time, "watching"
		if !d.Watching {
			style, what = p.ended, "not watching: the list is not read to its end"
		}
		if !d.Until.IsZero() {
			what += ", last at " + clock(d.Until)
		}
		what += fmt.Sprintf("; %s live, %d missing, %d hidden, %s", display.Count(d.Rooms, "room"), d.Missing, d.Hidden, waits(d.Waiting))
	default:
		r, err := events.DecodeResumed(body)
		if err != nil {
			return err
		}
		style, at = p.update, r.Time
		what = fmt.Sprintf("nobody watched from %s to %s (%s): %s", clock(r.Data.From), clock(r.Data.To), r.Data.To.Sub(r.Data.From).Round(time.Second), plain(r.Data.Why))
	}
	_, err := fmt.Fprintf(p.w, "%s  %s  %-24s %s\n", p.faint.Sprint(at.Local().Format("2006-01-02 15:04:05.000Z07:00")), style.Sprintf("%-17s", t), "", what)
	return err
}

func waits(events uint64) string {
	if events == 0 {
		return "no events wait"
	}
	return display.Count(events, "event waits", "events wait")
}
