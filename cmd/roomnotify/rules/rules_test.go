package rules_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/publisher/events"
)

const key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo="

// environment has a value for every name; values that no target can use are named BAD.
func environment(name string) (string, bool) {
	switch {
	case strings.HasPrefix(name, "NO"):
		return "", false
	case strings.HasPrefix(name, "BAD"):
		return "hush-hush", true
	case strings.HasSuffix(name, "HOOK_SECRET"):
		return key, true
	case strings.HasSuffix(name, "SECRET"), strings.HasSuffix(name, "TOKEN"):
		return "hush-hush", true
	}
	return "https://hooks.example/hush-hush", true
}

func parse(text string) (*rules.File, error) {
	return rules.Parse([]byte(text), rules.Source{Lookup: environment, ReadFile: func(path string) ([]byte, error) {
		if path == "/run/secrets/ca.pem" {
			return []byte(authority), nil
		}
		if strings.HasPrefix(path, "/run/secrets/") {
			return []byte("https://hooks.example/hush-hush\n"), nil
		}
		return nil, os.ErrNotExist
	}})
}

// What `help rules` shows, and the file that operators copy, can be used.
func TestExamplesAreRight(t *testing.T) {
	_, help, _ := strings.Cut(rules.Help, "below is an error.\n")
	help, _, _ = strings.Cut(help, "\nEach rule stands")
	deployed, err := os.ReadFile(filepath.Join("..", "..", "..", "deploy", "roomnotify", "rules.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile(filepath.Join("..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{"help": help, "deploy": string(deployed)}
	for i, block := range strings.Split(string(readme), "```yaml\n")[1:] {
		texts[fmt.Sprint("README ", i)], _, _ = strings.Cut(block, "```")
	}
	for name, text := range texts {
		f, err := parse(text)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if len(f.Rules) == 0 || len(f.Targets) == 0 {
			t.Errorf("%s: %d rules, %d targets", name, len(f.Rules), len(f.Targets))
		}
		if name != "help" && len(f.Warnings) > 0 { // help has every word, and each alone makes sense
			t.Errorf("%s: %q", name, f.Warnings)
		}
	}
}

// A rule's text is told instead of the target's, and the target's where a rule has none.
func TestTextOfARuleAndOfATarget(t *testing.T) {
	f, err := parse("targets:\n  a: {kind: slack, url: '${URL}', text: general}\n  b: {kind: slack, url: '${URL}'}\nrules:\n" +
		"  own: {events: [room.created], targets: [a, b], text: own}\n  none: {events: [room.created], targets: [a, b]}\n")
	if err != nil {
		t.Fatal(err)
	}
	a, b := f.Target("a").Texts, f.Target("b").Texts
	if a["own"] == nil || a["own"] != b["own"] || a["none"] == nil || a["none"] == a["own"] || b["none"] != nil {
		t.Errorf("a has %v, b has %v", a, b)
	}
}

// So it is with the texts of digests.
func TestDigestOfARuleAndOfATarget(t *testing.T) {
	f, err := parse("targets:\n  a: {kind: slack, url: '${URL}', digest: general}\n  b: {kind: slack, url: '${URL}'}\nrules:\n" +
		"  own: {events: [room.created], targets: [a, b], digest: own}\n  none: {events: [room.created], targets: [a, b]}\n")
	if err != nil {
		t.Fatal(err)
	}
	a, b := f.Target("a").Digests, f.Target("b").Digests
	if a["own"] == nil || a["own"] != b["own"] || a["none"] == nil || a["none"] == a["own"] || b["none"] != nil {
		t.Errorf("a has %v, b has %v", a, b)
	}
}

// help has every word that a file may have.
func TestHelpIsComplete(t *testing.T) {
	for _, what := range []string{"x: 1", "targets: {a: {x: 1}}", "rules: {a: {x: 1}}", "rules: {a: {quiet: {x: 1}}}"} {
		_, err := parse(what)
		_, known, ok := strings.Cut(err.Error(), "known are ")
		if !ok {
			t.Fatalf("%q: %v", what, err)
		}
		known, _, _ = strings.Cut(known, "\n")
		for word := range strings.SplitSeq(known, ", ") {
			if !regexp.MustCompile(`\b` + word + `\b`).MatchString(rules.Help) {
				t.Errorf("help lacks %s", word)
			}
		}
	}
}

const good = `targets:
  team: {kind: slack, url: "${URL}"}
rules:
  all: {events: [room.created], targets: [team]}
`

// Each mistake is named with its line and its fix, all of them at once, and no
// value that may be a secret.
func TestMistakes(t *testing.T) {
	target := func(s string) string { return strings.Replace(good, `{kind: slack, url: "${URL}"}`, "{"+s+"}", 1) }
	rule := func(s string) string { return strings.Replace(good, "targets: [team]", "targets: [team], "+s, 1) }
	tests := []struct {
		name, text string
		want       []string
	}{
		{"empty", "", []string{"empty", "help rules"}},
		{"no YAML", "targets: [", []string{"line 1"}},
		{"unknown section", good + "rule: {}\n", []string{`line 5: "rule" is unknown in the file; known are rules, targets`}},
		{"unknown field of a rule", rule("mileston: [1]"), []string{`line 4: "mileston" is unknown in a rule; known are`, "milestones"}},
		{"unknown field of a target", target(`kind: slack, uri: "x"`), []string{`line 2: "uri" is unknown in a target; known are`, "url_file"}},
		{"unknown field of quiet", rule("quiet: {form: 1}"), []string{`"form" is unknown in quiet; known are from, to, zone`}},
		{"a key twice", good + "rules: {}\n", []string{`line 5: "rules" is there already, in line 3`}},
		{"wrong type", rule("limit: many"), []string{"line 4: found a text, expected a whole number"}},
		{"no duration", rule("late_after: 10"), []string{"line 4", `"10" is not a valid duration`, "5m"}},
		{"no targets", "rules: {a: {events: [room.created], targets: [x]}}", []string{`target "x" is not under targets`}},
		{"no rules", "targets: {a: {kind: slack, url: '${URL}'}}", []string{"there are no rules"}},
		{"kind", target("kind: irc"), []string{"line 2", `kind is "irc"`, "telegram"}},
		{"a secret written down", target("kind: slack, url: https://hooks.slack.com/hush-hush"), []string{"line 2: target team: url is a secret", "url_file"}},
		{"a signing secret written down", target(`kind: webhook, url: "https://x.example", secret: ` + key), []string{"secret is a secret", "${NAME}"}},
		{"variable not set", target(`kind: slack, url: "${NONE}"`), []string{"the environment has no NONE"}},
		{"no such file", target("kind: slack, url_file: /nowhere"), []string{"url_file", "not exist"}},
		{"both", target(`kind: slack, url: "${URL}", url_file: /nowhere`), []string{"url and url_file are both there"}},
		{"no url", target("kind: discord"), []string{"url is missing"}},
		{"not a url", target(`kind: slack, url: "${BAD}"`), []string{"url is not one"}},
		{"a chat without encryption", target(`kind: telegram, url: "http://x.example", token: "${TOKEN}", chat: x`), []string{"write https"}},
		{"no signing secret", target(`kind: webhook, url: "https://x.example"`), []string{"secret is missing"}},
		{"a weak signing secret", target(`kind: webhook, url: "https://x.example", secret: "${BAD}"`), []string{"secret is not one of Standard Webhooks", "head -c 32"}},
		{"a password", target(`kind: webhook, url: "https://a:hush-hush@x.example", secret: "${HOOK_SECRET}"`), []string{"url has a user"}},
		{"telegram", target("kind: telegram"), []string{"token is missing", "chat is missing"}},
		{"a token for slack", target(`kind: slack, url: "${URL}", token: "${TOKEN}"`), []string{"telegram, webhook and alertmanager only"}},
		{"a secret for slack", target(`kind: slack, url: "${URL}", secret: "${SECRET}"`), []string{"webhook, feishu and dingtalk only"}},
		{"tries", target(`kind: slack, url: "${URL}", tries: 100`), []string{"tries is 100"}},
		{"name", strings.ReplaceAll(good, "team", "my_team"), []string{`target "my_team"`, "letters, digits and -"}},
		{"nothing to tell", strings.Replace(good, "events: [room.created], ", "", 1), []string{"line 4: rule all: it has neither events nor milestones nor watch"}},
		{"a watch that is no yes or no", strings.Replace(good, "events: [room.created]", "watch: room.ended", 1), []string{"line 4: found a text, expected true or false"}},
		{"view counts", strings.Replace(good, "room.created", "viewcount.changed", 1), []string{`"viewcount.changed"`, "milestones"}},
		{"milestone", rule("milestones: [0]"), []string{"milestones has 0"}},
		{"unknown target", strings.Replace(good, "[team]", "[team, tea]", 1), []string{`"tea" is not under targets`}},
		{"a target twice", strings.Replace(good, "[team]", "[team, team]", 1), []string{"named twice"}},
		{"pattern", rule(`names: ["/(/"]`), []string{"names", "missing closing"}},
		{"hours", rule(`quiet: {from: "25:00", to: "08:00", zone: UTC}`), []string{`from is "25:00", not a time of day`}},
		{"no hours", rule(`quiet: {from: "08:00", to: "08:00", zone: UTC}`), []string{"both 08:00"}},
		{"no zone", rule(`quiet: {from: "08:00", to: "09:00"}`), []string{"zone is missing"}},
		{"zone", rule(`quiet: {from: "08:00", to: "09:00", zone: Mars/Base}`), []string{"Mars/Base"}},
		{"all hours at once", rule(`quiet: {from: "25:00", to: "8", zone: Mars/Base}`), []string{`from is "25:00"`, `to is "8"`, "Mars/Base"}},
		{"a second document", good + "---\n" + good, []string{"line 5: a second document"}},
		{"an expression without its end", rule(`names: ["/^live"]`), []string{`names: "/^live"`, "between two slashes"}},
		{"an expression with flags", rule(`owners: ["/^live/i"]`), []string{`owners: "/^live/i"`, "/(?i)^live/"}},
		{"an empty expression", rule(`names: ["//"]`), []string{"is empty"}},
		{"a list that is none", strings.Replace(good, "events: [room.created]", `milestones: "1000"`, 1), []string{"line 4: found a text, expected a list of numbers, such as [1000, 10000]"}},
		{"a text", rule(`text: "one\n{{.Room.Nme}}"`), []string{"line 4: rule all: text, in its line 2: <.Room.Nme>: can't evaluate field Nme"}},
		{"a text of a target", target(`kind: slack, url: "${URL}", text: "{{"`), []string{"line 2: target team: text, in its line 1"}},
		{"a digest for a webhook", strings.Replace(rule("digest: x"), `{kind: slack, url: "${URL}"}`, `{kind: webhook, url: "https://x.example", secret: "${HOOK_SECRET}"}`, 1), []string{"line 4: rule all: digest is for chats"}},
		{"a digest that shows a room", rule(`digest: "{{.Room}}"`), []string{"line 4: rule all: digest, in its line 1: "}},
		{"a text for a webhook", strings.Replace(rule("text: x"), `{kind: slack, url: "${URL}"}`, `{kind: webhook, url: "https://x.example", secret: "${HOOK_SECRET}"}`, 1), []string{"line 4: rule all: text is for chats"}},
		{"a text of a webhook", target(`kind: webhook, url: "https://x.example", secret: "${HOOK_SECRET}", text: x`), []string{"line 2: target team: text is for chats"}},
		{"a language", target(`kind: slack, url: "${URL}", language: de, zone: Mars/Base`), []string{`line 2: target team: language is "de": choose from en, zh`, "line 2: target team: zone: unknown time zone Mars/Base"}},
		{"a language of a webhook", target(`kind: webhook, url: "https://x.example", secret: "${HOOK_SECRET}", language: zh`), []string{"a webhook without a body has none"}},
		{"a group that is none", "targets: 5\nrules: [1]\n", []string{"line 1: found a number, expected a group of fields", "line 2: found a list, expected a group of fields"}},
		{"a tab", "targets:\n\tteam: {}\n", []string{"line 2", "not tabs"}},
		{"the line of each", `targets:
  team:
    kind: slack
    url: "${NONE}"
    tries: 100
rules:
  all:
    events:
      - room.created
      - room.crated
    names:
      - "/(/"
    limit: -1
    quiet:
      from: "8"
      to: "25:00"
      zone: UTC
    targets: [team,
      tea]
`, []string{"line 4: target team: url: the environment has no NONE", `line 10: rule all: events has "room.crated"`, `line 12: rule all: names: "/(/"`, "line 13: rule all: limit",
			"line 15: rule all: quiet: from", "line 16: rule all: quiet: to", `line 19: rule all: target "tea"`}},
		{"all at once", strings.Replace(rule("min_views: -1, limit: -1, x: 1"), "${URL}", "${NONE}", 1), []string{"min_views is -1", "limit is -1", `"x" is unknown`, "NONE"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(tt.text)
			if !errors.Is(err, rules.ErrRules) {
				t.Fatalf("got %v", err)
			}
			for _, w := range tt.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is not in:\n%v", w, err)
				}
			}
			for _, speak := range []string{"unmarshal", "!!", "rules.", "map[", "[]int"} { // of Go and its library
				if strings.Contains(err.Error(), speak) {
					t.Errorf("%q is in:\n%v", speak, err)
				}
			}
			if tt.name == "a list that is none" && strings.Contains(err.Error(), "neither") {
				t.Errorf("a second error that is none:\n%v", err)
			}
			if strings.Contains(err.Error(), "hush") || strings.Contains(err.Error(), key) {
				t.Errorf("a secret is in:\n%v", err)
			}
		})
	}
	if _, err := parse(good); err != nil {
		t.Errorf("the file without mistakes: %v", err)
	}
}

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// rule returns the one rule of a file, with more lines.
func rule(t *testing.T, more string) *rules.Rule {
	t.Helper()
	f, err := parse("targets:\n  t: {kind: slack, url: '${URL}'}\nrules:\n  r: {targets: [t], " + more + "}\n")
	if err != nil {
		t.Fatal(err)
	}
	return &f.Rules[0]
}

func TestJudge(t *testing.T) {
	created := func(views int64, edit ...func(*events.Event)) events.Event {
		e := events.Event{Type: events.RoomCreated, Source: "/live/88888888", Time: noon, Data: events.Data{Room: events.Room{
			RoomID: "r", RoomName: "Live show / 1", OwnerAccount: "Brenda", Category: []int64{1, 2}, ViewCount: views,
		}}}
		for _, f := range edit {
			f(&e)
		}
		return e
	}
	changed := func(from, to int64) events.Event {
		e := created(to)
		e.Type, e.Data.Previous = events.ViewCountChanged, &events.Previous{ViewCount: &from}
		return e
	}
	baseline := func(e *events.Event) { e.Data.Baseline = true }
	gap := func(e *events.Event) { e.Data.Gap = true }
	age := func(d time.Duration) func(*events.Event) { return func(e *events.Event) { e.Time = noon.Add(-d) } }
	ended := func(e *events.Event) { e.Type = events.RoomEnded }
	named := func(s string) func(*events.Event) { return func(e *events.Event) { e.Data.Room.RoomName = s } }
	updated := func(from, to int64) events.Event {
		e := changed(from, to)
		e.Type = events.RoomUpdated
		return e
	}
	const m = "milestones: [10000, 1000]"
	tests := []struct {
		name, rule string
		e          events.Event
		want       string // tell, the milestones, late
	}{
		{"created", "events: [room.created]", created(0), "tell"},
		{"another event", "events: [room.created]", created(0, ended), ""},
		{"ended", "events: [room.ended]", created(0, ended), "tell"},
		{"category", "events: [room.created], categories: [2, 7]", created(0), "tell"},
		{"another category", "events: [room.created], categories: [7]", created(0), ""},
		{"app", "events: [room.created], apps: [88888888]", created(0), "tell"},
		{"another app", "events: [room.created], apps: [1]", created(0), ""},
		{"owner, whatever the case", "events: [room.created], owners: ['bren*']", created(0), "tell"},
		{"a part of the owner is not the owner", "events: [room.created], owners: ['bren']", created(0), ""},
		{"one character", "events: [room.created], owners: ['brend?']", created(0), "tell"},
		{"name with a slash", "events: [room.created], names: ['*/ 1']", created(0), "tell"},
		{"nothing else is special", "events: [room.created], names: ['Live.show*']", created(0), ""},
		{"expression", "events: [room.created], names: ['/^Live .* \\d$/']", created(0), "tell"},
		{"expressions have a case", "events: [room.created], names: ['/^live/']", created(0), ""},
		{"composed and decomposed", "events: [room.created], names: ['caf\u00e9*']", created(0, named("Cafe\u0301 1")), "tell"},
		{"decomposed and composed", "events: [room.created], names: ['cafe\u0301*']", created(0, named("Caf\u00e9 1")), "tell"},
		{"expression, decomposed", "events: [room.created], owners: ['/^caf\u00e9$/']", created(0, func(e *events.Event) { e.Data.Room.OwnerAccount = "cafe\u0301" }), "tell"},
		{"views, one short", "events: [room.created], min_views: 100", created(99), ""},
		{"views", "events: [room.created], min_views: 100", created(100), "tell"},
		{"baseline", "events: [room.created], " + m, created(5000, baseline), ""},
		{"of a gap", "events: [room.created], " + m, created(5000, gap), "tell 1000"},
		{"of a gap, not wanted", "events: [room.created], gap: false, " + m, created(5000, gap), ""},
		{"of a gap, asked for", "events: [room.created], gap: true, " + m, created(5000, gap), "tell 1000"},
		{"of no gap", "events: [room.created], gap: false, " + m, created(5000), "tell 1000"},
		{"baseline, asked for", "events: [room.created], baseline: true, " + m, created(5000, baseline), "tell 1000"},
		{"not late yet", "events: [room.created]", created(0, age(10*time.Minute)), "tell"},
		{"late", "events: [room.created]", created(0, age(10*time.Minute+time.Millisecond)), "late"},
		{"late, and of no interest", "events: [room.ended]", created(0, age(time.Hour)), ""},
		{"late by a bound of its own", "events: [room.created], late_after: 1m", created(0, age(2*time.Minute)), "late"},
		{"late, asked for", "events: [room.created], late: true", created(0, age(time.Hour)), "tell"},
		{"below", m, changed(998, 999), ""},
		{"reached", m, changed(999, 1000), "1000"},
		{"was there", m, changed(1000, 1001), ""},
		{"fell", m, changed(1000, 999), ""},
		{"both at once", m, changed(10, 20000), "1000 10000"},
		{"created above", m, created(1000), "1000"},
		{"reached while the room changed", m, updated(999, 1000), "1000"},
		{"changed, and was there", m, updated(1000, 1001), ""},
		{"changed without a count", m, created(5000, func(e *events.Event) { e.Type = events.RoomUpdated }), ""},
		{"ended above, and nobody knows since when", m, created(1000, ended), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := rule(t, tt.rule).Judge(tt.e, noon, rules.Count{})
			var got []string
			if v.Tell {
				got = append(got, "tell")
			}
			for _, n := range v.Milestones {
				got = append(got, map[int64]string{1000: "1000", 10000: "10000"}[n])
			}
			if v.Late {
				got = append(got, "late")
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got %q, want %q", s, tt.want)
			}
		})
	}
}

// An end crosses a milestone if the count before it is known and below.
func TestMilestoneAtTheEnd(t *testing.T) {
	r := rule(t, "milestones: [1000]")
	for _, tt := range []struct {
		kind  events.Type
		count rules.Count
		want  string
	}{
		{events.RoomEnded, rules.Count{Views: 999, Known: true}, "[1000]"},
		{events.RoomEnded, rules.Count{Views: 1000, Known: true}, "[]"},
		{events.RoomEnded, rules.Count{}, "[]"},
		{events.RoomUpdated, rules.Count{Views: 999, Known: true}, "[]"}, // it says itself when its count differs
	} {
		e := events.Event{Type: tt.kind, Source: "/live/1", Time: noon, Data: events.Data{Room: events.Room{RoomID: "r", ViewCount: 1500}}}
		if got := fmt.Sprint(r.Judge(e, noon, tt.count).Milestones); got != tt.want {
			t.Errorf("%s after %+v: %s, want %s", tt.kind, tt.count, got, tt.want)
		}
	}
}

// What a rule needs is asked of the stream: a change of a room can cross a milestone.
func TestTypesOfMilestones(t *testing.T) {
	f, err := parse(strings.Replace(good, "events: [room.created]", "milestones: [1000]", 1))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(f.Types("team")); got != "[room.created room.ended room.hidden room.shown room.updated viewcount.changed]" {
		t.Errorf("types are %s", got)
	}
}

// A rule can tell of the watch alone. Then no event is read for its target: no type at
// all would mean every one.
func TestRuleOfTheWatchAlone(t *testing.T) {
	f, err := parse(strings.Replace(good, "events: [room.created]", "watch: true", 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, filter := range events.Filters("live", f.Types("team"), 0, nil) {
		if tokens := strings.Split(filter, "."); strings.Join(tokens[1:3], ".") != string(events.WatchResumed) || len(tokens) != 5 {
			t.Errorf("%s is read", filter)
		}
	}
	if !f.Watches() || f.Rule("all").Judge(events.Event{Type: events.RoomCreated}, time.Time{}, rules.Count{}).Tell {
		t.Errorf("the rule is %+v", f.Rule("all"))
	}
	if f, err = parse(good); err != nil || f.Watches() {
		t.Errorf("%+v, %v: a rule without watch tells of it", f, err)
	}
}

// Quiet hours are those of the clock on the wall of their zone.
func TestQuiet(t *testing.T) {
	tests := []struct {
		name, quiet, at string
		want            bool
	}{
		{"before", `{from: "08:00", to: "09:00", zone: UTC}`, "2026-11-23T07:59:59Z", false},
		{"from", `{from: "08:00", to: "09:00", zone: UTC}`, "2026-11-23T08:00:00Z", true},
		{"last", `{from: "08:00", to: "09:00", zone: UTC}`, "2026-11-23T08:59:59Z", true},
		{"to", `{from: "08:00", to: "09:00", zone: UTC}`, "2026-11-23T09:00:00Z", false},
		{"over midnight, evening", `{from: "22:00", to: "08:00", zone: UTC}`, "2026-11-23T23:00:00Z", true},
		{"over midnight, morning", `{from: "22:00", to: "08:00", zone: UTC}`, "2026-11-23T07:59:00Z", true},
		{"over midnight, day", `{from: "22:00", to: "08:00", zone: UTC}`, "2026-11-23T08:00:00Z", false},
		{"elsewhere", `{from: "22:00", to: "08:00", zone: Asia/Shanghai}`, "2026-11-23T14:00:00Z", true},
		{"elsewhere, one minute before", `{from: "22:00", to: "08:00", zone: Asia/Shanghai}`, "2026-11-23T13:59:00Z", false},
		{"in summer", `{from: "22:00", to: "08:00", zone: Europe/Berlin}`, "2026-07-01T20:00:00Z", true},
		{"in winter", `{from: "22:00", to: "08:00", zone: Europe/Berlin}`, "2026-12-01T20:00:00Z", false},
	}
	for _, tt := range tests {
		at, err := time.Parse(time.RFC3339, tt.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := rule(t, "events: [room.created], quiet: "+tt.quiet).Quiet.At(at); got != tt.want {
			t.Errorf("%s: %t, want %t", tt.name, got, tt.want)
		}
	}
}

// Findings are no mistakes, but somebody should look at them.
func TestWarnings(t *testing.T) {
	f, err := parse(`targets:
  idle: {kind: slack, url: "${URL}"}
  hook: {kind: webhook, url: "http://hooks.example", secret: "${HOOK_SECRET}"}
rules:
  r: {events: [room.updated], targets: [hook]}
  s: {events: [room.created], min_views: 10, targets: [hook]}
`)
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Join(f.Warnings, "\n")
	for _, w := range []string{"line 2: no rule names target idle", "line 3: target hook is reached without encryption", "ROOMWATCH_EVENTS", "line 6: rule s reports new rooms only if they have 10 views"} {
		if !strings.Contains(got, w) {
			t.Errorf("%q is not in:\n%s", w, got)
		}
	}
}
