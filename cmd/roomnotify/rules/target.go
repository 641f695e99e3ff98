package rules

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"roomwatch/cmd/roomnotify/form"
)

// A name is part of subjects and of ids of notifications, where _ separates.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9-]{0,39}$`)

const nameHint = "a name has up to 40 letters, digits and -"

// limits are how many notifications a minute a service takes, with some left
// for others.
var limits = map[string]int{
	"slack":    50, // one a second
	"discord":  25, // 30
	"feishu":   90, // 100
	"wecom":    18, // 20
	"telegram": 18, // 20 to a group
	"dingtalk": 18, // 20, and above them nothing for ten minutes
}

// PerMinute returns how many notifications a minute may go to the target; 0 if any number.
func (t *Target) PerMinute() int {
	if t.Limit != nil {
		return *t.Limit
	}
	return limits[t.Kind]
}

// paces are how many requests a second a service takes, one after the other.
var paces = map[string]float64{
	"slack":    1, // one a second
	"discord":  2, // five in two seconds
	"feishu":   4, // five a second
	"wecom":    1,
	"telegram": 1, // one a second in a chat
	"dingtalk": 1,
}

// PerSecond returns how many requests a second may go to the target; 0 if any
// number, as where the rule file says limit: 0.
func (t *Target) PerSecond() float64 {
	if t.Limit != nil && *t.Limit == 0 {
		return 0
	}
	return paces[t.Kind]
}

// RequestTimeout returns how long one request may take.
func (t *Target) RequestTimeout() time.Duration {
	if t.Timeout == 0 {
		return 10 * time.Second
	}
	return time.Duration(t.Timeout)
}

// MaxTries returns how often a notification is tried before the target is marked down.
func (t *Target) MaxTries() int {
	if t.Tries == 0 {
		return 6
	}
	return t.Tries
}

// Location returns the zone of the times in the built-in text.
func (t *Target) Location() *time.Location {
	l, err := time.LoadLocation(t.Zone)
	if err != nil {
		return time.UTC // unreachable: it was checked
	}
	return l
}

// Host returns the host of the target, which is all of its URL that may be shown.
func (t *Target) Host() string {
	u, err := url.Parse(t.URL)
	if err != nil {
		return "(a URL that cannot be read)" // unreachable: it was checked
	}
	return u.Host
}

// Secrets returns what must not be shown of the target.
func (t *Target) Secrets() []string {
	var list []string
	if t.Kind != "webhook" && t.Kind != "telegram" {
		list = append(list, t.URL)
	}
	if u, err := url.Parse(t.URL); err == nil {
		list = append(list, u.RequestURI(), u.Path, u.RawQuery)
	}
	list = append(list, strings.Fields(t.Secret)...)
	list = append(list, t.Token)
	list = slices.DeleteFunc(list, func(s string) bool { return len(s) < 4 })
	slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) })
	return list
}

// resolve returns the target with its secrets in place of where they are.
func (w wireTarget) resolve(p *problems, from Source) Target {
	t := w.Target
	t.URLFile, t.SecretFile, t.TokenFile = w.URLFile, w.SecretFile, w.TokenFile
	t.Kind = strings.ToLower(t.Kind)
	if t.Kind == "lark" {
		t.Kind = "feishu"
	}
	p.add(nameForm.MatchString(t.Name), t.at(), "target %q: %s", t.Name, nameHint)
	if !slices.Contains(Kinds(), t.Kind) {
		p.add(false, t.at("kind"), "target %s: kind is %q: choose from %s", t.Name, t.Kind, strings.Join(Kinds(), ", "))
		return t
	}
	r := resolver{p: p, from: from, at: t.at, target: t.Name}
	t.URL = r.value("url", w.URL, w.URLFile, t.Kind == "webhook" || t.Kind == "telegram")
	t.Secret = r.value("secret", w.Secret, w.SecretFile, false)
	t.Token = r.value("token", w.Token, w.TokenFile, false)
	if t.Kind == "telegram" && t.URL == "" {
		t.URL = "https://api.telegram.org"
	}
	if !r.failed {
		t.check(p)
	}
	return t
}

func (t *Target) check(p *problems) {
	u, err := url.Parse(t.URL)
	switch {
	case t.URL == "":
		p.add(false, t.at("url"), "target %s: url is missing: write url: ${NAME}, with the variable that holds it, or url_file", t.Name)
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		p.add(false, t.at("url"), "target %s: url is none that roomnotify can use: write https://host/path", t.Name)
	default:
		p.add(u.User == nil, t.at("url"), "target %s: url has a user: roomnotify signs, and sends no password", t.Name)
		p.add(u.Scheme == "https" || t.Kind == "webhook" || loopback(t.URL), t.at("url"), "target %s: url begins with http: it is a secret of %s, write https", t.Name, t.Kind)
	}
	switch t.Kind {
	case "webhook":
		p.add(t.Secret != "", t.at(), "target %s: secret is missing: write secret: ${NAME}, with the variable that holds it, or secret_file", t.Name)
		for _, s := range strings.Fields(t.Secret) {
			key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "whsec_"))
			p.add(err == nil && len(key) >= 24, t.at("secret"), "target %s: secret is none of Standard Webhooks: write whsec_ and at least 24 bytes in base64, such as echo whsec_$(head -c 32 /dev/urandom | base64)", t.Name)
		}
	case "telegram":
		p.add(t.Token != "", t.at(), "target %s: token is missing: write token: ${NAME}, with the variable that holds the bot's token, or token_file", t.Name)
		p.add(t.Chat != "", t.at(), "target %s: chat is missing: write the chat's id, such as \"-1001234567890\", or @channel", t.Name)
	}
	p.add(slices.Contains([]string{"webhook", "feishu", "dingtalk"}, t.Kind) || t.Secret == "", t.at("secret"), "target %s: secret is for webhook, feishu and dingtalk alone", t.Name)
	p.add(t.Kind == "telegram" || t.Token == "" && t.Chat == "", t.at("token"), "target %s: token and chat are for telegram alone", t.Name)
	p.add(t.Language == "" || slices.Contains(form.Languages(), t.Language), t.at("language"), "target %s: language is %q: choose from %s", t.Name, t.Language, strings.Join(form.Languages(), ", "))
	if _, err := time.LoadLocation(t.Zone); err != nil {
		p.add(false, t.at("zone"), "target %s: zone: %w; write a name such as Asia/Shanghai or UTC", t.Name, err)
	}
	p.add(t.Kind != "webhook" || t.Language == "" && t.Zone == "", t.at(), "target %s: language and zone are for chats: a webhook gets JSON", t.Name)
	p.add(t.PerMinute() >= 0, t.at("limit"), "target %s: limit is %d: write notifications a minute, or 0 for any number", t.Name, t.PerMinute())
	p.add(t.Tries >= 0 && t.Tries <= 20, t.at("tries"), "target %s: tries is %d: write 1 to 20", t.Name, t.Tries)
	p.add(t.RequestTimeout() <= time.Minute, t.at("timeout"), "target %s: timeout is %s: write at most 1m", t.Name, t.RequestTimeout())
}

func loopback(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// A resolver finds the values of a target's fields.
type resolver struct {
	p      *problems
	from   Source
	at     func(field ...any) int
	target string
	failed bool
}

var reference = regexp.MustCompile(`^\$\{([A-Za-z_][A-Za-z0-9_]*)\}$`)

// value returns what a field says or refers to. No value is in an error: it may
// be a secret in the wrong place.
func (r *resolver) value(field, said, file string, literal bool) string {
	line := r.at(field)
	if said == "" && file != "" {
		line = r.at(field + "_file")
	}
	bad := func(format string, args ...any) string {
		r.failed = true
		r.p.add(false, line, "target %s: %w", r.target, fmt.Errorf(format, args...))
		return ""
	}
	if said != "" && file != "" {
		return bad("%s and %s_file are both there: write one of them", field, field)
	}
	if file != "" {
		b, err := r.from.ReadFile(file)
		v := strings.TrimSpace(string(b))
		if err != nil {
			return bad("%s_file: %w", field, err)
		}
		if v == "" {
			return bad("%s_file: %s is empty", field, file)
		}
		return v
	}
	m := reference.FindStringSubmatch(said)
	if m == nil {
		if said != "" && !literal {
			return bad("%s is a secret: write %s: ${NAME}, with the variable that holds it, or %s_file", field, field, field)
		}
		return said
	}
	v, ok := r.from.Lookup(m[1])
	if !ok || strings.TrimSpace(v) == "" {
		return bad("%s: the environment has no %s: set it, or write %s_file", field, m[1], field)
	}
	return strings.TrimSpace(v)
}
