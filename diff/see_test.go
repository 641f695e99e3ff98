package diff

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// rooms parses "a@1=5 b@9=0/title": RoomID, CreateTime, ViewCount and, after a
// slash, RoomName.
func rooms(t *testing.T, s string) []Room {
	t.Helper()
	var out []Room
	for _, f := range strings.Fields(s) {
		f, name, _ := strings.Cut(f, "/")
		id, rest, ok1 := strings.Cut(f, "@")
		at, views, ok2 := strings.Cut(rest, "=")
		created, err1 := strconv.ParseInt(at, 10, 64)
		count, err2 := strconv.ParseInt(views, 10, 64)
		if !ok1 || !ok2 || err1 != nil || err2 != nil {
			t.Fatalf("room %q is not like a@1=5/title", f)
		}
		out = append(out, Room{RoomID: id, CreateTime: created, ViewCount: count, RoomName: name})
	}
	return out
}

// show prints events: "+a@1=5" created ("*a@1=5" in the baseline), "-a@1" ended,
// "a@1:5→7" viewcount.changed, "a@1/x→y" room.updated.
func show(events []Event) string {
	var out []string
	for _, e := range events {
		life := fmt.Sprintf("%s@%d", e.Room.RoomID, e.Room.CreateTime)
		views := ""
		if p := e.Previous.ViewCount; p != nil {
			views = fmt.Sprintf(":%d→%d", *p, e.Room.ViewCount)
		}
		switch e.Type {
		case RoomCreated:
			mark := "+"
			if e.Baseline {
				mark = "*"
			}
			out = append(out, fmt.Sprintf("%s%s=%d", mark, life, e.Room.ViewCount))
		case RoomEnded:
			out = append(out, "-"+life)
		case ViewCountChanged:
			out = append(out, life+views)
		case RoomUpdated:
			name := "?"
			if p := e.Previous.RoomName; p != nil {
				name = *p + "→" + e.Room.RoomName
			}
			out = append(out, life+"/"+name+views)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { // ends come in the order of a map
		if a[0] == '-' && b[0] == '-' && len(events) > 0 && events[0].Type == RoomEnded {
			return strings.Compare(a, b)
		}
		return 0
	})
	return strings.Join(out, " ")
}

// play watches the sweeps, which are separated by ";", their pages by "|"; one
// with a "!" did not reach its end. Sweep n begins n·10 s after noon, its pages
// follow one another by the second. It returns what each sweep told.
func play(t *testing.T, w *watcher, script string) string {
	t.Helper()
	var told []string
	for _, sweep := range strings.Split(script, ";") {
		begin := second(float64(w.sweep) * 10)
		at := begin
		for _, page := range strings.Split(strings.TrimSuffix(strings.TrimSpace(sweep), "!"), "|") {
			at = at.Add(time.Second)
			w.page(at, rooms(t, page)...)
		}
		w.end(begin, at, !strings.Contains(sweep, "!"))
		told = append(told, show(w.take()))
	}
	return strings.Join(told, "; ")
}

func TestWatch(t *testing.T) {
	update := func(p *Policy) { p.Publish = Types() }
	change := func(n int64) func(*Policy) { return func(p *Policy) { p.MinChange = n } }
	percent := func(n float64) func(*Policy) { return func(p *Policy) { p.MinPercent = n } }
	interval := func(d time.Duration) func(*Policy) { return func(p *Policy) { p.MinInterval = d } }
	tests := []struct {
		name   string
		policy func(*Policy)
		sweeps string
		want   string
	}{
		{name: "an empty world", sweeps: "; ;", want: "; ; "},
		{name: "what was live before is the baseline", sweeps: "a@1=5 | b@1=0; a@1=5 b@1=0", want: "*a@1=5 *b@1=0; "},
		{name: "the baseline lasts until a sweep is complete", sweeps: "a@1=5!; a@1=5 b@1=0; a@1=5 b@1=0 c@1=0", want: "*a@1=5; *b@1=0; +c@1=0"},
		{name: "a silent baseline", policy: func(p *Policy) { p.SilentBaseline = true }, sweeps: "a@1=5 b@1=0!; a@1=5 b@1=0 c@1=0; a@1=6 b@1=0 c@1=0 d@1=0", want: "; ; a@1:5→6 +d@1=0"},
		{name: "new", sweeps: "a@1=5; a@1=5 b@1=0", want: "*a@1=5; +b@1=0"},
		{name: "twice in one sweep", sweeps: "a@1=5 b@1=0 | b@1=0 | a@1=5", want: "*a@1=5 *b@1=0"},
		{name: "twice in one sweep, and entered between", sweeps: "a@1=5 b@1=0 | b@1=1 | b@1=1", want: "*a@1=5 *b@1=0 b@1:0→1"},
		{name: "entered", sweeps: "a@1=5; a@1=7; a@1=7", want: "*a@1=5; a@1:5→7; "},
		{name: "a count that falls", sweeps: "a@1=5; a@1=3; a@1=0", want: "*a@1=5; a@1:5→3; a@1:3→0"},

		{name: "missed once", sweeps: "a@1=5 b@1=2; a@1=5; a@1=5 b@1=2", want: "*a@1=5 *b@1=2; ; "},
		{name: "missed twice", sweeps: "a@1=5 b@1=2; a@1=5; a@1=5; a@1=5", want: "*a@1=5 *b@1=2; ; -b@1; "},
		{name: "missed twice, three asked for", policy: func(p *Policy) { p.AbsentSweeps = 3 }, sweeps: "a@1=5 b@1=2; a@1=5; a@1=5; a@1=5", want: "*a@1=5 *b@1=2; ; ; -b@1"},
		{name: "missed once, one asked for: the rate still asks for two", policy: func(p *Policy) { p.AbsentSweeps = 1 }, sweeps: "a@1=5 b@1=2; a@1=5; a@1=5", want: "*a@1=5 *b@1=2; ; -b@1"},
		{name: "sweeps that broke off miss nothing", sweeps: "a@1=5 b@1=2; a@1=5!; a@1=5!; !; a@1=5; a@1=5!; a@1=5", want: "*a@1=5 *b@1=2; ; ; ; ; ; -b@1"},
		{name: "seen between, by a sweep that broke off", sweeps: "a@1=5 b@1=2; a@1=5; b@1=2!; a@1=5; a@1=5", want: "*a@1=5 *b@1=2; ; ; ; "},
		{name: "after a false miss two are not enough", sweeps: "a@1=5 b@1=2; a@1=5; a@1=5 b@1=2; a@1=5; a@1=5; a@1=5; a@1=5", want: "*a@1=5 *b@1=2; ; ; ; ; -b@1; "},
		{name: "all gone at once", sweeps: "a@1=5 b@1=2; ; ", want: "*a@1=5 *b@1=2; ; -a@1 -b@1"},
		{name: "back after its end", sweeps: "a@1=5; ; ; a@1=6", want: "*a@1=5; ; -a@1; +a@1=6"},
		{name: "an old copy after the end of a newer life", sweeps: "a@1=5; a@9=0; ; ; a@1=6; a@9=0; a@10=0", want: "*a@1=5; -a@1 +a@9=0; ; -a@9; ; +a@9=0; -a@9 +a@10=0"},

		{name: "created again", sweeps: "a@1=5; a@9=0; a@9=0", want: "*a@1=5; -a@1 +a@9=0; "},
		{name: "created again, proved by a sweep that broke off", sweeps: "a@1=5; a@9=0!", want: "*a@1=5; -a@1 +a@9=0"},
		{name: "created again in the baseline", sweeps: "a@1=5 | a@9=0", want: "*a@1=5 -a@1 *a@9=0"},
		{name: "created again while missing", sweeps: "a@1=5; ; a@9=0; ; ", want: "*a@1=5; ; -a@1 +a@9=0; ; -a@9"},
		{name: "both lives in one sweep", sweeps: "a@1=5; a@1=6 | a@9=0; a@9=0", want: "*a@1=5; a@1:5→6 -a@1 +a@9=0; "},
		{name: "an old copy of the list", sweeps: "a@9=3; a@9=3 | a@1=8; a@9=3", want: "*a@9=3; ; "},
		{name: "an old copy is no sight of the new life", sweeps: "a@9=3; a@1=8; a@1=8", want: "*a@9=3; ; -a@9"},

		{name: "below MinChange", policy: change(10), sweeps: "a@1=100; a@1=109; a@1=91", want: "*a@1=100; ; "},
		{name: "at MinChange", policy: change(10), sweeps: "a@1=100; a@1=110; a@1=100", want: "*a@1=100; a@1:100→110; a@1:110→100"},
		{name: "small steps add up", policy: change(10), sweeps: "a@1=100; a@1=105; a@1=109; a@1=110; a@1=119", want: "*a@1=100; ; ; a@1:100→110; "},
		{name: "MinChange 0 tells no change that is none", policy: change(0), sweeps: "a@1=100; a@1=100; a@1=101", want: "*a@1=100; ; a@1:100→101"},
		{name: "below MinPercent", policy: percent(5), sweeps: "a@1=1000; a@1=1049; a@1=951", want: "*a@1=1000; ; "},
		{name: "at MinPercent", policy: percent(5), sweeps: "a@1=1000; a@1=1050; a@1=997", want: "*a@1=1000; a@1:1000→1050; a@1:1050→997"},
		{name: "MinPercent of the last published count", policy: percent(5), sweeps: "a@1=1000; a@1=1050; a@1=1102; a@1=1103", want: "*a@1=1000; a@1:1000→1050; ; a@1:1050→1103"},
		{name: "MinPercent of nothing", policy: percent(50), sweeps: "a@1=0; a@1=1", want: "*a@1=0; a@1:0→1"},
		{name: "MinChange and MinPercent", policy: func(p *Policy) { p.MinChange, p.MinPercent = 3, 50 }, sweeps: "a@1=4; a@1=6; a@1=7; a@1=10; a@1=11", want: "*a@1=4; ; a@1:4→7; ; a@1:7→11"},
		{name: "below MinInterval", policy: interval(10*time.Second + 1), sweeps: "a@1=5; a@1=6; a@1=7; a@1=7", want: "*a@1=5; a@1:5→6; ; a@1:6→7"},
		{name: "at MinInterval", policy: interval(10 * time.Second), sweeps: "a@1=5; a@1=6; a@1=7; a@1=8", want: "*a@1=5; a@1:5→6; a@1:6→7; a@1:7→8"},
		{name: "held back, and back where it was", policy: interval(time.Minute), sweeps: "a@1=5; a@1=6; a@1=9; a@1=6; a@1=6; a@1=6; a@1=6; a@1=6; a@1=6", want: "*a@1=5; a@1:5→6; ; ; ; ; ; ; "},
		{name: "held back over a miss", policy: interval(20 * time.Second), sweeps: "a@1=5; a@1=6; a@1=9; ; a@1=9", want: "*a@1=5; a@1:5→6; ; ; a@1:6→9"},

		{name: "renamed, not named", sweeps: "a@1=5/x; a@1=5/y; a@1=6/z", want: "*a@1=5; ; a@1:5→6"},
		{name: "renamed", policy: update, sweeps: "a@1=5/x; a@1=5/y; a@1=5/y", want: "*a@1=5; a@1/x→y; "},
		{name: "renamed and entered", policy: update, sweeps: "a@1=5/x; a@1=6/y", want: "*a@1=5; a@1:5→6 a@1/x→y"},
		{name: "renamed with a count held back", policy: func(p *Policy) { p.Publish, p.MinChange = Types(), 10 }, sweeps: "a@1=5/x; a@1=9/x; a@1=9/y; a@1=18/y; a@1=19/y", want: "*a@1=5; ; a@1/x→y:5→9; ; a@1:9→19"},
		{name: "a rename is no viewcount.changed: the interval does not begin with it", policy: func(p *Policy) { p.Publish, p.MinInterval = Types(), time.Minute }, sweeps: "a@1=5/x; a@1=5/y; a@1=6/y", want: "*a@1=5; a@1/x→y; a@1:5→6"},

		{name: "no room.created", policy: func(p *Policy) { p.Publish = []Type{RoomEnded, ViewCountChanged} }, sweeps: "a@1=5; a@1=6; a@9=0; a@9=2; ; ", want: "; a@1:5→6; -a@1; a@9:0→2; ; -a@9"},
		{name: "no room.ended", policy: func(p *Policy) { p.Publish = []Type{RoomCreated, ViewCountChanged} }, sweeps: "a@1=5; a@9=0; ; ; a@9=1", want: "*a@1=5; +a@9=0; ; ; +a@9=1"},
		{name: "no viewcount.changed: room.updated tells the count", policy: func(p *Policy) { p.Publish = []Type{RoomCreated, RoomUpdated} }, sweeps: "a@1=5/x; a@1=6/x; a@1=7/y; a@1=7/z", want: "*a@1=5; ; a@1/x→y:5→7; a@1/y→z"},
		{name: "nothing at all", policy: func(p *Policy) { p.Publish = nil }, sweeps: "a@1=5/x; a@1=6/y; a@9=0; ; ", want: "; ; ; ; "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := DefaultPolicy()
			if tt.policy != nil {
				tt.policy(&p)
			}
			w := newWatcher(p)
			if got := play(t, w, tt.sweeps); got != tt.want {
				t.Errorf("%q told\n     %q\nwant %q", tt.sweeps, got, tt.want)
			}
		})
	}
}

// The events of one room form a chain: each has the next version and says what
// the one before it told.
func TestChain(t *testing.T) {
	p := DefaultPolicy()
	p.Publish, p.MinChange = Types(), 3
	w := newWatcher(p)
	play(t, w, "")
	w.take()
	script := "a@1=5/x; a@1=7/x; a@1=8/x; a@1=9/y; a@1=30/z; a@1=31/z; a@9=0"
	var got []string
	for _, sweep := range strings.Split(script, ";") {
		begin := second(float64(w.sweep) * 10)
		w.page(begin.Add(time.Second), rooms(t, sweep)...)
		w.end(begin, begin.Add(2*time.Second), true)
	}
	for _, e := range w.take() {
		got = append(got, fmt.Sprintf("%d %s", e.Version, show([]Event{e})))
	}
	want := "1 +a@1=5, 2 a@1:5→8, 3 a@1/x→y:8→9, 4 a@1:9→30, 5 a@1/y→z, 6 -a@1, 1 +a@9=0"
	if got := strings.Join(got, ", "); got != want {
		t.Errorf("%q told\n     %q\nwant %q", script, got, want)
	}
}

// room.updated names what changed and nothing else, with the old values.
func TestUpdatedTellsWhatChanged(t *testing.T) {
	p := DefaultPolicy()
	p.Publish = Types()
	old := Room{RoomID: "a", CreateTime: 1, RoomName: "n", OwnerAccount: "o", CoverURL: "c", Category: []int64{1, 2}, ActivityStatus: 3, ViewCount: 4}
	tests := []struct {
		name   string
		change func(*Room)
		want   Previous
	}{
		{"nothing", func(*Room) {}, Previous{}},
		{"RoomName", func(r *Room) { r.RoomName = "" }, Previous{RoomName: &old.RoomName}},
		{"OwnerAccount", func(r *Room) { r.OwnerAccount = "p" }, Previous{OwnerAccount: &old.OwnerAccount}},
		{"CoverURL", func(r *Room) { r.CoverURL = "d" }, Previous{CoverURL: &old.CoverURL}},
		{"Category", func(r *Room) { r.Category = []int64{2, 1} }, Previous{Category: &old.Category}},
		{"Category gone", func(r *Room) { r.Category = nil }, Previous{Category: &old.Category}},
		{"ActivityStatus", func(r *Room) { r.ActivityStatus = 0 }, Previous{ActivityStatus: &old.ActivityStatus}},
		{"two", func(r *Room) { r.CoverURL, r.RoomName = "", "m" }, Previous{CoverURL: &old.CoverURL, RoomName: &old.RoomName}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := old
			tt.change(&now)
			s := p.See(&Known{Room: old, Version: 7, Published: 4, SeenAt: second(1)}, RecentEnd{}, now, Look{At: second(2)}, 0)
			if tt.want == (Previous{}) {
				if s.Changed || len(s.Events) > 0 {
					t.Errorf("See(%v, %v) = %+v, want nothing", old, now, s)
				}
				return
			}
			e := only(t, s.Events)
			if e.Type != RoomUpdated || e.Version != 8 || s.Known.Version != 8 {
				t.Errorf("got %s version %d, known %d; want room.updated 8", e.Type, e.Version, s.Known.Version)
			}
			got, want := fmt.Sprintf("%+v", values(e.Previous)), fmt.Sprintf("%+v", values(tt.want))
			if got != want {
				t.Errorf("previous %s, want %s", got, want)
			}
		})
	}
}

// values returns what the fields of p point to.
func values(p Previous) [6]any {
	var v [6]any
	for i, s := range []*string{p.RoomName, p.OwnerAccount, p.CoverURL} {
		if s != nil {
			v[i] = *s
		}
	}
	if p.Category != nil {
		v[3] = *p.Category
	}
	for i, n := range []*int64{p.ActivityStatus, p.ViewCount} {
		if n != nil {
			v[4+i] = *n
		}
	}
	return v
}

// Since is the latest moment of which it is known that the change had not
// happened yet. Sweep n begins at n·10 s, its pages are read at n·10+1 s and on.
func TestSince(t *testing.T) {
	noon := second(0).Unix()
	tests := []struct {
		name   string
		policy func(*Policy)
		sweeps string // the last event of the last one is looked at
		want   time.Time
	}{
		{name: "baseline: unknown", sweeps: "a@1=5"},
		{name: "created: not before its CreateTime", sweeps: "; a@1=5", want: time.Unix(1, 0)},
		{name: "created by a clock that is ahead of ours: unknown", sweeps: fmt.Sprintf("; a@%d=5", noon+3600)},
		{name: "entered: after the last complete sweep began", sweeps: "a@1=5; a@1=5; a@1=5; a@1=6", want: second(30)},
		{name: "entered: after the page that showed it last", sweeps: "a@1=5; a@1=6; a@1=7!; a@1=8", want: second(31)},
		{name: "a sight that changes nothing is not written, so a broken sweep is no witness", sweeps: "a@1=5; a@1=5; a@1=5!; a@1=6", want: second(20)},
		{name: "entered between two sights in one sweep", sweeps: "a@1=5 | b@1=1 | a@1=6", want: second(11)},
		{name: "entered while missing", sweeps: "a@1=5 b@1=0; a@1=5 b@1=0; a@1=5; a@1=5 b@1=1", want: second(20)},
		{name: "held back: after the last moment at which it was what was told",
			policy: func(p *Policy) { p.MinChange = 3 }, sweeps: "a@1=5; a@1=5; a@1=6; a@1=7; a@1=8", want: second(20)},
		{name: "held back, back again, and then due",
			policy: func(p *Policy) { p.MinChange = 3 }, sweeps: "a@1=5; a@1=6; a@1=5; a@1=5; a@1=8", want: second(40)},
		{name: "ended: when it was last seen, by the begin of that sweep", sweeps: "a@1=5 b@1=0; a@1=5 b@1=0; a@1=5 b@1=0; a@1=5; a@1=5", want: second(30)},
		{name: "ended: when it was last seen, by its page", sweeps: "a@1=5 b@1=0; a@1=5 b@1=1; a@1=5; a@1=5", want: second(21)},
		{name: "renamed", policy: func(p *Policy) { p.Publish = Types() }, sweeps: "a@1=5/x; a@1=5/x; a@1=5/y", want: second(20)},
		{name: "created again: its CreateTime", sweeps: "a@1=5; a@9=0", want: time.Unix(9, 0)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := DefaultPolicy()
			if tt.policy != nil {
				tt.policy(&p)
			}
			w := newWatcher(p)
			sweeps := strings.Split(tt.sweeps, ";")
			for _, s := range sweeps[:len(sweeps)-1] {
				play(t, w, s)
			}
			begin := second(float64(w.sweep) * 10)
			at := begin
			for _, page := range strings.Split(sweeps[len(sweeps)-1], "|") {
				at = at.Add(time.Second)
				w.page(at, rooms(t, page)...)
			}
			w.end(begin, at, true)
			events := w.take()
			if len(events) == 0 {
				t.Fatalf("%q ends without an event", tt.sweeps)
			}
			e := events[len(events)-1]
			if !e.Since.Equal(tt.want) {
				t.Errorf("%q ends with %s, since %v, want %v", tt.sweeps, show(events), e.Since, tt.want)
			}
			if e.Since.After(e.Time) {
				t.Errorf("since %v is after %v", e.Since, e.Time)
			}
		})
	}

	t.Run("created again ends the old life after its last sight", func(t *testing.T) {
		w := newWatcher(DefaultPolicy())
		play(t, w, "a@1=5; a@1=5")
		w.page(second(31), rooms(t, "a@9=0")...)
		if e := w.events[0]; e.Type != RoomEnded || !e.Since.Equal(second(20)) || !e.Time.Equal(second(31)) || e.Version != 2 {
			t.Errorf("ended %+v, want since 20 s, at 31 s, version 2", e)
		}
	})
}

// Recall is the way back: what is known of a room is what its newest event told.
func TestRecall(t *testing.T) {
	p := DefaultPolicy()
	p.Publish = Types()
	for _, script := range []string{"a@1=5", "a@1=5; a@1=6", "a@1=5/x; a@1=5/y", "a@1=5; a@9=0"} {
		w := newWatcher(p)
		var last Event
		for _, s := range strings.Split(script, ";") {
			w.page(second(float64(w.sweep)), rooms(t, s)...)
			last = w.events[len(w.events)-1]
			w.sweep++
		}
		got, live := Recall(last)
		want := w.rooms["a"]
		want.EqualAt = time.Time{} // means nothing while nothing is held back
		if last.Type != RoomCreated {
			want.FirstSeen = time.Time{} // only the first event of a life tells it
		}
		if !live || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%q: Recall(%s) = %+v, %t, want %+v", script, show([]Event{last}), got, live, want)
		}
	}
	if _, live := Recall(Event{Type: RoomEnded, Room: Room{RoomID: "a"}}); live {
		t.Error("Recall of an end is live")
	}
}

func TestSeen(t *testing.T) {
	s := NewSeen()
	a, again, b := Key{"a", 1}, Key{"a", 2}, Key{"b", 1}
	if !s.Add(a) || s.Add(a) || !s.Add(b) || s.Len() != 2 {
		t.Errorf("Add tells wrong what is new; %d lives, want 2", s.Len())
	}
	if !s.Has(a) || !s.Has(b) || s.Has(again) {
		t.Error("Has: want both lives, and not another life of the same RoomID")
	}
}
