package main

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff"
	"roomwatch/poller/simulator"
)

const (
	// pairSilence is how long nobody asks the service, at most, after the newest thing
	// that was done: the lease; two seconds; and the one that a writer waits, for the
	// sake of the quota, before its first request.
	pairSilence = leaseTime + 3*time.Second
	// pairCalm is how long nobody asks, at most, although nothing was done for long.
	pairCalm = 6 * time.Second
	// pairSlow is what a slow machine may add.
	pairSlow = 2 * time.Second
	// pairElection is how long a cluster elects leaders, at most.
	pairElection = 10 * time.Second
	// pairThaw is how long after it goes on a frozen process sends what it was about to.
	pairThaw = 500 * time.Millisecond
	// pairUnseen is how long a room has to live in sight of a writer to be told of.
	pairUnseen = 4 * time.Second
	// pairSteady is the longest time between two requests of a process that watches.
	pairSteady = time.Second
)

// A pairMessage is a message of the stream.
type pairMessage struct {
	at      time.Time // when it was stored
	subject string
	body    []byte
}

// A pairClaim is a claim: written down from the contract.
type pairClaim struct {
	at      time.Time
	before  int // events that stand before it
	process *contestant
	Data    struct {
		Instance string
		Term     uint64
	}
}

// read returns the whole stream.
func (p *pair) read() (all []pairMessage) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	defer cancel()
	js, err := jetstream.New(p.r.nc)
	if err != nil {
		p.t.Fatal(err)
	}
	cons, err := js.OrderedConsumer(ctx, "LIVE", jetstream.OrderedConsumerConfig{})
	if err != nil {
		p.t.Fatal(err)
	}
	info, err := cons.Info(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	msgs, err := cons.Messages()
	if err != nil {
		p.t.Fatal(err)
	}
	defer msgs.Stop()
	for left := info.NumPending; left > 0; left-- {
		msg, err := msgs.Next(jetstream.NextMaxWait(30 * time.Second))
		if err != nil {
			p.t.Fatalf("read stream: %v, %d messages left", err, left)
		}
		meta, err := msg.Metadata()
		if err != nil {
			p.t.Fatal(err)
		}
		all = append(all, pairMessage{meta.Timestamp, msg.Subject(), msg.Data()})
	}
	return all
}

// judge compares what has come of it with what was promised.
func (p *pair) judge(events []wireEvent) {
	p.t.Helper()
	p.mu.Lock()
	asks := slices.Clone(p.asks)
	p.mu.Unlock()
	var asked, stored []time.Time
	for _, a := range asks {
		asked = append(asked, a.at)
	}
	messages := p.read()
	for _, m := range messages {
		if strings.Count(m.subject, ".") == 4 {
			stored = append(stored, m.at)
		}
		if strings.Contains(m.subject, ".watch.resumed.") {
			p.t.Errorf("a gap was told: %s", m.body)
		}
	}
	p.silence("requests", asked, pairSlow)
	p.silence("events", stored, 2*pairSlow) // not each answer has news
	p.handovers(asks)
	p.quota(asks)
	claims := p.claims(messages)
	p.epochs(claims, events)
	p.twice(events)
	watched := p.watched(asks, claims, events)
	p.untold(watched, events)
	p.lost(watched, claims, events)
}

// silence finds the longest time in which nothing was, although it could have been, and
// compares it with what is promised: after each harm it may last so long, and so it may
// where somebody can only just be the writer again. That a harm is over is no excuse.
func (p *pair) silence(of string, at []time.Time, slow time.Duration) {
	var longest, counted time.Duration
	var where time.Time
	for i := 1; i < len(at); i++ {
		from, to := at[i-1], at[i]
		if to.Sub(from) > longest {
			longest, where = to.Sub(from), from
		}
		// What was before, and then what was done meanwhile.
		k, _ := slices.BinarySearchFunc(p.marks, from, func(m pairMark, t time.Time) int { return m.at.Compare(t) })
		cause, works := p.cause(k), p.marks[max(0, k-1)].works
		for begin := from; ; k++ {
			meanwhile := k < len(p.marks) && p.marks[k].at.Before(to)
			if meanwhile && !p.marks[k].harms && p.marks[k].works == works {
				continue
			}
			end := to
			if meanwhile {
				end = p.marks[k].at
			}
			if works {
				after := end.Sub(cause.at)
				bound := pairSilence
				if end.Sub(begin) <= pairCalm+slow+p.stalled(begin, end) {
					after = 0
				}
				counted = max(counted, end.Sub(begin))
				if p.elects(begin) {
					bound += pairElection
				}
				if after > bound+slow+p.stalled(cause.at, end) {
					p.t.Errorf("no %s for %s from %s on, until %s after: %s", of, end.Sub(begin), p.when(begin), after, cause.what)
				}
			}
			if !meanwhile {
				break
			}
			begin, cause, works = end, p.marks[k], p.marks[k].works
		}
	}
	p.t.Logf("longest time without %s %s, from %s on; longest after the newest harm, where somebody could, %s", of, longest.Round(time.Millisecond), p.when(where), counted.Round(time.Millisecond))
}

// cause is the newest of the first k marks that is a reason for silence.
func (p *pair) cause(k int) pairMark {
	for i := k - 1; i > 0; i-- {
		if p.marks[i].harms || p.marks[i].works != p.marks[i-1].works {
			return p.marks[i]
		}
	}
	return p.marks[0]
}

// elects reports whether the cluster may elect leaders then.
func (p *pair) elects(at time.Time) bool {
	return slices.ContainsFunc(p.marks, func(m pairMark) bool { return m.nodes && !m.at.After(at) && at.Sub(m.at) < pairElection })
}

// handovers sees that one process asks the service at a time: another one begins when
// the one before has ended, or is silent since the last third of its lease.
func (p *pair) handovers(asks []ask) {
	late, hands := 0, 0
	for i := 1; i < len(asks); i++ {
		before, a := asks[i-1], asks[i]
		if before.who == a.who {
			continue
		}
		hands++
		switch gone := before.who; {
		case !gone.ended.IsZero() && gone.ended.Before(a.at), !gone.stopped.IsZero() && gone.stopped.Before(a.at):
		case a.at.Sub(before.at) >= leaseTime/3-200*time.Millisecond:
		case a.excused() || before.excused():
		case a.thawing() || before.thawing():
			late++
		default:
			p.t.Errorf("%s asks at %s, %s after %s", a.who.name, p.when(a.at), a.at.Sub(before.at), gone.name)
		}
	}
	if thaws := p.done[harmFreeze]; late > 2*8*thaws {
		p.t.Errorf("%d requests were late after %d thaws", late, thaws)
	}
	p.t.Logf("%d requests; the asker changed %d times, %d of them for what was on its way when a process was frozen", len(asks), hands, late)
}

// thawing reports whether a request may have been on its way when its process was frozen.
func (a ask) thawing() bool {
	return slices.ContainsFunc(a.who.thaws, func(at time.Time) bool { return !a.at.Before(at) && a.at.Sub(at) < pairThaw })
}

// excused reports whether a process may ask although another one does: it knows of no
// lease, or is cut off and knew of no other one.
func (a ask) excused() bool {
	return a.who.older || !a.who.aloneFrom.IsZero() && a.at.After(a.who.aloneFrom) && a.at.Before(a.who.aloneTo) ||
		strings.Contains(a.who.output.String(), "watching without the lease")
}

// quota sees that nobody's change costs the application its quota.
func (p *pair) quota(asks []ask) {
	var window []time.Time
	most := 0
	for _, a := range asks {
		if !a.list || a.excused() || a.thawing() {
			continue
		}
		window = append(window, a.at)
		for a.at.Sub(window[0]) >= time.Second {
			window = window[1:]
		}
		if most = max(most, len(window)); len(window) > 10 {
			p.t.Errorf("%d requests of the list in the second before %s", len(window), p.when(a.at))
			return
		}
	}
	p.t.Logf("at most %d requests of the list in a second", most)
}

// claims returns the claims of the stream; their terms never fall.
func (p *pair) claims(messages []pairMessage) (all []pairClaim) {
	var top uint64
	before := 0
	for _, m := range messages {
		if strings.Count(m.subject, ".") == 4 {
			before++
			continue
		}
		if !strings.HasPrefix(m.subject, "live.writer.claimed.") {
			continue
		}
		c := pairClaim{at: m.at, before: before}
		if err := json.Unmarshal(m.body, &c); err != nil {
			p.t.Errorf("%s: %v", m.body, err)
		}
		for _, who := range p.all {
			if who.instance == c.Data.Instance {
				c.process = who
			}
		}
		if c.Data.Term > 0 && c.Data.Term < top {
			p.t.Errorf("a claim of term %d stands after one of %d: %s", c.Data.Term, top, m.body)
		}
		top = max(top, c.Data.Term)
		all = append(all, c)
	}
	return all
}

// epochs sees that a warm standby goes on with the numbers of the one before.
func (p *pair) epochs(claims []pairClaim, events []wireEvent) {
	began := map[string]bool{}
	for i, e := range events {
		epoch, _, _ := strings.Cut(e.ID, "-")
		if began[epoch] {
			continue
		}
		began[epoch] = true
		if i == 0 {
			continue
		}
		// The last claim before the event is that of its writer.
		k := -1
		for n, c := range claims {
			if c.before <= i {
				k = n
			}
		}
		if k >= 0 && p.warm[claims[k].Data.Term] && p.done[harmOlder] == 0 {
			p.t.Errorf("%s: a standby that had read the stream begins an epoch in term %d", e.ID, claims[k].Data.Term)
		}
	}
	takeovers := 0
	for i := 1; i < len(claims); i++ {
		if claims[i].Data.Instance != claims[i-1].Data.Instance {
			takeovers++
		}
	}
	p.t.Logf("%d claims, %d takeovers, %d epochs", len(claims), takeovers, len(began))
}

// twice sees that no life is announced, and none has ended, more than once.
func (p *pair) twice(events []wireEvent) {
	seen := map[string]string{}
	for _, e := range events {
		what := fmt.Sprintf("%s %s %d", e.Type, e.Data.Room.RoomID, e.Data.Room.CreateTime)
		if before := seen[what]; before != "" && e.Type != "viewcount.changed" {
			p.t.Errorf("%s: %s, as told by %s", e.ID, what, before)
		}
		seen[what] = e.ID
	}
}

// A watch is a time in which one process watched, and of which it has stored the news.
type pairWatch struct {
	who      *contestant
	from, to time.Time
}

// watched returns the times in which a writer asked without a pause, each up to the last
// event that it has stored of it.
func (p *pair) watched(asks []ask, claims []pairClaim, events []wireEvent) (all []pairWatch) {
	for _, a := range asks {
		if !a.list || a.thawing() {
			continue
		}
		if n := len(all); n > 0 && all[n-1].who == a.who && a.at.Sub(all[n-1].to) < pairSteady {
			all[n-1].to = a.at
			continue
		}
		all = append(all, pairWatch{a.who, a.at, a.at})
	}
	for i := range all {
		w := &all[i]
		var newest time.Time
		for k, c := range claims {
			end := len(events)
			if k+1 < len(claims) {
				end = claims[k+1].before
			}
			for _, e := range events[c.before:end] {
				if c.process == w.who && !e.Time.After(w.to.Add(pairSteady)) {
					newest = e.Time
				}
			}
		}
		if newest.Before(w.to) {
			w.to = newest
		}
	}
	return all
}

// seen returns how long a life was watched at a stretch, at most.
func seen(l simulator.Life, watched []pairWatch) (most time.Duration) {
	for _, w := range watched {
		from, to := w.from, w.to
		if l.Opened.After(from) {
			from = l.Opened
		}
		if !l.Ended.IsZero() && l.Ended.Before(to) {
			to = l.Ended
		}
		most = max(most, to.Sub(from))
	}
	return most
}

// untold sees that no room was missed but those that were not watched: they began and
// ended after the last event that a writer had stored, and before the next one had looked.
func (p *pair) untold(watched []pairWatch, events []wireEvent) {
	told := map[lifeKey]bool{}
	for _, e := range events {
		told[lifeKey{e.Data.Room.RoomID, e.Data.Room.CreateTime}] = true
	}
	missed, short := 0, 0
	for _, l := range p.r.world.Truth().Lives {
		switch {
		case told[lifeKey{l.RoomID, l.CreateTime}] || !l.Ended.IsZero() && l.Ended.Before(p.marks[0].at.Add(pairUnseen)):
		case seen(l, watched) > pairUnseen:
			p.t.Errorf("%s, which lived from %s to %s, and %s of it watched, was not told", l.RoomID, p.when(l.Opened), p.when(l.Ended), seen(l, watched))
		case l.Ended.Sub(l.Opened) < pairUnseen:
			short++
		default:
			missed++
		}
	}
	p.t.Logf("rooms that nobody was told of: %d which lived while nobody watched, %d which lived less than %s", missed, short, pairUnseen)
}

// since is what of a life was later.
func since(l simulator.Life, at time.Time) simulator.Life {
	if l.Opened.Before(at) {
		l.Opened = at
	}
	return l
}

// lost counts what killed writers had seen and not stored. If the next writer is the next
// process on the file, all is stored after all. Else rooms that live on are told by
// another event, ends that were told live are told, and counts are passed over by later ones.
func (p *pair) lost(watched []pairWatch, claims []pairClaim, events []wireEvent) {
	ids, byLife := map[string]wireEvent{}, map[lifeKey][]wireEvent{}
	for _, e := range events {
		ids[e.ID] = e
		key := lifeKey{e.Data.Room.RoomID, e.Data.Room.CreateTime}
		byLife[key] = append(byLife[key], e)
	}
	lives := map[lifeKey]simulator.Life{}
	for _, l := range p.r.world.Truth().Lives {
		lives[lifeKey{l.RoomID, l.CreateTime}] = l
	}
	outcome := map[string]int{}
	for _, d := range p.deaths {
		k := slices.IndexFunc(claims, func(c pairClaim) bool { return c.at.After(d.at) })
		var next pairClaim
		if k >= 0 {
			next = claims[k]
		}
		same := next.process != nil && next.process.place == d.who.place && !strings.Contains(next.process.output.String(), "standing by")
		for _, e := range d.waits {
			key := lifeKey{e.Room.RoomID, e.Room.CreateTime}
			was, stored := ids[e.ID]
			stored = stored && was.Type == string(e.Type) && was.Subject == e.Room.RoomID && was.Data.Version == e.Version && was.Time.Equal(e.Time.Truncate(time.Millisecond))
			later := byLife[key]
			switch {
			case stored:
				outcome["stored"]++
			case same:
				p.t.Errorf("%s %s %s, which waited when %s was killed at %s, is not stored, although the next writer had its file", e.ID, e.Type, key.id, d.who.name, p.when(d.at))
			case len(later) == 0 && seen(lives[key], watched) <= pairUnseen:
				outcome["lost, of a room that began and ended meanwhile"]++
			case len(later) == 0:
				p.t.Errorf("%s %s %s, which waited when %s was killed at %s, was never told", e.ID, e.Type, key.id, d.who.name, p.when(d.at))
			case e.Type == diff.RoomCreated, e.Type == diff.RoomEnded && later[len(later)-1].Type == "room.ended", e.Type == diff.ViewCountChanged && later[len(later)-1].Data.Room.ViewCount >= e.Room.ViewCount:
				outcome["found again"]++
			case e.Type == diff.ViewCountChanged && !lives[key].Ended.IsZero() && seen(since(lives[key], d.at), watched) <= pairUnseen:
				outcome["lost, a count of a room that ended meanwhile"]++
			default:
				p.t.Errorf("%s %s %s, which waited when %s was killed at %s, was not found again; of it were told %v", e.ID, e.Type, key.id, d.who.name, p.when(d.at), later)
			}
		}
	}
	p.t.Logf("%d writers were killed; what waited in their files: %v", len(p.deaths), outcome)
}
