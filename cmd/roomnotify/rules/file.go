package rules

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/publisher/events"
)

// ErrRules means that a rule file cannot be used; the text has all of its
// problems, with their lines, and how to fix them.
var ErrRules = errors.New("rule file")

// Kinds are the kinds of targets.
func Kinds() []string {
	return []string{"webhook", "slack", "discord", "feishu", "wecom", "telegram", "dingtalk", "email", "alertmanager"}
}

// A File is a rule file that makes sense.
type File struct {
	Targets []Target // by name
	Rules   []Rule   // by name

	Sum [sha256.Size]byte // of its text

	// Warnings are what may be meant otherwise, each with a fix.
	Warnings []string
	// Variables are those of the environment that the targets name.
	Variables []string
}

// A Target is where notifications go.
type Target struct {
	Name string `yaml:"-"`
	Kind string `yaml:"kind"`

	URL     string `yaml:"-"`
	Secret  string `yaml:"-"`
	Token   string `yaml:"-"`
	Web     `yaml:"-"`
	Chat    string   `yaml:"chat"`
	Limit   *int     `yaml:"limit"`   // notifications a minute; nil: what the service allows; 0: no limit
	Timeout Duration `yaml:"timeout"` // of one request; 0 means 10 s, of an e-mail 20 s
	Tries   int      `yaml:"tries"`   // before the target is marked down; 0 means 6

	Body string     `yaml:"body"` // of a webhook, as [form.ParseBody] reads it; empty: the generic form
	JSON *form.Body `yaml:"-"`    // the same, read

	Alerts `yaml:",inline"`
	Mail   `yaml:",inline"`
	Shows  `yaml:",inline"`

	Text  string                `yaml:"text"` // of a message in a chat, as [form.ParseText] reads it; empty: the built-in one
	Texts map[string]*form.Text `yaml:"-"`    // by rule: its own text, or that of the target

	Digest  string                      `yaml:"digest"` // of a digest in a chat, as [form.ParseDigestText] reads it; empty: the built-in one
	Digests map[string]*form.DigestText `yaml:"-"`      // by rule: its own, or that of the target

	Language string `yaml:"language"` // of the built-in text; "" means en
	Zone     string `yaml:"zone"`     // of its times; "" means UTC

	// AllowPrivate lets it be at a link-local address or one of cloud metadata.
	AllowPrivate bool `yaml:"allow_private"`

	at      func(field ...any) int // where it stands in the file, and its fields
	files   []inFile               // that hold values of it
	caFile  string
	written []string // values that stand in the rule file itself, so that they are no secrets
}

// A Rule says which events become notifications.
type Rule struct {
	Name string `yaml:"-"`

	Events     []string `yaml:"events"`     // types; room.created and so on
	Milestones []int64  `yaml:"milestones"` // view counts that are told once for each life of a room
	Watch      bool     `yaml:"watch"`      // when nobody watches an application, and when somebody does again
	Targets    []string `yaml:"targets"`
	Text       string   `yaml:"text"`   // in chats, instead of that of the target
	Digest     string   `yaml:"digest"` // the same of a digest

	Labels map[string]string `yaml:"labels"` // of alerts, besides those of the target

	Apps       []int    `yaml:"apps"`       // SDKAppIDs; none means all, as below
	Categories []int64  `yaml:"categories"` // any of them
	Owners     []string `yaml:"owners"`     // patterns
	Names      []string `yaml:"names"`      // patterns
	MinViews   int64    `yaml:"min_views"`

	Quiet     *Quiet   `yaml:"quiet"`
	Limit     int      `yaml:"limit"` // notifications a minute to each target; 0: no limit
	Baseline  bool     `yaml:"baseline"`
	Late      bool     `yaml:"late"`
	LateAfter Duration `yaml:"late_after"` // 0 means 10 m
	Gap       *bool    `yaml:"gap"`        // also what may have happened while nobody watched; nil means true

	at            func(field ...any) int // where it stands in the file, and its fields
	owners, names []pattern
}

// A Duration is written as Go writes it, such as 10m.
type Duration time.Duration

// UnmarshalYAML implements [yaml.Unmarshaler].
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil || v <= 0 {
		return &yaml.TypeError{Errors: []string{fmt.Sprintf("line %d: %q is not a valid duration: write it with its unit, such as 10s or 5m", n.Line, n.Value)}}
	}
	*d = Duration(v)
	return nil
}

// wireTarget is a target as it is written: the fields that may hold a secret are
// names of where it is.
type wireTarget struct {
	Target `yaml:",inline"`

	URL        string `yaml:"url"`
	URLFile    string `yaml:"url_file"`
	Secret     string `yaml:"secret"`
	SecretFile string `yaml:"secret_file"`
	Token      string `yaml:"token"`
	TokenFile  string `yaml:"token_file"`

	Username     string            `yaml:"username"`
	Password     string            `yaml:"password"`
	PasswordFile string            `yaml:"password_file"`
	Headers      map[string]string `yaml:"headers"`
	HeadersFile  map[string]string `yaml:"headers_file"`
	Values       map[string]string `yaml:"values"`
	ValuesFile   map[string]string `yaml:"values_file"`
	CAFile       string            `yaml:"ca_file"`
	Proxy        string            `yaml:"proxy"`
	ProxyFile    string            `yaml:"proxy_file"`
}

type wireFile struct {
	Targets map[string]wireTarget `yaml:"targets"`
	Rules   map[string]Rule       `yaml:"rules"`
}

// A Source is where secrets come from.
type Source struct {
	Lookup   func(name string) (string, bool) // of the environment
	ReadFile func(path string) ([]byte, error)
}

// Parse reads a rule file. It names every problem at once.
func Parse(text []byte, from Source) (*File, error) {
	root, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRules, err)
	}
	var w wireFile
	var p problems
	at, wrong := linesOf(root), map[int]bool{}
	var types *yaml.TypeError
	switch err := root.Decode(&w); {
	case errors.As(err, &types):
		for _, s := range types.Errors {
			p = append(p, errors.New(typeText(s)))
			wrong[lineOf(s)] = true
		}
	case err != nil:
		return nil, fmt.Errorf("%w: %s", ErrRules, yamlText(err))
	}
	p = append(p, unknownFields(root)...)
	f := &File{Sum: sha256.Sum256(text)}
	lookup := from.Lookup
	from.Lookup = func(name string) (string, bool) {
		f.Variables = append(f.Variables, name)
		return lookup(name)
	}
	for _, name := range slices.Sorted(maps.Keys(w.Targets)) {
		t := w.Targets[name]
		t.Name, t.at = name, func(field ...any) int { return at.of(append([]any{"targets", name}, field...)...) }
		f.Targets = append(f.Targets, t.resolve(&p, from))
	}
	for _, name := range slices.Sorted(maps.Keys(w.Rules)) {
		r := w.Rules[name]
		r.Name, r.at = name, func(field ...any) int { return at.of(append([]any{"rules", name}, field...)...) }
		r.check(&p, f.Targets, func(field string) bool { return at.within(wrong, "rules", name, field) })
		f.Rules = append(f.Rules, r)
	}
	f.texts(&p)
	f.labels(&p)
	p.add(len(f.Targets) > 0 || len(p) > 0, 1, "there are no targets: say under targets where notifications go")
	p.add(len(f.Rules) > 0 || len(p) > 0, 1, "there are no rules: list under rules which events go to which targets")
	if len(p) > 0 {
		return nil, fmt.Errorf("%w:\n%w", ErrRules, errors.Join(p...))
	}
	f.warn()
	return f, nil
}

// problems are what is wrong with a rule file.
type problems []error

func (p *problems) add(ok bool, line int, format string, args ...any) {
	if !ok {
		*p = append(*p, fmt.Errorf("line %d: %w", line, fmt.Errorf(format, args...)))
	}
}

// countTypes are the types of events that can show a room above a milestone: a
// change of the room tells of its count, too, and its end of the last one.
var countTypes = []events.Type{events.RoomCreated, events.ViewCountChanged, events.RoomUpdated, events.RoomHidden, events.RoomShown, events.RoomEnded}

// Types returns the types of events that the rules of a target need.
func (f *File) Types(target string) []events.Type {
	var list []events.Type
	for _, r := range f.Of(target) {
		for _, e := range r.Events {
			list = append(list, events.Type(e))
		}
		if len(r.Milestones) > 0 {
			list = append(list, countTypes...)
		}
	}
	if len(list) == 0 {
		return []events.Type{events.WatchResumed} // its rules tell of the watch alone: no event has this type, and no type would mean all
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// Watches reports whether a rule tells of the watch.
func (f *File) Watches() bool {
	return slices.ContainsFunc(f.Rules, func(r Rule) bool { return r.Watch })
}

// Of returns the rules that name a target.
func (f *File) Of(target string) []*Rule {
	var list []*Rule
	for i := range f.Rules {
		if slices.Contains(f.Rules[i].Targets, target) {
			list = append(list, &f.Rules[i])
		}
	}
	return list
}

// Target returns the target of a name; nil if there is none.
func (f *File) Target(name string) *Target {
	i := slices.IndexFunc(f.Targets, func(t Target) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return &f.Targets[i]
}

// Rule returns the rule of a name; nil if there is none.
func (f *File) Rule(name string) *Rule {
	i := slices.IndexFunc(f.Rules, func(r Rule) bool { return r.Name == name })
	if i < 0 {
		return nil
	}
	return &f.Rules[i]
}

// RuleNames returns the names of the rules, for texts.
func (f *File) RuleNames() string {
	var names []string
	for _, r := range f.Rules {
		names = append(names, r.Name)
	}
	return strings.Join(names, ", ")
}

func (f *File) warn() {
	for _, t := range f.Targets {
		if len(f.Of(t.Name)) == 0 {
			f.Warnings = append(f.Warnings, fmt.Sprintf("line %d: no rule names target %s: it gets nothing", t.at(), t.Name))
		}
		if fix := t.unencrypted(); fix != "" {
			f.Warnings = append(f.Warnings, fmt.Sprintf("line %d: target %s is reached without encryption: %s", t.at("url"), t.Name, fix))
		}
	}
	for _, r := range f.Rules {
		for _, e := range []events.Type{events.RoomUpdated, events.RoomHidden, events.RoomShown} {
			if slices.Contains(r.Events, string(e)) {
				f.Warnings = append(f.Warnings, fmt.Sprintf("line %d: rule %s waits for %s, which roomwatch publishes only if its ROOMWATCH_EVENTS names it", r.at("events"), r.Name, e))
			}
		}
		if slices.Contains(r.Events, string(events.RoomCreated)) && r.MinViews > 0 {
			f.Warnings = append(f.Warnings, fmt.Sprintf("line %d: rule %s reports new rooms only if they have %d views when they are first seen, and few have: set milestones: [%d] to report a room when it has them", r.at("min_views"), r.Name, r.MinViews, r.MinViews))
		}
	}
}
