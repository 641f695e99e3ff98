package rules

import (
	"encoding/base64"
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
	"email":    20, // servers differ: 30 from one sender is common
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
	"email":    1,
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
	switch {
	case t.Timeout != 0:
		return time.Duration(t.Timeout)
	case t.Kind == "email":
		return mailTimeout
	}
	return 10 * time.Second
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

// hasText reports whether it is told anything in words.
func (t *Target) hasText() bool { return t.Kind != "webhook" || t.Body != "" }

// Host returns the host of the target, which is all of its URL that may be shown.
func (t *Target) Host() string {
	u, err := url.Parse(t.URL)
	if err != nil {
		return "(a URL that cannot be read)" // unreachable: it was checked
	}
	return u.Host
}

// checkURL looks at the URL of a target over HTTP.
func (t *Target) checkURL(p *problems) {
	u, err := url.Parse(t.URL)
	switch {
	case t.URL == "":
		p.add(false, t.at("url"), "target %s: url is missing: write url: ${NAME}, with the variable that holds it, or url_file", t.Name)
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		p.add(false, t.at("url"), "target %s: url is not one that roomnotify can use: write https://host/path", t.Name)
	default:
		p.add(u.User == nil, t.at("url"), "target %s: url has a user: remove it; a webhook may have username and password", t.Name)
		p.add(u.Scheme == "https" || t.generic() || loopback(t.URL), t.at("url"), "target %s: url begins with http: it is a secret of %s: write https", t.Name, t.Kind)
	}
}

func (t *Target) check(p *problems) {
	if t.Kind != "email" {
		t.checkURL(p)
	}
	t.checkMail(p)
	switch t.Kind {
	case "webhook":
		p.add(t.Secret != "" || t.Body != "", t.at(), "target %s: secret is missing: write secret: ${NAME}, with the variable that holds it, or secret_file; a target with a body needs none", t.Name)
		for _, s := range strings.Fields(t.Secret) {
			key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(s, "whsec_"))
			p.add(err == nil && len(key) >= 24, t.at("secret"), "target %s: secret is not one of Standard Webhooks: write whsec_ and at least 24 bytes in base64, such as echo whsec_$(head -c 32 /dev/urandom | base64)", t.Name)
		}
	case "telegram":
		p.add(t.Token != "", t.at(), "target %s: token is missing: write token: ${NAME}, with the variable that holds the bot's token, or token_file", t.Name)
		p.add(t.Chat != "", t.at(), "target %s: chat is missing: write the chat's id, such as \"-1001234567890\", or @channel", t.Name)
	}
	p.add(slices.Contains([]string{"webhook", "feishu", "dingtalk"}, t.Kind) || t.Secret == "", t.at("secret"), "target %s: secret is for webhook, feishu and dingtalk only: remove it", t.Name)
	p.add(t.Kind == "telegram" || t.Chat == "", t.at("chat"), "target %s: chat is for telegram only: remove it", t.Name)
	p.add(t.Kind == "telegram" || t.generic() || t.Token == "", t.at("token"), "target %s: token is for telegram, webhook and alertmanager only: remove it", t.Name)
	t.checkWeb(p)
	t.checkAlerts(p)
	t.checkShows(p)
	p.add(t.Language == "" || slices.Contains(form.Languages(), t.Language), t.at("language"), "target %s: language is %q: choose from %s", t.Name, t.Language, strings.Join(form.Languages(), ", "))
	if _, err := time.LoadLocation(t.Zone); err != nil {
		p.add(false, t.at("zone"), "target %s: zone: %w; write a name such as Asia/Shanghai or UTC", t.Name, err)
	}
	p.add(t.hasText() || t.Language == "" && t.Zone == "", t.at(), "target %s: language and zone are for text, and a webhook without a body has none: remove them, or write a body", t.Name)
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
