package main

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"roomwatch/cmd/roomnotify/form"
)

// A run that ends with an error leaves no goroutine behind.
func TestRunThatFailsLeavesNothing(t *testing.T) {
	b := newBench(t, benchRules)
	path := filepath.Join(t.TempDir(), "url")
	put(t, path, b.hook)
	t.Setenv("HOOK_SECRET", hookSecret)
	file := rulesWithFiles(t, "targets:\n"+hook("a", "")+"  z: {kind: webhook, secret: \"${HOOK_SECRET}\", url_file: "+path+"}\nrules:\n  r: {"+all+", targets: [a, z]}\n")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	before := goleak.IgnoreCurrent()
	d := newDaemon(&config{Name: "notify", Stream: "LIVE", Prefix: "live", Replicas: 1, MaxAge: time.Hour}, file, slog.New(slog.DiscardHandler))
	d.js = b.js
	if err := d.run(t.Context()); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Fatalf("run: %v", err)
	}
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}

// While it cannot be read what an earlier roomnotify has kept, the log says why.
func TestSaysWhyNothingIsRestored(t *testing.T) {
	inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", limit: 1, targets: [a]}\n", func(r *rig) {
		c := storeConfig{name: "notify", replicas: 1, maxAge: time.Hour}
		s, err := openStore(r.t.Context(), r.js, c, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := r.js.DeleteStream(r.t.Context(), "NOTIFY"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(r.t.Context())
		defer cancel()
		target := &r.file.Targets[0]
		g := newTarget(ctx, target, r.file.Of("a"), s, nil, newWatch(time.Time{}, time.Now()), uncounted(), slog.New(slog.NewTextHandler(r.log, nil)))
		restored := make(chan bool, 1)
		go func() { restored <- g.restored(ctx) }()
		time.Sleep(time.Minute + startPause/2) // between two tries: none finds the new stream still empty
		if n := strings.Count(r.log.String(), `msg="stored notifications cannot be read"`); n != 1 {
			t.Errorf("the log says %d times what is wrong, want once:\n%s", n, r.log)
		}
		if s, err = openStore(r.t.Context(), r.js, c, true); err != nil {
			t.Fatal(err)
		}
		if err := s.hold(r.t.Context(), form.New(r.next("x"), "r", "a", 0), 0); err != nil {
			t.Fatal(err)
		}
		if !<-restored || !g.rules[0].holding {
			t.Errorf("what is held is not known")
		}
	})
}

// A target that was in no rule for a while is not told what is late by now,
// although roomnotify was at work for others all the time.
func TestLateForOneTargetAlone(t *testing.T) {
	const targets = "targets:\n"
	inBubble(t, targets+hook("a", "")+hook("b", "")+"rules:\n  r: {"+all+", targets: [a, b]}\n", func(r *rig) {
		both := r.file
		stop := r.start()
		r.put("x")
		r.takes("b", "x created")
		stop()
		r.file = parseRules(t, targets+hook("a", "")+hook("b", "")+"rules:\n  r: {"+all+", targets: [a]}\n")
		stop = r.start()
		r.put("old")
		r.takes("a", "x created", "old created")
		time.Sleep(3 * time.Hour)
		stop()
		r.file = both
		stop = r.start()
		r.put("new")
		r.takes("a", "x created", "old created", "new created")
		r.takes("b", "x created", "new created")
		stop()
	})
}

// A stream that becomes unfit while roomnotify runs is reported once, with the
// fix, and so is that it can be used again.
func TestStreamsThatBecomeUnfit(t *testing.T) {
	for name, fix := range map[string]string{"NOTIFY": "`nats stream edit NOTIFY --max-msgs-per-subject=-1`", "LIVE": "`nats stream edit LIVE --retention=limits`"} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
				stop := r.start()
				r.put("x")
				r.takes("a", "x created")
				s, err := r.js.Stream(r.t.Context(), name)
				if err != nil {
					t.Fatal(err)
				}
				fit := s.CachedInfo().Config
				unfit := fit
				if name == "LIVE" {
					unfit.Retention = jetstream.InterestPolicy
				} else {
					unfit.MaxMsgsPerSubject = 1
				}
				if _, err := r.js.UpdateStream(r.t.Context(), unfit); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if log := r.log.String(); strings.Count(log, `msg="stream cannot be used" stream=`+name) != 1 || !strings.Contains(log, fix) {
					t.Errorf("the log says:\n%s", log)
				}
				if _, err := r.js.UpdateStream(r.t.Context(), fit); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if log := r.log.String(); strings.Count(log, `msg="stream can be used again" stream=`+name) != 1 {
					t.Errorf("the log says:\n%s", log)
				}
				r.put("y")
				r.takes("a", "x created", "y created")
				stop()
			})
		})
	}
}

// An error that lasts is logged again after a while, as one that begins or changes is.
func TestLastingErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := errors.New("a"), errors.New("b")
		var differs, begins changes
		for _, tt := range []struct {
			wait            time.Duration
			err             error
			differs, begins bool
		}{
			{0, a, true, true},
			{time.Minute, a, false, false},
			{time.Minute, b, true, false},
			{13 * time.Minute, b, false, true}, // 15 minutes after it began
			{2 * time.Minute, b, true, false},
			{time.Minute, nil, false, false},
			{time.Minute, b, true, true},
		} {
			time.Sleep(tt.wait)
			if d, b := differs.differ(tt.err), begins.begins(tt.err); d != tt.differs || b != tt.begins {
				t.Errorf("after %s, %v: differ %v, begins %v", tt.wait, tt.err, d, b)
			}
		}
	})
}
