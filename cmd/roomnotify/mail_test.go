package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/emersion/go-smtp"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/roomnotify/form"
	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/diff/logtest"
)

// mailTarget returns the target of a mail server with more fields, which trusts its
// certificate.
func mailTarget(t *testing.T, p *postOffice, scheme, more string) *rules.Target {
	t.Helper()
	if p.ca != "" && !strings.Contains(more, "ca_file") {
		path := filepath.Join(t.TempDir(), "ca.pem")
		put(t, path, p.ca)
		more += "    ca_file: " + path + "\n"
	}
	return mailTargetAt(t, scheme+"://"+p.addr, more)
}

func mailTargetAt(t *testing.T, url, more string) *rules.Target {
	t.Helper()
	if !strings.Contains(more, "    to:") {
		more += "    to: [ops@example.org]\n"
	}
	text := "targets:\n  a:\n    kind: email\n    url: " + url + "\n    from: Rooms <rooms@example.com>\n" + more + "rules:\n  r: {" + all + ", targets: [a]}\n"
	f, err := rules.Parse([]byte(text), rules.Source{Lookup: func(name string) (string, bool) { return "hush-hush-" + name, true }, ReadFile: environ.ReadFile})
	if err != nil {
		t.Fatal(err)
	}
	return &f.Targets[0]
}

const withLogin = "    username: rooms\n    password: ${PASSWORD}\n"

// refusal is what a sender returns for a letter that was not taken.
func refusal(t *testing.T, err error) *form.Refusal {
	t.Helper()
	no, ok := errors.AsType[*form.Refusal](err)
	if !ok {
		t.Fatalf("%v is no refusal", err)
	}
	return no
}

// A letter is taken over each of the ways to encrypt, with a login in each of the
// ways that the server may want.
func TestLetterIsTaken(t *testing.T) {
	for _, tt := range []struct{ encryption, scheme, more, user string }{
		{encryption: "implicit", scheme: "smtps"},
		{encryption: "starttls", scheme: "smtp"},
		{encryption: "", scheme: "smtp", more: "    starttls: none\n"},
		{encryption: "implicit", scheme: "smtps", user: "PLAIN"},
		{encryption: "starttls", scheme: "smtp", user: "PLAIN"},
		{encryption: "starttls", scheme: "smtp", user: "LOGIN"},
		{encryption: "implicit", scheme: "smtps", user: "LOGIN"},
	} {
		t.Run(tt.scheme+" "+tt.encryption+" "+tt.user, func(t *testing.T) {
			var ways []string
			wantUser := ""
			if tt.user != "" {
				ways, wantUser = []string{tt.user}, "rooms"
				tt.more += withLogin
			}
			p := openPostOffice(t, tt.encryption, ways...)
			target := mailTarget(t, p, tt.scheme, tt.more)
			if err := reach(t.Context(), target); err != nil {
				t.Errorf("check: %v", err)
			}
			if len(p.taken()) > 0 {
				t.Error("check sent a letter")
			}
			n := notification()
			if err := newSender(target, nil).send(t.Context(), n); err != nil {
				t.Fatal(err)
			}
			got := p.taken()
			if len(got) != 1 {
				t.Fatalf("%d letters", len(got))
			}
			l := got[0]
			if l.from != "rooms@example.com" || fmt.Sprint(l.to) != "[ops@example.org]" || l.user != wantUser || l.encrypted != (tt.encryption != "") {
				t.Errorf("from %s to %s by %q, encrypted %v", l.from, l.to, l.user, l.encrypted)
			}
			if h := l.header; h.Get("Subject") != "New room: Room x" || h.Get("Message-ID") != "<"+n.ID+"@example.com>" || h.Get("Auto-Submitted") != "auto-generated" {
				t.Errorf("header %v", h)
			}
		})
	}
}

// Nothing is sent over a connection that is not encrypted, or is encrypted by
// somebody else: no letter, and no password.
func TestNoLetterInTheClear(t *testing.T) {
	const hint = "name its file with ca_file"
	for _, tt := range []struct{ name, encryption, scheme, ca, want string }{
		{"no STARTTLS", "", "smtp", "", "does not offer it"},
		{"no TLS", "", "smtps", "", "tls:"},
		{"another certificate", "starttls", "smtp", "other", hint},
		{"another certificate from the beginning", "implicit", "smtps", "other", hint},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := openPostOffice(t, tt.encryption, "PLAIN", "LOGIN")
			more := withLogin
			if tt.ca != "" {
				more += "    ca_file: testdata/other.pem\n"
			}
			target := mailTarget(t, p, tt.scheme, more)
			no := refusal(t, newSender(target, nil).send(t.Context(), notification()))
			if !strings.Contains(no.Text, tt.want) || no.Permanent || no.Busy {
				t.Errorf("%+v", no)
			}
			if err := reach(t.Context(), target); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("check: %v", err)
			}
			if heard := p.heard(); heard != "" {
				t.Errorf("the server got %s", heard)
			}
		})
	}
}

// What each reply means, at each step.
func TestRepliesOfAMailServer(t *testing.T) {
	for _, tt := range []struct {
		at   string
		code int
		want string
	}{
		{"login", 535, "again"}, {"login", 454, "again"}, {"login", 421, "busy"}, {"login", 534, "again"}, {"login", 550, "again"},
		{"mail", 421, "busy"}, {"mail", 451, "busy"}, {"mail", 455, "again"}, {"mail", 550, "refused"}, {"mail", 530, "again"},
		{"rcpt", 450, "busy"}, {"rcpt", 452, "busy"}, {"rcpt", 550, "refused"}, {"rcpt", 530, "again"},
		{"data", 421, "busy"}, {"data", 451, "again"}, {"data", 452, "again"}, {"data", 454, "again"}, {"data", 552, "refused"}, {"data", 554, "refused"},
	} {
		t.Run(fmt.Sprintf("%s %d", tt.at, tt.code), func(t *testing.T) {
			p := openPostOffice(t, "implicit", "PLAIN")
			reply := &smtp.SMTPError{Code: tt.code, EnhancedCode: smtp.EnhancedCode{tt.code / 100, 1, 1}, Message: "a reason, and <a href=x>"}
			switch tt.at {
			case "login":
				p.set(func() { p.says.login = func(string, string) error { return reply } })
			case "mail":
				p.set(func() { p.says.mail = func(string) error { return reply } })
			case "rcpt":
				p.set(func() { p.says.rcpt = func(string) error { return reply } })
			case "data":
				p.set(func() { p.says.data = func(string, *smtp.Conn) error { return reply } })
			}
			no := refusal(t, newSender(mailTarget(t, p, "smtps", withLogin), nil).send(t.Context(), notification()))
			got := "again"
			if no.Busy {
				got = "busy"
			}
			if no.Permanent {
				got = "refused"
			}
			if got != tt.want || !strings.Contains(no.Text, fmt.Sprint(tt.code)) || !strings.Contains(no.Text, "a reason") {
				t.Errorf("%s, want %s: %s", got, tt.want, no.Text)
			}
			if hint := strings.Contains(no.Text, "check username and password"); hint != (got == "again" && (tt.at == "login" || tt.code == 530)) {
				t.Errorf("%s", no.Text)
			}
		})
	}
}

// A password that is wrong fails the target, not the letter: when its file has
// another one the same letter is taken. A server that repeats what it was sent brings
// it into no error.
func TestPasswordOfAMailServer(t *testing.T) {
	const wrong, user = "wrong-hush-PASSWORD", "hush-hush-USER"
	p := openPostOffice(t, "starttls", "PLAIN")
	p.set(func() { p.user = user })
	p.set(func() {
		p.says.login = func(user, password string) error {
			if password == p.secret {
				return nil
			}
			b := base64.StdEncoding.EncodeToString
			return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: strings.Join([]string{
				"not", password, b([]byte(password)), b([]byte("\x00" + user + "\x00" + password)), b([]byte(user)), user,
				strings.Replace(password, "hush", "hu\u200bsh", 1)}, " ")} // which is shown as the password
		}
	})
	path := filepath.Join(t.TempDir(), "password")
	put(t, path, wrong)
	target := mailTarget(t, p, "smtp", "    username: ${USER}\n    password_file: "+path+"\n")
	s := newSender(target, nil)
	log := &logtest.Buffer{}
	if err := s.follow(target, slog.New(slog.NewTextHandler(log, nil))); err != nil {
		t.Fatal(err)
	}
	no := refusal(t, s.send(t.Context(), notification()))
	if no.Permanent || no.Busy || !strings.Contains(no.Text, "login: 535") || !strings.Contains(no.Text, "check username and password") {
		t.Errorf("%+v", no)
	}
	texts := []string{no.Text, log.String()}
	if err := reach(t.Context(), target); err == nil {
		t.Error("check reaches it")
	} else {
		texts = append(texts, err.Error())
	}
	for _, text := range texts {
		for _, secret := range []string{wrong, user, base64.StdEncoding.EncodeToString([]byte(wrong)), base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + wrong))} {
			if strings.Contains(text, secret) {
				t.Errorf("%q is in: %s", secret, text)
			}
		}
	}
	p.set(func() { p.says.login = nil })
	put(t, path, p.secret)
	if err := s.send(t.Context(), notification()); err != nil {
		t.Errorf("with the right password: %v", err)
	}
}

// A server that takes two recipients at once gets an e-mail for each two of them, under one
// id, and each of them has it once; who is refused for good, or is to get one that the
// server does not take, is reported.
func TestRecipientsAreTooMany(t *testing.T) {
	for _, tt := range []struct {
		name, to, want, missed string
		fails                  int // the e-mail that is not taken
	}{
		{name: "five", to: "a b c d e", want: "a b; c d; e"},
		{name: "one for good", to: "a bad c d", want: "a c; d", missed: "1 bad@example.org (recipient: 550 5.1.1 not here)"},
		{name: "the second is not taken", to: "a b c d", want: "a b", fails: 2, missed: "2 c@example.org (content: 451 4.3.0 not now), d@example.org (content: 451 4.3.0 not now)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := openPostOffice(t, "implicit")
			had, mails := 0, 0 // under p's lock, or of its one session
			p.set(func() {
				p.says.mail = func(string) error { had = 0; return nil }
				p.says.rcpt = func(to string) error {
					if strings.HasPrefix(to, "bad") {
						return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "not here"}
					}
					if had++; had > 2 {
						return &smtp.SMTPError{Code: 452, EnhancedCode: smtp.EnhancedCode{4, 5, 3}, Message: "too many recipients"}
					}
					return nil
				}
				p.says.data = func(string, *smtp.Conn) error {
					if mails++; mails == tt.fails {
						return &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "not now"}
					}
					return nil
				}
			})
			to := strings.ReplaceAll(tt.to, " ", "@example.org, ") + "@example.org"
			s := newSender(mailTarget(t, p, "smtps", "    to: ["+to+"]\n"), nil)
			missed := ""
			s.missed = func(_ context.Context, _ form.Notification, count int, who string) {
				missed = fmt.Sprint(count, " ", who)
			}
			if err := s.send(t.Context(), notification()); err != nil {
				t.Fatal(err)
			}
			var got []string
			ids := map[string]bool{}
			for _, l := range p.taken() {
				got = append(got, strings.ReplaceAll(strings.Join(l.to, " "), "@example.org", ""))
				ids[l.header.Get("Message-Id")] = true
			}
			if strings.Join(got, "; ") != tt.want || missed != tt.missed || len(ids) != 1 {
				t.Errorf("e-mails to %q under %d ids, missed %q; want %q and %q", got, len(ids), missed, tt.want, tt.missed)
			}
		})
	}
}

// A letter goes to those recipients that are accepted, once, and the sender is told
// of the others. If there are none, it is as the reply says that leaves the most hope.
func TestRecipientsOfALetter(t *testing.T) {
	p := openPostOffice(t, "implicit")
	answers := map[string]int{"bad@example.org": 550, "full@example.org": 452, "gone@example.org": 421}
	p.set(func() {
		p.says.rcpt = func(to string) error {
			if code := answers[to]; code != 0 {
				return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 1, 1}, Message: "not here"}
			}
			return nil
		}
	})
	send := func(to string) (missed string, err error) {
		s := newSender(mailTarget(t, p, "smtps", "    to: ["+to+"]\n"), nil)
		s.missed = func(_ context.Context, _ form.Notification, count int, who string) {
			missed = fmt.Sprint(count, " ", who)
		}
		err = s.send(t.Context(), notification())
		return missed, err
	}
	missed, err := send("bad@example.org, ops@example.org, full@example.org")
	if err != nil {
		t.Fatal(err)
	}
	if want := "2 bad@example.org (recipient: 550 5.1.1 not here), full@example.org (recipient: 452 4.1.1 not here)"; missed != want {
		t.Errorf("missed %q, want %q", missed, want)
	}
	if got := p.taken(); len(got) != 1 || fmt.Sprint(got[0].to) != "[ops@example.org]" {
		t.Errorf("letters: %+v", got)
	}
	if _, err := send("bad@example.org"); !refusal(t, err).Permanent {
		t.Errorf("none at all: %v", err)
	}
	if _, err := send("bad@example.org, full@example.org"); !refusal(t, err).Busy {
		t.Errorf("none at the moment: %v", err)
	}
	if _, err := send("ops@example.org, gone@example.org"); !refusal(t, err).Busy {
		t.Errorf("the server goes away: %v", err)
	}
	if got := p.taken(); len(got) != 1 || strings.Count(p.heard(), "DATA") != 1 {
		t.Errorf("%d letters, %s", len(got), p.heard())
	}
}

// A connection that is cut when the server has the letter, and has not said so, leaves
// unknown whether it was taken: it is sent again, under its id.
func TestLetterIsCutOff(t *testing.T) {
	p := openPostOffice(t, "starttls")
	var cut atomic.Bool
	p.set(func() {
		p.says.data = func(_ string, c *smtp.Conn) error {
			if !cut.Swap(true) {
				_ = c.Conn().Close() // it has the letter, and cannot say so
			}
			return nil
		}
	})
	s, n := newSender(mailTarget(t, p, "smtp", ""), nil), notification()
	if no := refusal(t, s.send(t.Context(), n)); no.Permanent || no.Busy || !strings.HasPrefix(no.Text, "content: ") {
		t.Errorf("%+v", no)
	}
	soon(t, "the server has the letter", func() bool { return len(p.taken()) == 1 }) // it is still at it when the connection is cut
	if err := s.send(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	got := p.taken()
	if len(got) != 2 || got[0].header.Get("Message-ID") != got[1].header.Get("Message-ID") {
		t.Errorf("letters: %+v", got)
	}
}

// What a server asks that is no reply is shown as text, without what steers a terminal.
func TestMailServerAsksOn(t *testing.T) {
	p := openPostOffice(t, "implicit", "LOGIN")
	p.set(func() { p.asks = "\x1b[31mred" })
	no := refusal(t, newSender(mailTarget(t, p, "smtps", withLogin), nil).send(t.Context(), notification()))
	if !strings.HasPrefix(no.Text, "login: ") || !strings.Contains(no.Text, "[31mred") || strings.Contains(no.Text, "\x1b") || no.Permanent || no.Busy {
		t.Errorf("%+v", no)
	}
}

// A mail server is at no address of the link or of cloud metadata.
func TestMailServerOfTheLink(t *testing.T) {
	target := mailTargetAt(t, "smtps://169.254.169.254", "")
	if err := newSender(target, nil).send(t.Context(), notification()); err == nil || !strings.Contains(err.Error(), "allow_private: true") {
		t.Errorf("send: %v", err)
	}
	if err := reach(t.Context(), target); err == nil || !strings.Contains(err.Error(), "allow_private: true") {
		t.Errorf("check: %v", err)
	}
}
