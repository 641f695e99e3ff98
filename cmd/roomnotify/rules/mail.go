package rules

import (
	"encoding/base64"
	"net/mail"
	"net/url"
	"regexp"
	"strings"
	"time"

	"roomwatch/cmd/roomnotify/form"
)

// Mail are what only email has.
type Mail struct {
	From     string   `yaml:"from"`
	To       []string `yaml:"to"`
	StartTLS string   `yaml:"starttls"` // required or none; "" means required
}

const (
	// mailTimeout is longer than that of a request: many servers check an e-mail
	// before they take it. With what is needed to end it is shorter than the 30 s
	// after which a stop becomes a kill.
	mailTimeout = 20 * time.Second

	maxRecipients = 50 // servers must take 100
)

// mailAddress is an address that needs no quotes and no extension of SMTP.
var mailAddress = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")

// Envelope returns who sends to whom.
func (m Mail) Envelope() form.Envelope {
	var e form.Envelope
	if from, err := mail.ParseAddress(m.From); err == nil {
		e.From = *from
	}
	for _, text := range m.To {
		if to, err := mail.ParseAddress(text); err == nil {
			e.To = append(e.To, *to)
		}
	}
	return e
}

// Server returns host and port of the mail server, and whether the connection begins
// with TLS, has to change to it, or has none.
func (t *Target) Server() (host, port string, implicit, startTLS bool) {
	u, err := url.Parse(t.URL)
	if err != nil {
		return "", "", false, false // unreachable: it was checked
	}
	implicit, startTLS = u.Scheme == "smtps", u.Scheme == "smtp" && t.StartTLS != "none"
	if port = u.Port(); port == "" {
		switch {
		case implicit:
			port = "465"
		case startTLS:
			port = "587"
		default:
			port = "25"
		}
	}
	return u.Hostname(), port, implicit, startTLS
}

func (t *Target) checkMail(p *problems) {
	if t.Kind != "email" {
		p.add(t.From == "" && len(t.To) == 0 && t.StartTLS == "", t.at(), "target %s: from, to and starttls are for email only: remove them", t.Name)
		return
	}
	const fix = "write smtps://host, or smtp://host for STARTTLS"
	u, err := url.Parse(t.URL)
	switch {
	case t.URL == "":
		p.add(false, t.at("url"), "target %s: url is missing: %s", t.Name, fix)
	case err != nil || u.Hostname() == "" || u.Scheme != "smtps" && u.Scheme != "smtp":
		p.add(false, t.at("url"), "target %s: url is not that of a mail server: %s", t.Name, fix)
	default:
		p.add(u.User == nil, t.at("url"), "target %s: url has a user: remove it, and write username and password", t.Name)
		p.add((u.Path == "" || u.Path == "/") && u.RawQuery == "" && u.Fragment == "", t.at("url"), "target %s: url has something after the host: remove it; recipients are written under to", t.Name)
		p.add(t.StartTLS == "" || u.Scheme == "smtp", t.at("starttls"), "target %s: starttls is for smtp:// only: remove it; the connection of smtps:// begins with TLS", t.Name)
	}
	p.add(t.StartTLS == "" || t.StartTLS == "required" || t.StartTLS == "none", t.at("starttls"), "target %s: starttls is %q: write required, or none for a relay of your own without TLS", t.Name, t.StartTLS)
	p.add(t.StartTLS != "none" || t.Username == "" && t.Password == "", t.at("starttls"), "target %s: starttls is none, and a password is not sent without TLS: remove starttls, or username and password", t.Name)
	p.add(t.StartTLS != "none" || t.caFile == "", t.at("ca_file"), "target %s: ca_file is for TLS, and starttls is none: remove one of them", t.Name)
	p.add(t.Proxy == "", t.at("proxy"), "target %s: proxy is for HTTP: a mail server is reached without one; remove it", t.Name)
	p.add(!control(t.Username) && !control(t.Password), t.at("username"), "target %s: username or password has more than one line, or a control character: write each on one line", t.Name)
	t.checkAddresses(p)
}

func (t *Target) checkAddresses(p *problems) {
	p.add(t.From != "", t.at("from"), "target %s: from is missing: write the address that e-mails come from, such as \"Rooms <rooms@example.org>\"", t.Name)
	p.add(len(t.To) > 0, t.at("to"), "target %s: to is missing: write a list of addresses, such as [ops@example.org]", t.Name)
	p.add(len(t.To) <= maxRecipients, t.at("to"), "target %s: to has %d addresses: write at most %d, or the address of a mailing list", t.Name, len(t.To), maxRecipients)
	if t.From != "" {
		t.checkAddress(p, t.at("from"), "from", t.From)
	}
	seen := map[string]bool{}
	for i, text := range t.To {
		if address, ok := t.checkAddress(p, t.at("to", i), "to", text); ok {
			p.add(!seen[strings.ToLower(address)], t.at("to", i), "target %s: to has %s twice: remove one of them", t.Name, address)
			seen[strings.ToLower(address)] = true
		}
	}
}

func (t *Target) checkAddress(p *problems, line int, field, text string) (address string, ok bool) {
	a, err := mail.ParseAddress(text)
	if err != nil || control(text) || !mailAddress.MatchString(a.Address) || len(a.Address) > 254 {
		p.add(false, line, "target %s: %s: %q is not an address that roomnotify can use: write name@example.org, or \"A name <name@example.org>\", with a domain in letters of ASCII, such as xn--fsq.com", t.Name, field, text)
		return "", false
	}
	return a.Address, true
}

// loginSecrets are the forms in which user and password are sent to a mail server:
// one that complains may repeat them.
func (t *Target) loginSecrets() []string {
	if t.Kind != "email" {
		return nil
	}
	var list []string
	for _, s := range []string{t.Username, t.Password, "\x00" + t.Username + "\x00" + t.Password} {
		list = append(list, base64.StdEncoding.EncodeToString([]byte(s)))
	}
	return list
}

// openURL reports whether its URL may stand in the rule file: it is no secret.
func (t *Target) openURL() bool { return t.generic() || t.Kind == "telegram" || t.Kind == "email" }

// orToken is what can be written instead of user and password.
func (t *Target) orToken() string {
	if t.Kind == "email" {
		return ""
	}
	return ", or token for bearer authentication"
}

// unencrypted says what to do about a target that is reached without encryption;
// empty if it is none, or on this machine.
func (t *Target) unencrypted() string {
	switch {
	case loopback(t.URL):
		return ""
	case strings.HasPrefix(t.URL, "http://"):
		return "write https if it can"
	case t.StartTLS == "none":
		return "remove starttls if it can"
	}
	return ""
}
