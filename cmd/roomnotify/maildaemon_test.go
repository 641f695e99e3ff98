package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

const mailPassword = "https://password.example/path-hush" // what the rig has for ${PASSWORD}

// withMail runs a test in a bubble with a mail server that wants a login, for a target
// a with more fields and a rule r with more of them.
func withMail(t *testing.T, target, rule string, f func(*rig, *postOffice)) {
	t.Helper()
	web := quiet(t, func(http.ResponseWriter, *http.Request) {}) // has a certificate for example.com
	ca := filepath.Join(t.TempDir(), "ca.pem")
	put(t, ca, pemOf(web))
	file := "targets:\n  a:\n    kind: email\n    url: smtps://example.com\n    username: rooms\n    password: ${PASSWORD}\n    from: rooms@example.com\n    ca_file: " + ca + "\n" + target +
		"rules:\n  r: {" + all + rule + ", targets: [a]}\n"
	t.Setenv("PASSWORD", mailPassword)
	withFile(t, file, func(r *rig) {
		p := newPostOffice(r.t, "PLAIN")
		p.set(func() { p.secret = mailPassword })
		pipe := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
		p.server.TLSConfig = &tls.Config{Certificates: web.TLS.Certificates}
		p.serve(tls.NewListener(pipe, p.server.TLSConfig))
		r.dial = func(ctx context.Context, network, address string) (net.Conn, error) {
			if address != "example.com:465" {
				return nil, fmt.Errorf("%s is nowhere", address)
			}
			return pipe.dial(ctx, network, address)
		}
		f(r, p)
		if text := r.log.String(); strings.Contains(text, "hush") {
			r.t.Errorf("the password is in the log:\n%s", text)
		}
	})
}

const toOps = "    to: [ops@example.org]\n"

// subjects are those of the letters that were taken, in their order.
func (p *postOffice) subjects() string {
	var list []string
	for _, l := range p.taken() {
		list = append(list, strings.TrimPrefix(l.header.Get("Subject"), "New room: Room "))
	}
	return strings.Join(list, ", ")
}

func (r *rig) mails(p *postOffice, want string) {
	r.t.Helper()
	r.until("the letters are "+want+", not "+p.subjects(), func() bool { return p.subjects() == want })
}

func reply(code int) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 0, 0}, Message: "a reason"}
}

// A server that is busy is throttled, and then gets each letter once, in their order.
func TestMailServerIsBusy(t *testing.T) {
	withMail(t, toOps, "", func(r *rig, p *postOffice) {
		var tries atomic.Int32
		p.set(func() {
			p.says.mail = func(string) error {
				if tries.Add(1) <= 5 {
					return reply(451)
				}
				return nil
			}
		})
		stop := r.start()
		r.put("x", "y", "z")
		r.mails(p, "x, y, z")
		r.acked()
		if text := r.log.String(); !strings.Contains(text, "target throttled") || strings.Contains(text, "target down") {
			t.Errorf("the log:\n%s", text)
		}
		if n := r.measured()["requests_throttled_total a"]; n != 5 {
			t.Errorf("%v requests were throttled", n)
		}
		stop()
	})
}

// A letter that is refused for good is a dead letter, and the next ones go on.
func TestLetterIsRefused(t *testing.T) {
	withMail(t, toOps, "", func(r *rig, p *postOffice) {
		p.set(func() {
			p.says.data = func(text string, _ *smtp.Conn) error {
				if strings.Contains(text, "Room bad") {
					return reply(554)
				}
				return nil
			}
		})
		stop := r.start()
		r.put("x", "bad", "y")
		r.mails(p, "x, y")
		r.acked()
		if got := r.subjects(); got != "dead.a.r 1" {
			t.Errorf("stored: %s", got)
		}
		if text := r.log.String(); !strings.Contains(text, "content: 554 5.0.0 a reason") {
			t.Errorf("the log:\n%s", text)
		}
		stop()
	})
}

// While the password is wrong the letters wait, and none is lost.
func TestMailWaitsForAPassword(t *testing.T) {
	withMail(t, toOps, "", func(r *rig, p *postOffice) {
		p.set(func() { p.secret = "another" })
		stop := r.start()
		r.put("x", "y")
		r.until("the target is down", func() bool { return strings.Contains(r.log.String(), "target down") })
		if text := r.log.String(); !strings.Contains(text, "login: 535 5.7.8 not with (secret) and (secret)") && !strings.Contains(text, "login: 535 5.7.8 not with rooms and (secret)") {
			t.Errorf("the log:\n%s", text)
		}
		p.set(func() { p.secret = mailPassword })
		r.mails(p, "x, y")
		r.until("nothing is stored", func() bool { return r.subjects() == "" })
		stop()
	})
}

// A letter that one of the recipients does not get is sent once; the log and a metric
// tell of it.
func TestRecipientIsRefused(t *testing.T) {
	withMail(t, "    to: [ops@example.org, bad@example.org]\n", "", func(r *rig, p *postOffice) {
		p.set(func() {
			p.says.rcpt = func(to string) error {
				if to == "bad@example.org" {
					return reply(550)
				}
				return nil
			}
		})
		stop := r.start()
		r.put("x")
		r.mails(p, "x")
		r.acked()
		time.Sleep(time.Hour)
		if got := p.subjects(); got != "x" || strings.Count(p.heard(), "MAIL") != 1 {
			t.Errorf("letters: %s; %s", got, p.heard())
		}
		if text := r.log.String(); strings.Count(text, "recipients refused") != 1 || !strings.Contains(text, `recipients="bad@example.org (recipient: 550 5.0.0 a reason)"`) {
			t.Errorf("the log:\n%s", text)
		}
		m := r.measured()
		if m["recipients_refused_total a"] != 1 || m["notifications_sent_total a"] != 1 {
			t.Errorf("refused %v, sent %v", m["recipients_refused_total a"], m["notifications_sent_total a"])
		}
		if took := m["delivery_seconds a sum"]; took > 1 {
			t.Errorf("the letter took %v s", took)
		}
		stop()
	})
}

// New recipients get what comes after the rule file has changed, and only that.
func TestRecipientsAreReloaded(t *testing.T) {
	withMail(t, toOps, "", func(r *rig, p *postOffice) {
		stop := r.start()
		r.put("x")
		r.mails(p, "x")
		text, err := os.ReadFile(r.path)
		if err != nil {
			t.Fatal(err)
		}
		r.writeRules(strings.Replace(string(text), "ops@example.org", "call@example.org", 1))
		time.Sleep(2 * rulesEvery)
		r.put("y")
		r.mails(p, "x, y")
		if l := p.taken(); fmt.Sprint(l[0].to, l[1].to) != "[ops@example.org] [call@example.org]" {
			t.Errorf("%v and %v", l[0].to, l[1].to)
		}
		stop()
	})
}

// A server that answers no more is given up after the timeout, and tried again.
func TestMailServerHangs(t *testing.T) {
	for _, at := range []string{"greeting", "login", "sender", "recipient", "content"} {
		t.Run(at, func(t *testing.T) {
			withMail(t, toOps, "", func(r *rig, p *postOffice) {
				var hung atomic.Bool
				hang := func(here string) error {
					if here == at && !hung.Swap(true) {
						time.Sleep(time.Hour) // longer than the client waits
						return reply(421)
					}
					return nil
				}
				p.set(func() {
					p.anybody = true
					p.says = replies{
						open:  func() error { return hang("greeting") },
						login: func(string, string) error { return hang("login") },
						mail:  func(string) error { return hang("sender") },
						rcpt:  func(string) error { return hang("recipient") },
						data:  func(string, *smtp.Conn) error { return hang("content") },
					}
				})
				stop := r.start()
				began := time.Now()
				r.put("x", "y")
				r.mails(p, "x, y")
				if took := time.Since(began); took < 20*time.Second || took > 30*time.Second {
					t.Errorf("it took %s", took)
				}
				if text := r.log.String(); !strings.Contains(text, at+": no answer within 20s") {
					t.Errorf("the log:\n%s", text)
				}
				stop()
				time.Sleep(2 * time.Hour)
			})
		})
	}
}

// What a limit holds back comes as one letter.
func TestDigestByMail(t *testing.T) {
	withMail(t, toOps, ", limit: 1", func(r *rig, p *postOffice) {
		stop := r.start()
		r.put("x", "y", "z")
		r.mails(p, "x, Held back: 2 new rooms")
		if l := p.taken()[1]; !strings.Contains(l.raw, "=E2=80=A2 New room: Room y\r\n=E2=80=A2 New room: Room z\r\n") {
			t.Errorf("%s", l.raw)
		}
		stop()
	})
}

// A server that talks without an end is not listened to.
func TestMailServerTalks(t *testing.T) {
	for _, line := range []string{"220-" + strings.Repeat("x", 1000) + "\r\n", strings.Repeat("x", 1000)} {
		inBubble(t, "targets:\n"+hook("a", "")+"rules:\n  r: {"+all+", targets: [a]}\n", func(r *rig) {
			s := newSender(mailTargetAt(r.t, "smtp://mail.example.org", ""), nil)
			var said atomic.Int32
			s.dial = func(context.Context, string, string) (net.Conn, error) {
				a, b := net.Pipe()
				go func() {
					for err := error(nil); err == nil; said.Add(1) {
						_, err = b.Write([]byte(line))
					}
				}()
				return a, nil
			}
			if err := s.send(r.t.Context(), notification()); err == nil || !strings.Contains(err.Error(), "says more than a mail server has to") {
				t.Errorf("%v", err)
			}
			if n := said.Load(); n > 300 {
				t.Errorf("it was heard for %d lines", n)
			}
		})
	}
}
