package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/emersion/go-smtp"
)

// mailBench is a bench whose rule file is the example of the documentation, with a
// mail server of its own.
func mailBench(t *testing.T) (*bench, *postOffice) {
	t.Helper()
	const server = "smtps://mail.example.org  "
	example := readmeExample(t, "targets:\n  mailbox:")
	if strings.Count(example, server) != 1 {
		t.Fatalf("the example has another server:\n%s", example)
	}
	p := openPostOffice(t, "implicit", "PLAIN")
	p.set(func() { p.user = "rooms@example.org" })
	ca := t.TempDir() + "/ca.pem"
	put(t, ca, p.ca)
	t.Setenv("MAIL_PASSWORD", p.secret)
	return newBench(t, strings.Replace(example, server, "smtps://"+p.addr+"\n    ca_file: "+ca+" ", 1)), p
}

// The example of the documentation is told to both recipients, in one letter.
func TestMailExampleOfTheDocumentation(t *testing.T) {
	b, p := mailBench(t)
	for rule, subject := range map[string]string{"outages": "[test] Nobody watches application 88888888", "news": "[test] New room: An example of roomnotify"} {
		before := len(p.taken())
		if status, out := b.run("test", "--rule", rule); status != 0 || !strings.Contains(out, "mailbox  ok  "+p.addr+" accepted it") {
			t.Errorf("status %d:\n%s", status, out)
		}
		got := p.taken()
		if len(got) != before+1 {
			t.Fatalf("%d letters", len(got))
		}
		l := got[before]
		if l.from != "rooms@example.org" || fmt.Sprint(l.to) != "[ops@example.org call@example.org]" || l.header.Get("Subject") != subject {
			t.Errorf("from %s to %s: %s", l.from, l.to, l.header.Get("Subject"))
		}
	}
}

// check and test say what a mail server has against the login or a recipient, and
// repeat no secret that it repeats.
func TestCommandsOfMail(t *testing.T) {
	b, p := mailBench(t)
	if status, out := b.run("check"); status != 0 || !strings.Contains(out, "mailbox: email at "+p.addr+", 20 a minute") {
		t.Errorf("status %d:\n%s", status, out)
	}
	p.set(func() {
		p.says.rcpt = func(to string) error {
			if to == "call@example.org" {
				return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such mailbox"}
			}
			return nil
		}
	})
	if status, out := b.run("test", "--rule", "news"); status != 1 || !strings.Contains(out, "accepted it, but not for call@example.org (recipient: 550 5.1.1 no such mailbox)") {
		t.Errorf("status %d:\n%s", status, out)
	}
	if len(p.taken()) != 1 {
		t.Errorf("%d letters", len(p.taken()))
	}
	p.set(func() { p.secret = "another-hush-PASSWORD" })
	for _, command := range [][]string{{"check"}, {"test", "--rule", "news"}} {
		if status, out := b.run(command...); status != 1 || !strings.Contains(out, "login: 535") || !strings.Contains(out, "(secret)") {
			t.Errorf("%s: status %d:\n%s", command, status, out)
		}
	}
}
