package main

import (
	"context"
	"crypto/sha256"
	"os"
	"slices"
	"time"

	"github.com/dustin/go-humanize/english"

	"roomwatch/cmd/roomnotify/rules"
)

// rulesEvery is how often the rule file is compared with what was read, and the
// store is asked for a `roomnotify reload`.
const rulesEvery = 5 * time.Second

// A ruleSet is a rule file that can be used, with what sends to its targets.
type ruleSet struct {
	file    *rules.File
	senders map[string]*sender
	request string // the id of the command that asked for it; empty: none did
}

// hangUp asks for a reload, as SIGHUP does.
func (d *daemon) hangUp() {
	select {
	case d.hangups <- struct{}{}:
	default: // one is asked for already
	}
}

// awaitRules waits for new rules that can be used: the file changed, or somebody
// asks for a reload. Rules that cannot be used are logged, and the old ones stay in
// force. It returns nil when ctx is done first.
func (d *daemon) awaitRules(ctx context.Context, s *store) *ruleSet {
	tick := time.NewTicker(rulesEvery)
	defer tick.Stop()
	for {
		var why, request string
		select {
		case <-ctx.Done():
			return nil
		case <-d.hangups:
			why = "SIGHUP"
		case <-tick.C:
			if request = d.asked(ctx, s); request != "" {
				why = "roomnotify reload"
			} else if d.changed() {
				why = "the file changed"
			}
		}
		if why == "" {
			continue
		}
		set, err := d.load()
		d.metrics.loaded(err)
		if err != nil {
			d.log.ErrorContext(ctx, "rule file was not reloaded: the old rules stay in force", "cause", why, "error", err, "fix", "correct the file; it is read again when it has changed")
			d.answer(ctx, s, request, nil, err)
			continue
		}
		d.log.InfoContext(ctx, "rule file reloaded", "cause", why, "rules", len(set.file.Rules), "targets", len(set.file.Targets))
		for _, w := range set.file.Warnings {
			d.log.WarnContext(ctx, "rule file has a questionable entry", "finding", w)
		}
		set.request = request
		return set
	}
}

// changed reports whether the file says something else than when it was last tried.
// It is read, and not looked at: Kubernetes swaps a link, and some disks have times
// of a whole second. One that is away for a moment is being replaced.
func (d *daemon) changed() bool {
	text, err := os.ReadFile(d.cfg.Rules)
	return err == nil && sha256.Sum256(text) != d.tried
}

// load reads the file and opens all that it names.
func (d *daemon) load() (*ruleSet, error) {
	if text, err := os.ReadFile(d.cfg.Rules); err == nil {
		d.tried = sha256.Sum256(text)
	}
	file, err := readRules(d.cfg.Rules)
	if err != nil {
		return nil, err
	}
	d.tried = file.Sum
	senders, err := d.senders(file)
	if err != nil {
		return nil, err
	}
	return &ruleSet{file: file, senders: senders}, nil
}

// close ends the connections to the targets.
func (r *ruleSet) close() {
	for _, s := range r.senders {
		s.client.CloseIdleConnections()
	}
}

// inherit takes over what is known of a target, from the one that was told by the
// rules before: which notifications it has answered, so that none is sent twice,
// and how much of its limits is used up.
func (g *target) inherit(was *target) {
	was.mu.Lock()
	defer was.mu.Unlock()
	g.watch, g.answered, g.counts, g.taken = was.watch, was.answered, was.counts, was.taken
	if g.t.URL == was.t.URL && g.t.Chat == was.t.Chat && slices.Equal(g.t.To, was.t.To) {
		g.asked, g.failing = was.asked, was.failing
	}
	if g.t.PerSecond() == was.t.PerSecond() {
		g.pace = was.pace
	}
	if g.limit.limit == was.limit.limit {
		g.limit = was.limit
	}
	for _, r := range g.rules {
		if before := was.rule(r.Name); before != nil && before.limit.limit == r.limit.limit {
			r.limit = before.limit
		}
	}
}

// outlive returns a context that ends with ctx, but some time later if that is
// because roomnotify stops or has other rules: what is on its way then is finished,
// and noted. If another roomnotify has taken over, nothing more may be sent.
func (g *target) outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		if g.stop.Err() == nil {
			cancel()
			return
		}
		time.AfterFunc(g.t.RequestTimeout()+graceOverTime, cancel)
	})
	return work, func() {
		stop()
		cancel()
	}
}

func (r *ruleSet) String() string {
	return english.Plural(len(r.file.Rules), "rule", "") + ", " + english.Plural(len(r.file.Targets), "target", "")
}
