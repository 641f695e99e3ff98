package poller

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"roomwatch/diff"
)

// answers is an Answers that keeps what it gets.
type answers struct {
	mu      sync.Mutex
	asked   map[string]bool
	reads   []diff.Read
	control func(now time.Time) (string, bool) // nil: none
	refused int
	twice   []string // rooms that were asked for while a read of them was on its way
}

func (a *answers) Ask(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asked == nil {
		a.asked = map[string]bool{}
	}
	if a.asked[id] {
		a.twice = append(a.twice, id)
	}
	a.asked[id] = true
}

func (a *answers) Read(_ context.Context, r diff.Read) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.asked, r.RoomID)
	a.reads = append(a.reads, r)
	return nil
}

func (a *answers) Control(now time.Time) (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.control == nil {
		return "", false
	}
	return a.control(now)
}

func (a *answers) Refuse() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refused++
}

// take returns what was read since the last call, as "a:live b:gone"; "c:no_answer!" is odd.
func (a *answers) take() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []string
	for _, r := range a.reads {
		odd := ""
		if r.Odd {
			odd = "!"
		}
		all = append(all, r.RoomID+":"+r.Outcome.String()+odd)
	}
	a.reads = nil
	return strings.Join(all, " ")
}

// startReader runs the reader of a poller until the test ends.
func startReader(t *testing.T, p *Poller, sink Answers) *Reader {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	r := p.Reader()
	go func() {
		r.Run(ctx, sink)
		close(done)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

func (r *Reader) ask(ids ...string) {
	for _, id := range ids {
		r.Propose(diff.Proposal{RoomID: id})
	}
}

// info returns the answer that shows a room, such as "a@1=5"; hidden says how
// IsPublicVisible is written, "" for not at all.
func info(s, visible string) string {
	r := room(s)
	if visible != "" {
		visible = `,"IsPublicVisible":` + visible
	}
	return fmt.Sprintf(`{"ActionStatus":"OK","ErrorInfo":"","ErrorCode":0,"RequestId":"Id-i","Response":{"RoomInfo":{"RoomId":%q,"RoomType":"Live",`+
		`"Owner_Account":144115233775727695,"CreateTime":%d,"ViewCount":%d,"MaxSeatCount":8%s}}}`, r.RoomID, r.CreateTime, r.ViewCount, visible)
}

// What an answer says, and which answers say nothing.
func TestPointReadOutcomes(t *testing.T) {
	tests := []struct{ name, answer, want string }{
		{"live", info("a@1=5", "true"), "a:live"},
		{"visibility unknown", info("a@1=5", ""), "a:live"},
		{"visibility null", info("a@1=5", "null"), "a:live"},
		{"hidden", info("a@1=5", "false"), "a:hidden"},
		{"gone", fail(100004), "a:gone"},
		{"another room", info("b@1=5", "true"), "a:no_answer"},
		{"RoomId in another case", info("A@1=5", "true"), "a:no_answer"},
		{"no CreateTime", strings.Replace(info("a@1=5", "true"), `"CreateTime":1,`, "", 1), "a:no_answer"},
		{"CreateTime is text", strings.Replace(info("a@1=5", "true"), `"CreateTime":1,`, `"CreateTime":"1",`, 1), "a:no_answer"},
		{"negative count", info("a@1=-5", "true"), "a:no_answer"},
		{"visibility is text", info("a@1=5", `"false"`), "a:no_answer"},
		{"no RoomInfo", `{"ErrorCode":0,"Response":{}}`, "a:no_answer"},
		{"no Response", `{"ActionStatus":"OK","ErrorCode":0}`, "a:no_answer"},
		{"no ErrorCode", strings.Replace(fail(100004), `"ErrorCode":100004,`, "", 1), "a:no_answer"},
		{"ErrorCode is text", strings.Replace(fail(100004), `:100004,`, `:"100004",`, 1), "a:no_answer"},
		{"cut", info("a@1=5", "true")[:90], "a:no_answer"},
		{"the list", ok("", "a@1=5"), "a:no_answer"},
		{"wrong parameter", fail(100002), "a:no_answer!"},
		{"no JSON", "<html>", "a:no_answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, nil)
				s.info = func(call) (int, string) { return 200, tt.answer }
				var sink answers
				r := startReader(t, s.newPoller(t, Config{PointReadsPerSecond: 50}), &sink)
				r.ask("a")
				time.Sleep(20 * time.Second)
				if got := sink.take(); got != tt.want || r.refusedSince().Err != nil {
					t.Errorf("%s, refused %v, want %s", got, r.refusedSince().Err, tt.want)
				}
				for o := diff.NoAnswer; o <= diff.Gone; o++ {
					want := 0.0
					if strings.Contains(tt.want, o.String()) {
						want = 1
					}
					if n := testutil.ToFloat64(r.metrics.reads.WithLabelValues(o.String())); n != want {
						t.Errorf("%v reads are counted as %s, want %v", n, o, want)
					}
				}
				if n := testutil.ToFloat64(r.metrics.proposals.WithLabelValues(diff.MissedBySweep.String(), outcomeRead)); n != 1 {
					t.Errorf("%v proposals are counted as read", n)
				}
			})
		})
	}
}

// The times of a read are those of the try that was answered.
func TestPointReadTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, nil)
		s.info = func(c call) (int, string) {
			time.Sleep(50 * time.Millisecond)
			if c.n == 0 {
				return 200, fail(100001)
			}
			return 200, info("a@7=5", "true")
		}
		var sink answers
		r := startReader(t, s.newPoller(t, Config{PointReadsPerSecond: 50}), &sink)
		r.ask("a")
		time.Sleep(10 * time.Second)
		synctest.Wait()
		calls := s.log()
		if len(calls) != 2 || len(sink.reads) != 1 {
			t.Fatalf("%d requests, reads %v", len(calls), sink.reads)
		}
		got := sink.reads[0]
		if sent := got.Sent.Sub(s.begin); sent != calls[1].at || got.At.Sub(got.Sent) != 50*time.Millisecond {
			t.Errorf("sent after %v, answered after %v; the second request came after %v", sent, got.At.Sub(s.begin), calls[1].at)
		}
		if got.Room.CreateTime != 7 || got.Room.OwnerAccount != "144115233775727695" {
			t.Errorf("room %+v", got.Room)
		}
	})
}

// Several reads are on their way at once, none of them of one room, and no second
// has more of them than the rate.
func TestPointReadsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var most, out int
		var arrived []time.Time
		s := newService(t, nil)
		s.info = func(c call) (int, string) {
			mu.Lock()
			arrived = append(arrived, time.Now())
			out++
			most = max(most, out)
			mu.Unlock()
			time.Sleep(time.Duration(50+50*(c.n%4)) * time.Millisecond)
			mu.Lock()
			out--
			mu.Unlock()
			return 200, fail(100004)
		}
		var sink answers
		r := startReader(t, s.newPoller(t, Config{PointReadsPerSecond: 20}), &sink)
		for round := range 10 {
			for i := range 20 {
				r.ask(fmt.Sprintf("r%d", i), fmt.Sprintf("r%d-%d", i, round))
			}
			time.Sleep(time.Second)
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if n := crowd(arrived); n > 20 || n < 16 {
			t.Errorf("up to %d requests arrived within a second, want up to 20", n)
		}
		if most < 2 || len(sink.twice) > 0 {
			t.Errorf("up to %d requests at once; at once of one room: %v", most, sink.twice)
		}
	})
}

// Each room waits once; a second read of it comes no sooner than three seconds
// after the first was answered, unless it is asked for later.
func TestProposalsJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, nil)
		s.info = func(call) (int, string) { return 200, fail(100004) }
		p := s.newPoller(t, Config{PointReadsPerSecond: 50})
		for range 5 { // before anything can be read, so that all five join
			p.Reader().ask("a", "b")
		}
		var sink answers
		r := startReader(t, p, &sink)
		time.Sleep(2 * time.Second)
		r.ask("a")
		r.Propose(diff.Proposal{RoomID: "b", Source: diff.AskedAgain, Due: time.Now().Add(4 * time.Second)})
		time.Sleep(10 * time.Second)
		var got []string
		for _, c := range s.log() {
			got = append(got, fmt.Sprintf("%s %v", c.next, c.at.Round(100*time.Millisecond)))
		}
		slices.Sort(got)
		if want := "a 1s, a 4s, b 1s, b 6s"; strings.Join(got, ", ") != want {
			t.Errorf("read %s, want %s", strings.Join(got, ", "), want)
		}
	})
}

// Where both classes wait, rooms that may have ended get five of six reads; alone, each
// gets all. What is too much is dropped and counted.
func TestProposalShares(t *testing.T) {
	outcomes := map[string]int{}
	q := newProposals(func(s diff.Source, outcome string) { outcomes[s.String()+" "+outcome]++ })
	now := time.Now()
	for i := range 3000 {
		q.propose(diff.Proposal{RoomID: fmt.Sprint("again", i), Source: diff.ShownAgain}, now)
	}
	read := func(n int) (missed int) {
		t.Helper()
		for range n {
			id, _, ok := q.next(now)
			if !ok {
				t.Fatal("nothing is due")
			}
			q.done(id, diff.Gone, now)
			if strings.HasPrefix(id, "missed") {
				missed++
			}
		}
		return missed
	}
	read(1000)
	for i := range 9000 {
		q.propose(diff.Proposal{RoomID: fmt.Sprint("missed", i), Source: diff.MissedBySweep}, now)
	}
	if n := read(300); n < 248 || n > 252 {
		t.Errorf("%d of 300 reads are of missed rooms, want 250", n)
	}
	if outcomes["missed dropped"] != 1000 {
		t.Errorf("outcomes %v, want 1000 dropped: 10,000 may wait", outcomes)
	}
	if q.len() != 9700 {
		t.Errorf("%d rooms wait, want 9700", q.len())
	}
}

// A control goes before all that waits.
func TestControlGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, nil)
		s.info = func(c call) (int, string) { return 200, info(c.next+"@1=5", "true") }
		given := false
		sink := answers{control: func(time.Time) (string, bool) {
			if given {
				return "", false
			}
			given = true
			return "control", true
		}}
		r := s.newPoller(t, Config{PointReadsPerSecond: 1})
		r.Reader().ask("a", "b", "c")
		startReader(t, r, &sink)
		time.Sleep(10 * time.Second)
		if got := s.log()[0].next; got != "control" {
			t.Errorf("first read is %q", got)
		}
	})
}

// A service that refuses point reads is left alone for ten minutes, which is said
// once, and then asked again.
func TestPointReadsRefused(t *testing.T) {
	for name, refusal := range map[string]func() (int, string){
		"no administrator": func() (int, string) { return 200, fail(60010) },
		"HTTP 404":         func() (int, string) { return http.StatusNotFound, "" },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, nil)
				refuse := true
				s.info = func(call) (int, string) {
					if refuse {
						return refusal()
					}
					return 200, fail(100004)
				}
				var sink answers
				var log logBuffer
				r := startReader(t, s.newPoller(t, Config{PointReadsPerSecond: 1, Log: log.logger(slog.LevelInfo)}), &sink)
				r.ask("a", "b", "c")
				for range 90 {
					time.Sleep(10 * time.Second)
					r.ask("a", "b", "c")
				}
				if n := len(s.log()); n > 12 || r.refusedSince().Err == nil || sink.refused < 2 {
					t.Errorf("%d requests in a quarter of an hour; refused %v, told %d times", n, r.refusedSince().Err, sink.refused)
				}
				if n := strings.Count(log.String(), "point reads refused"); n != 1 {
					t.Errorf("it is said %d times:\n%s", n, log.String())
				}
				refuse = false
				sink.take()
				for range 60 {
					time.Sleep(10 * time.Second)
					r.ask("a")
				}
				if got := sink.take(); !strings.Contains(got, "a:gone") || r.refusedSince().Err != nil || !strings.Contains(log.String(), "point reads accepted") {
					t.Errorf("read %q, refused %v:\n%s", got, r.refusedSince().Err, log.String())
				}
				if strings.Contains(log.String(), testKey) {
					t.Error("the log has the key")
				}
			})
		})
	}
}

// A signature is renewed once, a throttle lowers the rate of point reads alone.
func TestPointReadErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, func(call) (int, string) { return 200, ok("") })
		var sigs []string
		s.info = func(c call) (int, string) {
			sigs = append(sigs, c.query.Get("usersig"))
			switch len(sigs) {
			case 1:
				return 200, fail(70001)
			case 2:
				return 200, info("a@1=5", "true")
			case 3:
				return 200, fail(60011)
			}
			return 200, info("b@1=5", "true")
		}
		p := s.newPoller(t, Config{PointReadsPerSecond: 50})
		var sink answers
		r := startReader(t, p, &sink)
		time.Sleep(2 * time.Second)
		r.ask("a")
		time.Sleep(2 * time.Second)
		if got := sink.take(); got != "a:live" || len(sigs) != 2 {
			t.Errorf("read %s with %d signatures", got, len(sigs))
		}
		r.ask("b")
		time.Sleep(time.Second)
		if r.fetch.quota.rate() != 25 || p.Status().RequestsPerSecond != defaultRate {
			t.Errorf("rates %v and %v", r.fetch.quota.rate(), p.Status().RequestsPerSecond)
		}
	})
}

func TestPointReadsConfig(t *testing.T) {
	if p := mustNew(t, Config{}); p.Reader() != nil {
		t.Error("there is a Reader without a rate")
	}
	for _, rate := range []float64{-1, 201} {
		if _, err := New(Config{Signer: newTestSigner(t), PointReadsPerSecond: rate}); err == nil {
			t.Errorf("%v point reads a second: no error", rate)
		}
	}
	mustNew(t, Config{PointReadsPerSecond: 200})
	mustNew(t, Config{Endpoint: Endpoint{base: "http://live.test"}, PointReadsPerSecond: 1000, Metrics: prometheus.NewRegistry()})
}

func mustNew(t *testing.T, c Config) *Poller {
	t.Helper()
	c.Signer = newTestSigner(t)
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
