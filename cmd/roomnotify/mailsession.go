package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"time"

	"github.com/wneessen/go-mail/smtp"

	"roomwatch/cmd/roomnotify/form"
	"roomwatch/cmd/roomnotify/rules"
)

const (
	mostReplies = 256 << 10 // bytes that a mail server may send on one connection
	quitWait    = time.Second
	closing     = 421 // the reply of a server that ends the connection, whatever it was asked
)

// A dialFunc makes a connection.
type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// A stepError says at which step of sending an e-mail something failed; what is a
// [textproto.Error] if the server has replied.
type stepError struct {
	at   form.Step
	what error
}

func (e *stepError) Error() string { return string(e.at) + ": " + e.what.Error() }
func (e *stepError) Unwrap() error { return e.what }

// A mailSession is a connection to a mail server that takes e-mails: encrypted unless
// the rule file forgoes that, and with a login if the target has a user.
type mailSession struct {
	client *smtp.Client
	conn   net.Conn
	end    func() bool
}

// openMail opens a session; it ends with ctx.
func openMail(ctx context.Context, t *rules.Target, dial dialFunc) (_ *mailSession, err error) {
	host, port, implicit, startTLS := t.Server()
	raw, err := dial(ctx, "tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, err
	}
	s := &mailSession{conn: raw, end: context.AfterFunc(ctx, func() { _ = raw.Close() })}
	defer func() {
		if err != nil {
			s.abort()
		}
	}()
	trust := &tls.Config{ServerName: host, RootCAs: t.Roots(), MinVersion: tls.VersionTLS12}
	conn := net.Conn(&sparingConn{Conn: raw, left: mostReplies})
	if implicit {
		over := tls.Client(conn, trust)
		if err := over.HandshakeContext(ctx); err != nil {
			return nil, err
		}
		conn = over
	}
	if s.client, err = smtp.NewClient(conn, host); err != nil {
		return nil, &stepError{form.Greeting, err}
	}
	s.client.SkipSMTPUTF8(true) // no address needs it, and not every server that an e-mail passes knows it
	_, domain, _ := strings.Cut(t.Envelope().From.Address, "@")
	if err := s.client.Hello(domain); err != nil {
		return nil, &stepError{form.Greeting, err}
	}
	if startTLS {
		if ok, _ := s.client.Extension("STARTTLS"); !ok {
			return nil, &stepError{form.StartTLS, errors.New("the server does not offer it, and nothing is sent without encryption: write smtps:// if it has a port for that, or starttls: none if it is a relay of your own")}
		}
		if err := s.client.StartTLS(trust); err != nil {
			return nil, &stepError{form.StartTLS, err}
		}
	}
	if t.Username != "" {
		if err := s.login(t, host); err != nil {
			return nil, &stepError{form.Login, err}
		}
	}
	return s, nil
}

// login authenticates. The connection is encrypted: the rule file has no user
// otherwise, and the client checks it again, but for this machine.
func (s *mailSession) login(t *rules.Target, host string) error {
	_, offered := s.client.Extension("AUTH")
	ways := strings.Fields(strings.ToUpper(offered))
	switch {
	case slices.Contains(ways, "PLAIN"):
		return s.client.Auth(smtp.PlainAuth("", t.Username, t.Password, host, false))
	case slices.Contains(ways, "LOGIN"):
		return s.client.Auth(smtp.LoginAuth(t.Username, t.Password, host, false))
	case len(ways) == 0:
		return errors.New("the server offers none: remove username and password if it is a relay that needs none")
	}
	return fmt.Errorf("the server offers %s, and roomnotify knows PLAIN and LOGIN", form.Clean(offered, 100))
}

// A refusedRecipient is one to whom an e-mail did not go.
type refusedRecipient struct {
	address string
	err     error // a stepError
}

// tooMany is what a server replies to one recipient more than it takes at once, and
// also where a mailbox is full.
const tooMany = 452

// send sends an e-mail to those recipients that the server accepts. It returns those
// that it does not; it fails if there are no others, with a reply that leaves the
// most hope.
//
// A server need not take all of them at once (RFC 5321, 4.5.3.1.10): those that it has
// too many of are sent the e-mail by themselves, while that gets it to some. When that
// fails, they do not have it; the others do, and it is not sent again.
func (s *mailSession) send(e form.Envelope, message []byte) (refused []refusedRecipient, err error) {
	for list := e.To; ; {
		no, err := s.sendOnce(form.Envelope{From: e.From, To: list}, message)
		if err != nil && len(list) == len(e.To) {
			return nil, err
		}
		if err != nil {
			for _, to := range list {
				refused = append(refused, refusedRecipient{to.Address, err})
			}
			return refused, nil
		}
		var rest []mail.Address
		for _, r := range no {
			if reply, ok := errors.AsType[*textproto.Error](r.err); ok && reply.Code == tooMany {
				rest = append(rest, mail.Address{Address: r.address})
				continue
			}
			refused = append(refused, r)
		}
		if len(rest) == 0 {
			return refused, nil
		}
		list = rest
	}
}

// sendOnce is one transaction of send.
func (s *mailSession) sendOnce(e form.Envelope, message []byte) (refused []refusedRecipient, err error) {
	if err := s.client.Mail("<" + e.From.Address + ">"); err != nil {
		return nil, &stepError{form.Sender, err}
	}
	for _, to := range e.To {
		err := s.client.Rcpt("<" + to.Address + ">")
		if err == nil {
			continue
		}
		if reply, ok := errors.AsType[*textproto.Error](err); !ok || reply.Code == closing {
			return nil, &stepError{form.Recipient, err}
		}
		refused = append(refused, refusedRecipient{to.Address, &stepError{form.Recipient, err}})
	}
	if len(refused) == len(e.To) {
		return nil, s.noneOf(refused)
	}
	w, err := s.client.Data()
	if err != nil {
		return nil, &stepError{form.Content, err}
	}
	if _, err := w.Write(message); err != nil {
		return nil, &stepError{form.Content, err}
	}
	if err := w.Close(); err != nil { // without a reply whether it was taken is unknown: it is sent again, under its id
		return nil, &stepError{form.Content, err}
	}
	return refused, nil
}

// noneOf returns the reply for an e-mail that no recipient gets: while one of them is
// refused for the moment only, all of it is.
func (s *mailSession) noneOf(refused []refusedRecipient) error {
	for _, r := range refused {
		if reply, ok := errors.AsType[*textproto.Error](r.err); ok && reply.Code < 500 {
			return r.err
		}
	}
	return refused[0].err
}

// quit ends a session in a friendly way, if the server lets it: the e-mail was accepted,
// whatever it replies. The client's own Quit ends TLS, too, and waits for that.
func (s *mailSession) quit() {
	defer s.abort()
	if s.conn.SetDeadline(time.Now().Add(quitWait)) != nil {
		return
	}
	if _, err := s.client.Text.Cmd("QUIT"); err == nil {
		_, _, _ = s.client.Text.ReadResponse(221)
	}
}

func (s *mailSession) abort() {
	s.end()
	_ = s.conn.Close()
}

// A sparingConn reads no more than it may: replies are short.
type sparingConn struct {
	net.Conn
	left int
}

func (c *sparingConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errors.New("the server says more than a mail server has to")
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
