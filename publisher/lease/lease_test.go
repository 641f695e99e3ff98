package lease

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"roomwatch/diff/logtest"
	"roomwatch/publisher/natsconn"
	"roomwatch/publisher/natstest"
)

const duration = 15 * time.Second

// A file is what the state files of some processes remember.
type file struct {
	mu      sync.Mutex
	process string
	alone   bool
}

func newFile() *file { return &file{alone: true} }

// copied is a copy of the file as it is now.
func (f *file) copied() *file {
	process, alone, _ := f.Holder() // no error: it is in memory
	return &file{process: process, alone: alone}
}

func (f *file) Holder() (string, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.process, f.alone, nil
}

func (f *file) SetHolder(process string, alone bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.process, f.alone = process, alone
	return nil
}

// claims is the stream, as far as the lease knows it.
type claims struct {
	mu  sync.Mutex
	now Claim
}

func (c *claims) newest(context.Context) (Claim, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now, nil
}

func (c *claims) put(now Claim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = now
}

// A process is one roomwatch, as far as the lease sees it.
type process struct {
	t      *testing.T
	nc     *nats.Conn
	lease  *Lease
	claims *claims
	log    *logtest.Buffer
	stop   context.CancelFunc
	got    chan *Tenure
	err    error
	stands sync.WaitGroup

	tenure *Tenure
}

// begin has a process want the lease.
func begin(t *testing.T, nc *nats.Conn, name string, f *file, c *claims) *process {
	t.Helper()
	p := &process{t: t, nc: nc, claims: c, log: &logtest.Buffer{}, got: make(chan *Tenure, 1)}
	p.lease = New(Config{
		Conn: natsconn.Of(nc), SDKAppID: 1, Instance: name, Host: "host-" + name, Version: "test", Duration: duration,
		Memory: f, Claim: c.newest, Behind: func() (uint64, bool) { return 0, true },
		Log: slog.New(slog.NewTextHandler(p.log, nil)),
	})
	p.want()
	t.Cleanup(p.kill)
	return p
}

func (p *process) want() {
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	go func() {
		t, err := p.lease.Acquire(ctx, 5*time.Second, func(ctx context.Context) {
			p.stands.Add(1)
			defer p.stands.Done()
			<-ctx.Done()
		})
		p.err = err
		p.got <- t
	}()
}

// holds waits until the process has the lease, and claims as its writer would. It fails
// if that takes longer than atMost.
func (p *process) holds(atMost time.Duration) time.Duration {
	p.t.Helper()
	began := time.Now()
	select {
	case p.tenure = <-p.got:
	case <-time.After(atMost):
		p.t.Fatalf("%s does not hold the lease after %v: %+v\n%s", p.lease.c.Instance, atMost, p.lease.Status(), p.log)
	}
	if p.tenure == nil {
		p.t.Fatalf("%s: %v", p.lease.c.Instance, p.err)
	}
	select {
	case <-p.tenure.Granted():
		p.claims.put(Claim{p.lease.c.Instance, p.tenure.Term()})
	default:
	}
	return time.Since(began)
}

// waits fails if the process has the lease within a time.
func (p *process) waits(d time.Duration) {
	p.t.Helper()
	select {
	case p.tenure = <-p.got:
		p.t.Fatalf("%s has the lease: %+v", p.lease.c.Instance, p.lease.Status())
	case <-time.After(d):
	}
}

// kill ends the process as SIGKILL does.
func (p *process) kill() {
	p.nc.Close()
	p.stop()
	if p.tenure != nil {
		p.tenure.stop()
		p.tenure.keeper.Wait()
	}
}

func (p *process) release() { p.tenure.Release(context.Background()) }

func (p *process) wantTerm(term uint64) {
	p.t.Helper()
	if got := p.tenure.Term(); got != term {
		p.t.Errorf("%s has term %d, want %d", p.lease.c.Instance, got, term)
	}
}

func run(t *testing.T, f func(t *testing.T, s *natstest.Server)) { natstest.Run(t, f) }

// One holds it, the other stands by, and has it two seconds after it was given back.
func TestGivenBack(t *testing.T) {
	run(t, func(t *testing.T, s *natstest.Server) {
		c := &claims{}
		a := begin(t, s.Connect(), "a", newFile(), c)
		if took := a.holds(time.Second); took > 0 {
			t.Errorf("the first waits for %v", took)
		}
		a.wantTerm(1)
		b := begin(t, s.Connect(), "b", newFile(), c)
		b.waits(time.Hour)
		if st := b.lease.Status(); !st.Standing || st.Held || st.Holder.Instance != "a" || st.Holder.Host != "host-a" || st.Term != 1 {
			t.Errorf("the standby's status: %+v", st)
		}
		if st := a.lease.Status(); !st.Held || st.Standing || len(st.Standbys) != 1 || st.Standbys[0].Instance != "b" {
			t.Errorf("the holder's status: %+v", st)
		}
		a.release()
		b.holds(2 * time.Second)
		b.wantTerm(2)
		pass(duration)
		if st := b.lease.Status(); st.Standing || !st.Held || len(st.Standbys) != 0 {
			t.Errorf("the new holder's status: %+v", st)
		}
	})
}

// A holder that dies has the lease for as long as it says, and no longer; and two that
// wait do not both get it.
func TestHolderDies(t *testing.T) {
	run(t, func(t *testing.T, s *natstest.Server) {
		c := &claims{}
		a := begin(t, s.Connect(), "a", newFile(), c)
		a.holds(time.Second)
		b := begin(t, s.Connect(), "b", newFile(), c)
		other := begin(t, s.Connect(), "other", newFile(), c)
		pass(time.Minute)
		a.kill()
		began := time.Now()
		var won, lost *process
		select {
		case b.tenure = <-b.got:
			won, lost = b, other
		case other.tenure = <-other.got:
			won, lost = other, b
		case <-time.After(time.Hour):
			t.Fatal("nobody has it")
		}
		if took := time.Since(began); took < duration*2/3 || took > duration+2*time.Second {
			t.Errorf("it took %v", took)
		}
		c.put(Claim{won.lease.c.Instance, won.tenure.Term()})
		won.wantTerm(2)
		lost.waits(time.Hour)
	})
}

// Who comes back with its state file has the lease at once; a copy of the file has not,
// neither beside the one that came back nor beside the first.
func TestSameFile(t *testing.T) {
	run(t, func(t *testing.T, s *natstest.Server) {
		c := &claims{}
		f := newFile()
		a := begin(t, s.Connect(), "a", f, c)
		a.holds(time.Second)
		pass(time.Minute)
		beside := begin(t, s.Connect(), "beside", f.copied(), c)
		beside.waits(time.Minute)
		if st := beside.lease.Status(); !st.Standing {
			t.Errorf("the copy does not stand by: %+v", st)
		}
		beside.kill()
		pass(time.Minute)
		late := f.copied()
		a.kill()
		again := begin(t, s.Connect(), "again", f, c)
		again.holds(time.Second)
		again.wantTerm(2)
		copied := begin(t, s.Connect(), "copied", late, c)
		copied.waits(time.Hour)
	})
}

// A copy of the file of a holder that lives begins, and just then the holder is cut off:
// that NATS knows it no longer does not say that it is dead.
func TestCopyOfOneThatIsCutOff(t *testing.T) {
	run(t, func(t *testing.T, s *natstest.Server) {
		c := &claims{}
		f := newFile()
		a := begin(t, s.Connect(), "a", f, c)
		a.holds(time.Second)
		b := begin(t, s.Connect(), "b", newFile(), c)
		pass(time.Minute)
		copied := begin(t, s.Connect(), "copied", f.copied(), c)
		pass(time.Second)
		a.nc.Close()
		began := time.Now()
		select {
		case copied.tenure = <-copied.got:
		case b.tenure = <-b.got:
		}
		if err := a.tenure.MayAsk(); err == nil {
			t.Errorf("the next one begins after %v, while the one that is cut off asks", time.Since(began))
		}
	})
}

// A copy that has found the holder alive, and watches without the lease because the bucket
// does not answer, has not forgotten that when it does: the holder may just be cut off.
func TestCopyWithoutTheBucket(t *testing.T) {
	run(t, func(t *testing.T, s *natstest.Server) {
		c := &claims{}
		f := newFile()
		a := begin(t, s.Connect(), "a", f, c)
		a.holds(time.Second)
		pass(time.Minute)
		away := &natstest.Leaderless{}
		s.Tap(away.Tap)
		copied := begin(t, s.Connect(), "copied", f.copied(), c)
		pass(lookEvery) // it has looked once
		away.Lose("KV")
		select {
		case copied.tenure = <-copied.got:
		case <-time.After(duration):
			t.Fatal("it waits for the bucket")
		}
		if copied.tenure.Term() != 0 {
			t.Fatalf("it has term %d", copied.tenure.Term())
		}
		a.nc.Close()
		cut := time.Now()
		away.Lose()
		<-copied.tenure.Granted()
		if took := time.Since(cut); took < duration-lookGap {
			t.Errorf("it has the lease of one that it had found alive after %v", took)
		}
	})
}

// A machine lost its power and is back before NATS has noticed: nobody else watches, so
// the process waits for its own lease, and does not give up what waits in its file.
func TestNATSHasNotNoticed(t *testing.T) {
	run(t, func(t *testing.T, s *natstest.Server) {
		c := &claims{}
		f := newFile()
		a := begin(t, s.Connect(), "a", f, c)
		a.holds(time.Second)
		pass(time.Minute)
		a.stop() // it says nothing any more, and its connection stays
		a.tenure.stop()
		a.tenure.keeper.Wait()
		again := begin(t, s.Connect(), "again", f, c)
		again.holds(duration + 2*time.Second)
		if told := again.log.String(); strings.Contains(told, "standing by") {
			t.Errorf("it stood by:\n%s", told)
		}
	})
}

// While NATS is away a holder goes on, if it was alone; otherwise it stops asking before
// anybody else can begin.
func TestAway(t *testing.T) {
	for _, alone := range []bool{true, false} {
		t.Run(fmt.Sprintf("alone %t", alone), func(t *testing.T) {
			run(t, func(t *testing.T, s *natstest.Server) {
				c := &claims{}
				away := &natstest.Leaderless{}
				s.Tap(away.Tap)
				near := s.Connect()
				s.Tap(func(c net.Conn) (net.Conn, error) { return c, nil })
				f := newFile()
				a := begin(t, near, "a", f, c)
				a.holds(time.Second)
				var b *process
				if !alone {
					b = begin(t, s.Connect(), "b", newFile(), c)
				}
				pass(time.Minute)
				if _, said, _ := f.Holder(); said != alone {
					t.Errorf("the file says alone=%t", said)
				}
				away.Lose("KV")
				began := time.Now()
				if alone {
					pass(10 * time.Minute)
					if err := a.tenure.MayAsk(); err != nil {
						t.Errorf("it stops: %v", err)
					}
					away.Lose()
					pass(time.Minute)
					if st := a.lease.Status(); !st.Held || a.tenure.Context().Err() != nil {
						t.Errorf("it has lost the lease: %+v", st)
					}
					return
				}
				for a.tenure.MayAsk() == nil {
					time.Sleep(10 * time.Millisecond)
				}
				stopped := time.Since(began)
				b.holds(time.Minute)
				took := time.Since(began)
				if stopped > duration*2/3 || took <= stopped || took > duration+2*time.Second {
					t.Errorf("it stops after %v, the next one begins after %v", stopped, took)
				}
				<-a.tenure.Context().Done()
				if cause := context.Cause(a.tenure.Context()); !errors.Is(cause, ErrUnreachable) {
					t.Errorf("the tenure ended with %v", cause)
				}
			})
		})
	}
}

// A process that finds no NATS watches if it was alone before, and stands by as soon as
// it learns that it is not.
func TestWithoutNATS(t *testing.T) {
	for _, alone := range []bool{true, false} {
		run(t, func(t *testing.T, s *natstest.Server) {
			c := &claims{}
			other := begin(t, s.Connect(), "other", newFile(), c)
			other.holds(time.Second)
			near := s.Connect()
			s.Down()
			a := begin(t, near, "a", &file{process: "before", alone: alone}, c)
			if !alone {
				a.waits(time.Hour)
				return
			}
			a.holds(10 * time.Second)
			if err := a.tenure.MayAsk(); err != nil || a.tenure.Term() != 0 {
				t.Errorf("term %d, %v", a.tenure.Term(), err)
			}
			pass(time.Minute)
			s.Up()
			<-a.tenure.Context().Done()
			if cause := context.Cause(a.tenure.Context()); !errors.Is(cause, ErrLost) {
				t.Errorf("it ended with %v", cause)
			}
		})
	}
}

// A bucket that was removed is made again, and the holder stays the holder.
func TestBucketIsLost(t *testing.T) {
	run(t, func(t *testing.T, s *natstest.Server) {
		c := &claims{}
		a := begin(t, s.Connect(), "a", newFile(), c)
		a.holds(time.Second)
		b := begin(t, s.Connect(), "b", newFile(), c)
		pass(time.Minute)
		js, err := jetstream.New(s.Connect())
		if err != nil {
			t.Fatal(err)
		}
		if err := js.DeleteKeyValue(t.Context(), Bucket); err != nil {
			t.Fatal(err)
		}
		b.waits(time.Minute)
		if st := a.lease.Status(); !st.Held || a.tenure.Context().Err() != nil || a.tenure.MayAsk() != nil {
			t.Errorf("the holder has lost it: %+v %v", st, context.Cause(a.tenure.Context()))
		}
		a.wantTerm(1)
		a.release()
		b.holds(2 * time.Second)
		b.wantTerm(2)
	})
}

// Why the lease cannot be written is told as NATS says it.
func TestBucketIsFull(t *testing.T) {
	run(t, func(t *testing.T, s *natstest.Server) {
		a := begin(t, s.Connect(), "a", newFile(), &claims{})
		a.holds(time.Second)
		js, err := jetstream.New(s.Connect())
		if err != nil {
			t.Fatal(err)
		}
		pass(time.Second)
		bucket, err := js.Stream(t.Context(), "KV_"+Bucket)
		if err != nil {
			t.Fatal(err)
		}
		full := a.lease.store.wanted()
		full.MaxBytes = int64(bucket.CachedInfo().State.Bytes)
		if _, err := js.UpdateStream(t.Context(), full); err != nil {
			t.Fatal(err)
		}
		pass(time.Minute)
		if st := a.lease.Status(); !st.Held || st.Error == nil || errors.Is(st.Error, errStale) || !strings.Contains(st.Error.Error(), "maximum bytes exceeded") {
			t.Errorf("the lease of a full bucket: %+v", st)
		}
	})
}

// A holder that a roomwatch without the lease has fenced claims again, once in the
// duration of the lease.
func TestReclaim(t *testing.T) {
	run(t, func(t *testing.T, s *natstest.Server) {
		c := &claims{}
		a := begin(t, s.Connect(), "a", newFile(), c)
		a.holds(time.Second)
		pass(time.Minute)
		for i, by := range []Claim{{"old", 0}, {"old", 0}, {"other", 5}} {
			began := time.Now()
			term, err := a.tenure.Reclaim(t.Context(), by, "host")
			if want := max(1, by.Term+by.Term/5); err != nil || term != want {
				t.Errorf("%+v: term %d, %v, want %d", by, term, err, want)
			}
			if took := time.Since(began); i == 0 && took > time.Second || i > 0 && took < duration-time.Second {
				t.Errorf("%+v: after %v", by, took)
			}
		}
		a.wantTerm(6)
		a.release()
		if _, err := a.tenure.Reclaim(t.Context(), Claim{"old", 0}, "host"); err == nil {
			t.Error("it reclaims what it has given back")
		}
	})
}

// A renewal that waits while the holder claims again keeps the term of that claim.
func TestRenewalDuringAReclaim(t *testing.T) {
	run(t, func(t *testing.T, s *natstest.Server) {
		a := begin(t, s.Connect(), "a", newFile(), &claims{})
		a.holds(time.Second)
		pass(time.Second)
		a.tenure.writing <- struct{}{} // both wait, in this order
		var both sync.WaitGroup
		both.Go(func() {
			if term, err := a.tenure.Reclaim(t.Context(), Claim{"other", 5}, "host"); term != 6 || err != nil {
				t.Errorf("it claims again with term %d, %v", term, err)
			}
		})
		synctest.Wait()
		both.Go(func() {
			if err := a.tenure.renew(t.Context()); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		<-a.tenure.writing
		both.Wait()
		if v, err := a.lease.store.lease(t.Context()); err != nil || v.value.Term != 6 {
			t.Errorf("the lease has term %d, %v", v.value.Term, err)
		}
		a.wantTerm(6)
	})
}

// The lease goes round a hundred times, by every way; no term is given twice.
func TestManyTurns(t *testing.T) {
	run(t, func(t *testing.T, s *natstest.Server) {
		c := &claims{}
		now := begin(t, s.Connect(), "p0", newFile(), c)
		now.holds(time.Second)
		for i := range uint64(100) {
			next := begin(t, s.Connect(), fmt.Sprintf("p%d", i+1), newFile(), c)
			pass(20 * time.Second)
			if i%2 == 0 {
				now.release()
				now.kill()
				next.holds(2 * time.Second)
			} else {
				now.kill()
				next.holds(duration + 2*time.Second)
			}
			next.wantTerm(i + 2)
			now = next
		}
	})
}

// A suspended machine's monotonic clock stands still, and its wall clock does not.
func TestApart(t *testing.T) {
	a := time.Now()
	if got := apart(a, a.Round(0).Add(time.Hour)); got != time.Hour {
		t.Errorf("by the wall clock: %v", got)
	}
	if got := apart(a, a.Add(time.Minute)); got != time.Minute {
		t.Errorf("by both: %v", got)
	}
}

// A holder and a candidate whose machine was suspended for an hour, in which its monotonic
// clock stood still: the one asks no more, the other begins to wait anew.
func TestSuspended(t *testing.T) {
	now := time.Now()
	before := wallBefore(now)
	if now.Sub(before) != 0 || now.Round(0).Sub(before.Round(0)) != time.Hour {
		t.Fatalf("before is %v by the monotonic clock, and %v by the other", now.Sub(before), now.Round(0).Sub(before.Round(0)))
	}
	l := &Lease{c: Config{Duration: duration}}
	held := &Tenure{l: l, ctx: t.Context(), held: &stored[record]{}, renewed: now}
	if err := held.MayAsk(); err != nil {
		t.Errorf("one that was not suspended may not ask: %v", err)
	}
	if held.renewed = before; !errors.Is(held.MayAsk(), ErrUnreachable) {
		t.Error("one that was suspended may ask")
	}
	waits := &candidate{l: l, began: before, seen: 7, unmoved: before, looked: before}
	if waits.look(stored[record]{revision: 7}); !waits.unmoved.After(now) {
		t.Error("the time of the suspension counts as waited")
	}
}

// wallBefore moves the wall clock's part of a time back by an hour and leaves the
// monotonic clock's as it is, which no exported function does.
func wallBefore(t time.Time) time.Time {
	parts := (*struct {
		wall uint64 // a bit, 33 bits of seconds, 30 bits of nanoseconds
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t))
	parts.wall -= 3600 << 30
	return t
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
