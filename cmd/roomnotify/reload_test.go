package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// writeRules replaces the rule file as Kubernetes does: what the name leads to is
// another directory all at once.
func (r *rig) writeRules(text string) {
	r.t.Helper()
	top := filepath.Dir(r.path)
	r.seqRules++
	name := fmt.Sprintf("..%d", r.seqRules)
	dir := filepath.Join(top, name)
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "rules.yaml"), []byte(text), 0o600)
	}
	if err == nil {
		err = os.Symlink(name, filepath.Join(top, "next"))
	}
	if err == nil {
		err = os.Rename(filepath.Join(top, "next"), filepath.Join(top, "..data"))
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// withFile runs a test with a rule file on the disk.
func withFile(t *testing.T, text string, f func(*rig)) {
	t.Helper()
	t.Setenv("HOOK_SECRET", hookSecret)
	top := t.TempDir()
	if err := os.Symlink(filepath.Join("..data", "rules.yaml"), filepath.Join(top, "rules.yaml")); err != nil {
		t.Fatal(err)
	}
	inBubble(t, text, func(r *rig) {
		r.path = filepath.Join(top, "rules.yaml")
		r.writeRules(text)
		f(r)
	})
}

// New rules are in force some seconds after the file changed; rules with a mistake
// are not, and the old ones stay.
func TestRulesAreReloaded(t *testing.T) {
	rules := func(targets, more string) string {
		return "targets:\n" + hook("a", "") + hook("b", "") + "rules:\n  r: {" + all + more + ", targets: [" + targets + "]}\n"
	}
	withFile(t, rules("a", ""), func(r *rig) {
		stop := r.start()
		r.put("1")
		r.takes("a", "1 created")
		r.writeRules(rules("a, b", ""))
		time.Sleep(2 * rulesEvery)
		r.put("2")
		r.takes("a", "1 created", "2 created")
		r.takes("b", "2 created")
		r.writeRules(rules("a, c", ""))
		time.Sleep(4 * rulesEvery)
		r.put("3")
		r.takes("b", "2 created", "3 created")
		if text := r.log.String(); strings.Count(text, "the old rules stay in force") != 1 || !strings.Contains(text, `target \"c\" is not under targets`) {
			t.Errorf("the log does not say once what is wrong:\n%s", text)
		}
		if got := r.measured()["rules_accepted"]; got != 0 {
			t.Errorf("rules_accepted is %v", got)
		}
		r.daemon.hangUp() // as it is: it is tried again, because somebody asks
		time.Sleep(time.Second)
		if n := strings.Count(r.log.String(), "the old rules stay in force"); n != 2 {
			t.Errorf("tried %d times", n)
		}
		r.writeRules(rules("b", ", categories: [7]"))
		r.daemon.hangUp()
		time.Sleep(time.Second)
		r.put("4")
		time.Sleep(time.Minute)
		r.takes("a", "1 created", "2 created", "3 created")
		r.takes("b", "2 created", "3 created")
		if got := r.measured(); got["rules_accepted"] != 1 || got["target_reading b"] != 1 {
			t.Errorf("metrics: %v", got)
		}
		if _, there := r.measured()["target_reading a"]; there {
			t.Error("a is shown although no rule names it")
		}
		if n := strings.Count(r.log.String(), `msg="rule file reloaded"`); n != 2 {
			t.Errorf("reloaded %d times:\n%s", n, r.log)
		}
		stop()
	})
}

// However often rules are replaced, each notification is accepted once: those that
// come, those that wait, and digests.
func TestReloadLosesAndDoublesNothing(t *testing.T) {
	rules := func(late int) string {
		return "targets:\n" + hook("a", ", tries: 2") + "  b: {kind: discord, url: '${B}'}\n" + "rules:\n  r: {" + all + fmt.Sprintf(", late_after: %dm", late) + ", targets: [a]}\n  s: {" + all + ", limit: 20, targets: [a]}\n"
	}
	t.Setenv("B", "https://b.example/path-hush")
	withFile(t, rules(10), func(r *rig) {
		stop := r.start()
		var stored atomic.Int64
		r.to.answers(func(w http.ResponseWriter, _ *http.Request) bool {
			n := stored.Load()
			time.Sleep(time.Duration(n%9+1) * 300 * time.Millisecond) // longer than it takes to begin to stop
			if n > 40 && n < 60 {
				w.WriteHeader(http.StatusInternalServerError)
				return true
			}
			return false
		})
		const rooms = 120
		for i := range rooms {
			r.put(fmt.Sprintf("x%d", i))
			stored.Add(1)
			time.Sleep(700 * time.Millisecond)
			if i%4 == 0 {
				r.writeRules(rules(11 + i))
				r.daemon.hangUp()
			}
		}
		count := func() (direct, digested int, doubled string) {
			ids := map[string]int{}
			for _, q := range r.to.requests("a.example") {
				if q.answered != http.StatusOK {
					continue
				}
				if ids[q.id]++; ids[q.id] > 1 {
					doubled = q.id
				}
				if what := q.what(t); strings.HasPrefix(what, "digest ") {
					digested += strings.Count(what, ",") + 1
				} else {
					direct++
				}
			}
			return direct, digested, doubled
		}
		r.until("all are told", func() bool { direct, digested, _ := count(); return direct+digested >= 2*rooms })
		time.Sleep(5 * time.Minute)
		if direct, digested, doubled := count(); direct+digested != 2*rooms || doubled != "" {
			t.Errorf("%d and %d in digests were accepted, want %d; doubled: %s", direct, digested, 2*rooms, doubled)
		}
		if n := strings.Count(r.log.String(), `msg="rule file reloaded"`); n < 20 {
			t.Errorf("reloaded %d times", n)
		}
		stop()
	})
}

// One that has waited, and is on its way while rules are replaced, is not sent again.
func TestReloadFinishesWhatHasWaited(t *testing.T) {
	text := "targets:\n" + hook("a", ", tries: 1") + "rules:\n  r: {" + all + ", targets: [a]}\n"
	withFile(t, text, func(r *rig) {
		stop := r.start()
		r.to.answers(with(500))
		r.put("1", "2")
		r.until("both wait", func() bool { return r.subjects() == "waiting.a.r 2" })
		begun := make(chan struct{}, 10)
		r.to.answers(func(http.ResponseWriter, *http.Request) bool {
			begun <- struct{}{}
			time.Sleep(5 * time.Second)
			return false
		})
		<-begun
		r.writeRules(text + "# a comment\n")
		r.daemon.hangUp()
		r.takes("a", "1 created", "2 created")
		time.Sleep(10 * time.Minute)
		r.takes("a", "1 created", "2 created")
		stop()
	})
}

// The command says what came of it.
func TestReloadCommand(t *testing.T) {
	text := "targets:\n" + hook("a", "") + "rules:\n  r: {" + all + ", targets: [a]}\n"
	withFile(t, text, func(r *rig) {
		stop := r.start()
		s, err := openStore(r.t.Context(), r.js, storeConfig{name: "notify"}, false)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := askForReload(r.t.Context(), s, &out); err != nil || !strings.Contains(out.String(), "1 rule, 1 target") {
			t.Errorf("%v: %s", err, &out)
		}
		r.put("1")
		r.takes("a", "1 created")
		r.writeRules(strings.Replace(text, "[a]", "[c]", 1))
		time.Sleep(2 * rulesEvery)
		if err := askForReload(r.t.Context(), s, &out); err == nil || !strings.Contains(err.Error(), `target "c" is not under targets`) {
			t.Errorf("a mistake: %v", err)
		}
		stop()
		ctx, cancel := context.WithTimeout(r.t.Context(), 2*reloadWait)
		defer cancel()
		if err := askForReload(ctx, s, &out); err == nil || !strings.Contains(err.Error(), "no daemon answers") {
			t.Errorf("without a daemon: %v", err)
		}
		r.writeRules(text)
		stop = r.start()
		time.Sleep(time.Minute)
		if text := r.log.String(); strings.Count(text, "roomnotify reload") != 2 { // that of nobody is not done later
			t.Errorf("log:\n%s", text)
		}
		stop()
	})
}
