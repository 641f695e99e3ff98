package diff

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A court plays scripts to a Witnesses that knows the rooms a to z.
type court struct {
	*Witnesses
	known int
	ended []string
}

// play hears a script of steps at seconds, such as
//
//	"0 page x; 1 a-; 4 a-; 5 ctl +"
//
// where "a-" is a read of a that does not find it, "a+" one that does, "a~" one that
// finds it hidden, "a?" one without an answer and "a!" one that is odd, each sent and answered at that moment; "[a"
// sends a read of a, whose answer comes with "]a-"; "page a b" shows rooms; "ctl +"
// reads a control, "ctl [" and "ctl ]+" in two steps; "ctl none" wants none to be due.
func (c *court) play(t *testing.T, script string) string {
	t.Helper()
	outcomes := map[byte]Outcome{'-': Gone, '+': Live, '~': Hidden, '?': NoAnswer, '!': NoAnswer}
	sent := map[string]time.Time{}
	for step := range strings.SplitSeq(script, ";") {
		f := strings.Fields(step)
		var n float64
		if _, err := fmt.Sscan(f[0], &n); err != nil {
			t.Fatalf("step %q: %v", step, err)
		}
		at := second(n)
		switch what := f[1]; {
		case what == "page":
			var rooms []Room
			for _, id := range f[2:] {
				rooms = append(rooms, Room{RoomID: id, CreateTime: 1})
			}
			c.Saw(rooms, at)
		case what == "ctl":
			if f[2][0] == ']' { // of the control that was sent at "ctl ["
				c.hear(Read{RoomID: c.control, Sent: c.controlAt, At: at, Outcome: outcomes[f[2][1]]})
				continue
			}
			id, ok := c.Control(at)
			if !ok || f[2] == "none" {
				if ok != (f[2] != "none") {
					t.Errorf("%q: control %q, %t", step, id, ok)
				}
				continue
			}
			if c.Ask(id); f[2] == "[" {
				continue
			}
			c.hear(Read{RoomID: id, Sent: at, At: at, Outcome: outcomes[f[2][0]]})
		case what == "told": // "told a-" destroyed, "told a+" created, "told a~" updated
			kinds := map[byte]CallbackKind{'-': Destroyed, '+': Created, '~': Updated}
			id := f[2][:len(f[2])-1]
			c.Tell(Callback{RoomID: id, Kind: kinds[f[2][len(id)]], At: at, Signed: 2})
		case what[0] == '[':
			c.Ask(what[1:])
			sent[what[1:]] = at
		default:
			id, on := strings.CutPrefix(what[:len(what)-1], "]")
			if !on {
				c.Ask(id)
				sent[id] = at
			}
			c.hear(Read{RoomID: id, Sent: sent[id], At: at, Outcome: outcomes[what[len(what)-1]], Odd: strings.HasSuffix(what, "!")})
		}
	}
	slices.Sort(c.ended)
	return strings.Join(c.ended, " ")
}

func (c *court) hear(r Read) {
	if f := c.Hear(r); !f.Trusted {
		return
	}
	for _, p := range c.Proved(c.known, 0, func(string) bool { return false }) {
		id := p.RoomID
		c.ended = append(c.ended, id)
		c.Forget(id)
	}
}

func TestWitnesses(t *testing.T) {
	tests := []struct{ name, script, want string }{
		{"two reads and a control", "0 page x; 1 a-; 4 a-; 4.5 ctl +", "a"},
		{"one read", "0 page x; 1 a-; 4.5 ctl +; 8 ctl +", ""},
		{"two reads too close", "0 page x; 1 a-; 3.9 a-; 4.5 ctl +", ""},
		{"no control", "0 page x; 1 a-; 4 a-", ""},
		{"the control was before the second read", "0 page x; 1 a-; 3.5 ctl +; 4 a-", ""},
		{"the control was sent before the second read was answered", "0 page x; 1 a-; 3.9 ctl [; 4 a-; 4.1 ctl ]+", ""},
		{"a control is on its way for long", "0 page x y; 1 a-; 2 ctl [; 4 a-; 4.1 ctl none; 5 ctl ]+; 5.1 ctl +", "a"},
		{"a page showed it between", "0 page x; 1 a-; 2 page a x; 4 a-; 4.5 ctl +", ""},
		{"a read showed it between", "0 page x; 1 a-; 2 a+; 4 a-; 4.5 ctl +", ""},
		{"it was hidden between", "0 page x; 1 a-; 2 a~; 4 a-; 4.5 ctl +", ""},
		{"a read without answer between", "0 page x; 1 a-; 2 a?; 4 a-; 4.5 ctl +", "a"},
		{"a page showed it while the first read was on its way", "0 page x; 0 [a; 0.5 page a x; 1 ]a-; 4 a-; 4.5 ctl +", ""},
		{"a page showed it while the second read was on its way", "0 page x; 1 a-; 4 [a; 4.2 page a x; 4.4 ]a-; 4.5 ctl none", ""},
		{"a page showed it after both", "0 page x; 1 a-; 4 a-; 4.2 page a x; 4.5 ctl none", ""},
		{"the control was not found", "0 page x y; 1 a-; 4 a-; 4.5 ctl -; 5.5 ctl +", ""},
		{"after that all is to be said again", "0 page x y; 1 a-; 4 a-; 4.5 ctl -; 5.5 ctl +; 5.6 a-; 9 a-; 9.1 ctl +", "a"},
		{"what is older than five seconds stays", "0 page x y; 1 a-; 6.5 a-; 6.6 ctl -; 7.6 ctl +; 8 a-; 8.6 ctl +", "a"},
		{"nothing is believed until a control is found", "0 page x y z; 1 a-; 1.1 ctl -; 1.2 a-; 4.3 a-; 5 ctl +", ""},
		{"no recent page", "0 page x; 11 a-; 14 a-; 14.5 ctl none", ""},
		{"no recent page, and a read has just shown a room", "0 x~; 1 a-; 4 a-; 4.5 ctl +", "a"},
		{"no recent page, and the room that a read has shown is gone", "0 x~; 1 a-; 4 a-; 4.1 x-; 4.5 ctl none", ""},
		{"no recent page or read", "0 x+; 11 a-; 14 a-; 14.5 ctl none", ""},
		{"a callback, a read and a control", "0 page x; 1 told a-; 1.1 a-; 1.2 ctl +", "a"},
		{"a callback alone", "0 page x; 1 told a-; 1.2 ctl none; 8 ctl none", ""},
		{"a callback and a read, no control", "0 page x; 1 told a-; 1.1 a-", ""},
		{"the control was before the read", "0 page x y; 0.5 b-; 1 told a-; 1.1 ctl +; 1.2 a-", ""},
		{"the read left before the callback", "0 page x; 0.9 [a; 1 told a-; 1.1 ]a-; 1.2 ctl +", ""},
		{"a page showed it after the callback", "0 page x; 1 told a-; 1.1 page a x; 1.2 a-; 1.3 ctl +", ""},
		{"a read showed it after the callback", "0 page x; 1 told a-; 1.1 a+; 2.1 a-; 2.2 ctl +", ""},
		{"a read showed it, and then two did not", "0 page x; 1 told a-; 1.1 a+; 2.1 a-; 5.1 a-; 5.2 ctl +", "a"},
		{"a callback of another kind is no witness", "0 page x; 1 told a~; 1.1 a-; 1.2 ctl +; 2 told a+; 2.1 a-; 2.3 ctl +", ""},
		{"a callback and a read, and the control is not found", "0 page x y; 1 told a-; 1.1 a-; 1.2 ctl -; 2.3 ctl +; 2.4 a-; 3.5 ctl +", ""},
		{"a callback is a witness once", "0 page x; 1 told a-; 1.1 a-; 1.2 ctl +; 2 page a x; 3 a-; 3.1 ctl +", "a"},
		{"a callback that comes twice, and a page showed it between", "0 page x; 1 told a-; 1.1 page a x; 1.2 told a-; 1.3 a-; 1.4 ctl +", ""},
		{"an update after it changes nothing", "0 page x; 1 told a-; 1.05 told a~; 1.1 a-; 1.2 ctl +", "a"},
		{"a callback is too old", "0 page x; 1 told a-; 61 page x; 62 a-; 62.1 ctl +", ""},
		{"what a callback ends is no control", "0 page a x; 1 told a-; 1.1 a-; 1.2 ctl +", "a"},
		{"what a callback may end is no control", "0 page a; 0.5 b-; 1 told a-; 1.2 ctl none; 1.3 a+; 1.4 ctl +", ""},
		{"two controls a second", "0 page x y; 1 a-; 1 ctl +; 1.4 ctl none; 1.5 ctl +", ""},
		{"nothing to believe, no control", "0 page x; 1 a+; 2 a?; 3 ctl none", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &court{Witnesses: NewWitnesses(DefaultPolicy()), known: 10}
			if got := c.play(t, tt.script); got != tt.want {
				t.Errorf("ended %q, want %q", got, tt.want)
			}
		})
	}
}

// Where most rooms are not found, nothing ends before so many have two witnesses
// that it is proved, ten seconds apart.
func TestMassEndByReads(t *testing.T) {
	for _, tt := range []struct {
		known, gone int
		span        float64 // from the first round of reads to the last
		want        int
	}{
		{known: 40, gone: 20, span: 3, want: 20},
		{known: 40, gone: 21, span: 3, want: 0},
		{known: 40, gone: 21, span: 10, want: 21},
		{known: 19, gone: 19, span: 3, want: 19},
	} {
		c := &court{Witnesses: NewWitnesses(DefaultPolicy()), known: tt.known}
		script := "0 page x"
		for i := range tt.gone {
			script += fmt.Sprintf("; 1 r%d-", i)
		}
		for i := range tt.gone {
			script += fmt.Sprintf("; %v r%d-", 1+tt.span, i)
		}
		c.play(t, script+fmt.Sprintf("; %v page x; %v ctl +", 1+tt.span, 1.5+tt.span))
		if len(c.ended) != tt.want {
			t.Errorf("%d of %d rooms gone for %v s: %d ended, want %d", tt.gone, tt.known, tt.span, len(c.ended), tt.want)
		}
		held := HeldEnds{}
		if tt.want == 0 {
			held = HeldEnds{Proved: tt.gone, Absent: tt.gone, Known: tt.known}
		}
		if c.Held() != held {
			t.Errorf("%d of %d rooms gone for %v s: held back %+v, want %+v", tt.gone, tt.known, tt.span, c.Held(), held)
		}
	}
}

// Callbacks of a mass of ends do not pass its guard: they and the reads after them have to
// be as far apart as reads have.
func TestMassEndByCallbacks(t *testing.T) {
	c := &court{Witnesses: NewWitnesses(DefaultPolicy()), known: 40}
	each := func(format string) (script string) {
		for i := range 21 {
			script += fmt.Sprintf(format, i)
		}
		return script
	}
	if c.play(t, "0 page x"+each("; 1 told r%d-")+each("; 1.1 r%d-")+"; 1.2 ctl +"); len(c.ended) > 0 {
		t.Errorf("%d ended at once", len(c.ended))
	}
	if !c.Wants("r0", second(11.1)) {
		t.Error("no read is wanted after an interval")
	}
	if c.play(t, "11 page x"+each("; 11.1 r%d-")+"; 11.2 ctl +"); len(c.ended) != 21 {
		t.Errorf("%d of 21 ended after an interval", len(c.ended))
	}
}

// One early witness does not prove a mass of others that came within three seconds.
func TestMassEndNeedsWitnessesFarApart(t *testing.T) {
	c := &court{Witnesses: NewWitnesses(DefaultPolicy()), known: 100}
	script := "0 page x; 1 r0-"
	for i := 1; i < 100; i++ {
		script += fmt.Sprintf("; 8 r%d-", i)
	}
	for i := range 100 {
		script += fmt.Sprintf("; 11.1 r%d-", i)
	}
	if c.play(t, script+"; 11.2 page x; 11.5 ctl +"); len(c.ended) > 0 {
		t.Errorf("%d of 100 rooms have ended, and 99 were not found for three seconds only", len(c.ended))
	}
}

// Rooms that are missing or passed count for the mass, each once.
func TestMassOfMissingAndPassed(t *testing.T) {
	c := &court{Witnesses: NewWitnesses(DefaultPolicy()), known: 40}
	c.play(t, "0 page x; 1 a-; 4 a-")
	var passed []string
	for i := range 20 {
		passed = append(passed, fmt.Sprint("p", i))
	}
	c.Passed(append(passed, "a"))
	if c.play(t, "4.5 ctl +"); len(c.ended) > 0 {
		t.Errorf("%v ended, and 21 of 40 rooms are passed", c.ended)
	}
	c.Passed(passed[:19])
	if c.play(t, "5.5 ctl +"); len(c.ended) != 1 {
		t.Error("a has not ended, and 20 of 40 rooms are passed or gone")
	}
}

// Whether the end of a room by sweeps waits for its own read.
func TestSweepsWaitForReads(t *testing.T) {
	tests := []struct {
		name, script string
		at           float64
		want         bool
	}{
		{"not read", "0 page x", 1, true},
		{"live", "0 a+", 1, true},
		{"gone once", "0 page x; 0 a-; 1 ctl +", 2, true},
		{"gone once, and the second read has time", "0 page x; 0 a-; 1 ctl +", 9.9, true},
		{"gone once, and no second read is sent", "0 page x; 0 a-; 1 ctl +", 10, false},
		{"gone once, and the second read fails", "0 page x; 0 a-; 1 ctl +; 4 a?; 25 page x", 29.9, true},
		{"gone once, and no second read comes", "0 page x; 0 a-; 1 ctl +; 4 a?; 25 page x", 30, false},
		{"gone once, and the second read is on its way", "0 page x; 0 a-; 1 ctl +; 9 [a", 18, true},
		{"gone twice", "0 page x; 0 a-; 3 a-", 4, true},
		{"gone twice, and no control", "0 a-; 3 a-", 4, false},
		{"gone once, and no control", "0 a-", 4, true},
		{"no answer", "0 a?", 1, true},
		{"no answer four times", "0 a?; 1 a?; 2 a?; 3 a?", 4, true},
		{"no answer five times", "0 a?; 1 a?; 2 a?; 3 a?; 3.5 a?", 4, false},
		{"no answer five times, before it was seen", "-5 a?; -4 a?; -3 a?; -2 a?; -1 a?", 2, true},
		{"one fails and nothing is asked after it", "0 b?", 11, true},
		{"others fail for an interval", "0 b?; 5 c?; 10 b?", 10, false},
		{"others fail for less", "0 b?; 5 c?; 9 b?", 15, true},
		{"one fails, and one after an hour", "0 b?; 3600 b?", 3600, true},
		{"one of them is odd for an interval", "0 b!; 5 b!; 10 b!; 15 b!", 15, true},
		{"all are odd for an interval", "0 b!; 5 c!; 10 b!; 15 c!", 15, false},
		{"its read is on its way", "0 a?; 1 a?; 2 a?; 3 a?; 4 a?; 5 [a", 6, true},
		{"others fail now and then", "0 b?; 5 c+; 6 c?", 12, true},
		{"others are void for an interval", "0 page x; 1 b-; 1 ctl -; 5 b-; 11 b-", 11, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &court{Witnesses: NewWitnesses(DefaultPolicy()), known: 10}
			c.play(t, tt.script)
			if got := c.Waits("a", second(-0.5), second(tt.at)); got != tt.want {
				t.Errorf("waits %t, want %t", got, tt.want)
			}
		})
	}
	c := &court{Witnesses: NewWitnesses(DefaultPolicy()), known: 10}
	c.play(t, "0 a?; 1 a?; 2 a?; 3 a?; 4 a?; 5 [a")
	for _, at := range []float64{6, 15.5, 16} { // the answer never comes
		if got, want := c.Waits("a", second(-0.5), second(at)), at < 16; got != want {
			t.Errorf("at %v s: waits for the read on its way %t, want %t", at, got, want)
		}
	}
	// Reads that hang, one after the other, do not hold it up for longer.
	c = &court{Witnesses: NewWitnesses(DefaultPolicy()), known: 10}
	c.play(t, "-6 x+; 0 a?; 1 a?; 2 a?; 3 a?; 4 a?; 5 [a")
	for n := 6.0; n < 20; n += 5 {
		if got, want := c.Waits("a", second(-0.5), second(n)), n < 16; got != want {
			t.Errorf("at %v s: waits for one hanging read after the other %t, want %t", n, got, want)
		}
		c.play(t, fmt.Sprintf("%v ]a?; %v [a", n+1, n+4))
	}
	c = &court{Witnesses: NewWitnesses(DefaultPolicy())}
	c.Refuse()
	if c.Waits("a", time.Time{}, second(0)) {
		t.Error("waits for reads that are refused")
	}
	c.play(t, "0.5 b?")
	if c.Waits("a", time.Time{}, second(0.5)) {
		t.Error("waits for reads because one of them was refused")
	}
	c.play(t, "1 b+")
	if !c.Waits("a", time.Time{}, second(1)) {
		t.Error("does not wait for reads that are answered again")
	}
}

// Whether a room that sweeps do not show is to be read once more.
func TestReadsThatCanTellMore(t *testing.T) {
	tests := []struct {
		name, script string
		at           float64
		want         bool
	}{
		{"not read", "0 page x", 1, true},
		{"its read is on its way", "0 [a", 1, false},
		{"no answer", "0 a?", 1, true},
		{"live, and still not in the list", "0 a+", 1, true},
		{"gone once", "0 page x; 0 a-", 1, true},
		{"gone twice", "0 page x; 0 a-; 3 a-", 4, false},
		{"gone twice, and shown", "0 page x; 0 a-; 3 a-; 3.5 page a", 4, true},
		{"gone twice, and the control, too", "0 page x y; 0 a-; 3 a-; 3.5 ctl -", 4, true},
		{"gone twice, and so are most of all", "0 page x; 0 a-; 3 a-", 10, true},
		{"gone twice, ten seconds apart", "0 page x; 0 a-; 10 a-", 14, false},
		{"gone twice, long ago", "0 page x; 0 a-; 10 a-", 40, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := &court{Witnesses: NewWitnesses(DefaultPolicy()), known: 10}
			c.play(t, tt.script)
			if got := c.Wants("a", second(tt.at)); got != tt.want {
				t.Errorf("wants a read %t, want %t", got, tt.want)
			}
		})
	}
}

// A sweep that breaks off marks nothing: the rooms that it is past count for the mass
// until a page shows them or a complete sweep has marked them.
func TestPassedBySweepThatBreaksOff(t *testing.T) {
	c := &court{Witnesses: NewWitnesses(DefaultPolicy()), known: 100}
	var passed []string
	for i := range 51 {
		passed = append(passed, fmt.Sprint("p", i))
	}
	c.Passed(passed)
	c.EndSweep(second(1), false)
	if c.play(t, "0 page x; 1 a-; 4 a-; 4.5 ctl +"); len(c.ended) > 0 {
		t.Errorf("%v ended, and 52 of 100 rooms are passed or gone", c.ended)
	}
	if c.play(t, "5 page p0 p1 x; 5.5 ctl +"); len(c.ended) != 1 {
		t.Error("a has not ended, and 50 of 100 rooms are passed or gone")
	}
	c.play(t, "6 b-; 9 b-")
	c.Passed(passed)
	c.EndSweep(second(9), true)
	if c.play(t, "9.5 ctl +"); len(c.ended) != 2 {
		t.Error("b has not ended, and the passed rooms are marked")
	}
}

// A court of a random world: pages, reads and controls that take their time are
// truthful of one moment on their way, but for lies of up to two seconds. Callbacks are late,
// doubled, replayed, lost or forged.
type worldCourt struct {
	*rapid.T
	w        *watcher
	court    *Witnesses
	rng      *rand.Rand
	tick     int
	truth    map[string]Room
	inFlight map[string]bool
	due      map[string]int // tick at which a room is read again
	coming   map[int][]func(now time.Time)
	lieEnds  int
	lies     [2]bool // the list shows nothing; no read finds anything
	rooms    int
	forges   bool // callbacks may be forged; reads do not lie then: one that lies and one that is forged are two witnesses
	calls    []Callback
	old      []map[string]Room // the truth at each tick
	probed   int               // counts that probes have told
	ends     int
	byCall   int // ends of which a callback is a witness
}

const ticksPerSecond = 4

func (c *worldCourt) now() time.Time { return second(float64(c.tick) / ticksPerSecond) }

func (c *worldCourt) lying(what int) bool { return c.tick < c.lieEnds && c.lies[what] }

// later runs look at a moment within the next second, and hear after it.
func (c *worldCourt) later(look func(), hear func(now time.Time)) {
	way := c.rng.IntN(ticksPerSecond)
	at := c.tick + c.rng.IntN(way+1)
	c.coming[at] = append(c.coming[at], func(time.Time) { look() })
	c.coming[c.tick+way] = append(c.coming[c.tick+way], hear)
}

func (c *worldCourt) read(id string) {
	if c.inFlight[id] {
		return
	}
	c.inFlight[id] = true
	c.court.Ask(id)
	r := Read{RoomID: id, Sent: c.now()}
	fails := c.rng.IntN(10) == 0
	c.later(func() {
		room, live := c.truth[id]
		switch {
		case live && !c.lying(1):
			r.Outcome, r.Room = Live, room
		default:
			r.Outcome = Gone
		}
	}, func(now time.Time) {
		if r.At = now; fails {
			r.Outcome = NoAnswer
		}
		delete(c.inFlight, id)
		c.hear(r)
	})
}

func (c *worldCourt) hear(r Read) {
	f := c.court.Hear(r)
	l := Look{At: r.At, Wall: r.At, Sweep: c.w.sweep, LastComplete: c.w.history.Begin}
	if !f.Again.IsZero() {
		c.due[r.RoomID] = c.tick + max(1, int(math.Ceil(f.Again.Sub(r.At).Seconds()*ticksPerSecond)))
	}
	if f.Present {
		k, ok := c.w.rooms[r.RoomID]
		known := &k
		if !ok {
			known = nil
		}
		if !r.Replaces(known) {
			c.believe(known, r, l)
		} else {
			c.court.Replace(r)
			c.due[r.RoomID] = c.tick + 3*ticksPerSecond
		}
	}
	for _, p := range c.court.Proved(len(c.w.rooms), 0, func(string) bool { return false }) {
		id := p.RoomID
		k, ok := c.w.rooms[id]
		if !ok {
			c.court.Forget(id)
			continue
		}
		if !p.Means(k.Room) {
			c.court.Disbelieve(id)
			c.due[id] = c.tick + 3*ticksPerSecond
			continue
		}
		c.court.Forget(id)
		if p.callback {
			c.byCall++
		}
		if p.Newer != nil {
			if p.Newer.Replaces(&k) {
				c.believe(&k, *p.Newer, l)
			}
			continue
		}
		if room, live := c.truth[id]; live && room.Key() == k.Room.Key() {
			c.Fatalf("%v ended at %v, and lives", k.Room.Key(), r.At)
		}
		events, end := c.w.policy.EndRead(k, l, 0)
		c.w.events = append(c.w.events, events...)
		c.w.ends[id] = end
		delete(c.w.rooms, id)
		c.ends++
	}
}

func (c *worldCourt) believe(known *Known, r Read, l Look) {
	if s := c.w.policy.SeeRead(known, c.w.ends[r.RoomID], r, l, 0); s.Changed {
		c.w.rooms[r.RoomID] = s.Known
		c.w.events = append(c.w.events, s.Events...)
	}
}

// page reads some of the rooms that live.
func (c *worldCourt) page() {
	var rooms []Room
	begin := c.now()
	share := c.rng.IntN(3)
	c.later(func() {
		for _, id := range slices.Sorted(maps.Keys(c.truth)) {
			if !c.lying(0) && c.rng.IntN(3) <= share {
				rooms = append(rooms, c.truth[id])
			}
		}
	}, func(now time.Time) {
		c.court.Saw(rooms, now)
		c.w.begin = begin
		l := Look{At: now, Wall: now, Sweep: c.w.sweep, Begin: begin, Reads: true}
		for _, r := range rooms {
			known, ok := c.w.rooms[r.RoomID]
			k := &known
			if !ok {
				k = nil
			}
			s := c.w.policy.See(k, c.w.ends[r.RoomID], r, l, 0)
			if s.Changed {
				c.w.rooms[r.RoomID] = s.Known
			}
			if s.Ask {
				if k != nil {
					c.court.List(r, now)
				}
				c.due[r.RoomID] = c.tick
			}
			c.w.events = append(c.w.events, s.Events...)
		}
	})
}

// call lets a callback come, up to five seconds late, or never.
func (c *worldCourt) call(cb Callback) {
	if c.rng.IntN(8) == 0 {
		return
	}
	c.calls = append(c.calls, cb)
	if len(c.calls) > 30 {
		c.calls = c.calls[1:]
	}
	late := 0
	if c.rng.IntN(2) == 0 {
		late = c.rng.IntN(5 * ticksPerSecond)
	}
	c.coming[c.tick+late] = append(c.coming[c.tick+late], func(now time.Time) {
		cb.At = now
		c.court.Tell(cb)
		if _, ok := c.due[cb.RoomID]; !ok {
			c.due[cb.RoomID] = c.tick
		}
	})
}

func (c *worldCourt) step(changes bool) {
	c.tick++
	id := fmt.Sprintf("r%d", c.rng.IntN(c.rooms))
	if _, live := c.truth[id]; changes && c.rng.IntN(6) == 0 {
		if live {
			delete(c.truth, id)
			c.call(Callback{RoomID: id, Kind: Destroyed, Signed: int64(c.tick)})
		} else {
			c.truth[id] = Room{RoomID: id, CreateTime: int64(c.tick)}
			c.call(Callback{RoomID: id, Kind: Created, Signed: int64(c.tick)})
		}
	}
	if changes && c.forges && c.rng.IntN(6) == 0 {
		c.call(Callback{RoomID: id, Kind: CallbackKind(c.rng.IntN(3)), Signed: int64(c.tick)})
	}
	if len(c.calls) > 0 && c.rng.IntN(12) == 0 { // one that comes again, or is replayed
		c.call(c.calls[c.rng.IntN(len(c.calls))])
	}
	if changes && c.tick > c.lieEnds+15*ticksPerSecond && c.rng.IntN(20) == 0 {
		c.lieEnds = c.tick + c.rng.IntN(2*ticksPerSecond)
		c.lies = [2]bool{c.rng.IntN(2) == 0, c.rng.IntN(2) == 0 && !c.forges}
	}
	if room, live := c.truth[id]; live && changes && c.rng.IntN(2) == 0 {
		room.ViewCount += int64(1 + c.rng.IntN(3))
		c.truth[id] = room
	}
	c.old = append(c.old, maps.Clone(c.truth))
	if c.rng.IntN(3) == 0 {
		c.page()
	}
	if c.rng.IntN(4) == 0 {
		c.probe()
	}
	if id, ok := c.court.Control(c.now()); ok {
		c.read(id)
	}
	if _, known := c.w.rooms[id]; known {
		c.read(id)
	}
	for _, id := range slices.Sorted(maps.Keys(c.due)) {
		if c.due[id] <= c.tick && !c.inFlight[id] {
			delete(c.due, id)
			c.read(id)
		}
	}
	for len(c.coming[c.tick]) > 0 {
		f := c.coming[c.tick][0]
		c.coming[c.tick] = c.coming[c.tick][1:]
		f(c.now())
	}
	delete(c.coming, c.tick)
}

// No order of truthful pages, probes and reads, no lie of two seconds and no callback ends a room that
// lives or tells an event twice; at rest the events fold to the truth.
func TestWitnessesInRandomWorlds(t *testing.T) {
	ends, byCall, probed := 0, 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		w := newWatcher(DefaultPolicy())
		c := &worldCourt{
			T: rt, w: w, court: NewWitnesses(w.policy), rng: rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0)),
			truth: map[string]Room{"x": {RoomID: "x", CreateTime: 1}}, inFlight: map[string]bool{}, due: map[string]int{}, coming: map[int][]func(time.Time){}, forges: rapid.Bool().Draw(rt, "forges"), rooms: rapid.IntRange(1, 12).Draw(rt, "rooms"),
		}
		for range rapid.IntRange(100, 600).Draw(rt, "ticks") {
			c.step(true)
		}
		for range 120 * ticksPerSecond {
			c.step(false)
		}
		told := map[string]Key{}
		for _, e := range w.events {
			k, live := told[e.Room.RoomID]
			switch e.Type {
			case RoomCreated:
				if live {
					rt.Fatalf("%v created, and %v lives", e.Room.Key(), k)
				}
				told[e.Room.RoomID] = e.Room.Key()
			case RoomEnded:
				if k != e.Room.Key() {
					rt.Fatalf("%v ended, told was %v", e.Room.Key(), k)
				}
				delete(told, e.Room.RoomID)
			case ViewCountChanged:
				if k != e.Room.Key() || *e.Previous.ViewCount >= e.Room.ViewCount {
					rt.Fatalf("%v has %d views after %d, told was %v", e.Room.Key(), e.Room.ViewCount, *e.Previous.ViewCount, k)
				}
			}
		}
		for id, r := range c.truth {
			if told[id] != r.Key() {
				rt.Errorf("told of %s: %v, it is %v", id, told[id], r.Key())
			}
		}
		if len(told) != len(c.truth) {
			rt.Errorf("told are %d rooms, %d live", len(told), len(c.truth))
		}
		ends, byCall, probed = ends+c.ends, byCall+c.byCall, probed+c.probed
	})
	if ends == byCall || byCall == 0 {
		t.Errorf("%d ends by reads, %d with a callback", ends, byCall)
	}
	if probed == 0 {
		t.Error("no probe has told a count: the test proves nothing of them")
	}
	if ends == 0 {
		t.Error("no room has ended by reads: the test proves nothing")
	}
}
