package main

import (
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/mail"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// A posted letter is what a mail server took.
type posted struct {
	from      string
	to        []string
	user      string // who was logged in
	encrypted bool
	raw       string
	header    mail.Header
}

// A postOffice is a real mail server in the process.
type postOffice struct {
	t      testing.TB
	server *smtp.Server
	addr   string
	ca     string   // its certificate, in PEM
	ways   []string // to log in; none: it wants no login
	user   string
	secret string

	// Set by set, also while it runs.
	mu       sync.Mutex
	letters  []posted
	commands []string // MAIL, RCPT, DATA and AUTH, in their order

	anybody bool   // may send without a login
	asks    string // after the password
	says    replies
}

// replies are what a mail server says; nil accepts all.
type replies struct {
	open  func() error
	login func(user, password string) error
	mail  func(from string) error
	rcpt  func(to string) error
	data  func(text string, c *smtp.Conn) error
}

// openPostOffice starts one. It has no TLS, or offers STARTTLS, or begins with TLS.
func openPostOffice(t *testing.T, encryption string, ways ...string) *postOffice {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := newPostOffice(t, ways...)
	p.addr = l.Addr().String()
	if encryption != "" {
		web := quiet(t, func(http.ResponseWriter, *http.Request) {}) // has a certificate for 127.0.0.1
		p.ca = pemOf(web)
		p.server.TLSConfig = &tls.Config{Certificates: web.TLS.Certificates}
	}
	if encryption == "implicit" {
		l = tls.NewListener(l, p.server.TLSConfig)
	}
	p.serve(l)
	return p
}

func newPostOffice(t *testing.T, ways ...string) *postOffice {
	p := &postOffice{t: t, ways: ways, user: "rooms", secret: "hush-hush-PASSWORD"}
	p.server = smtp.NewServer(p)
	p.server.Domain = "mail.example.org"
	p.server.AllowInsecureAuth = true // so that it would take a password in the clear, if it got one
	p.server.ErrorLog = log.New(io.Discard, "", 0)
	return p
}

func (p *postOffice) serve(l net.Listener) {
	done := make(chan error, 1)
	go func() { done <- p.server.Serve(l) }()
	p.t.Cleanup(func() { p.close(done) })
}

func (p *postOffice) close(done chan error) {
	if err := p.server.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		p.t.Errorf("close the mail server: %v", err)
	}
	if err := <-done; err != nil && !errors.Is(err, net.ErrClosed) {
		p.t.Errorf("the mail server: %v", err)
	}
}

// set changes what it replies, and to whom.
func (p *postOffice) set(f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	f()
}

// replies returns a copy of what it replies, so that a reply may take its time.
func (p *postOffice) replies() replies {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.says
}

func (p *postOffice) note(command string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.commands = append(p.commands, command)
}

// taken returns the letters that were accepted.
func (p *postOffice) taken() []posted {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.letters)
}

// heard returns the commands that came.
func (p *postOffice) heard() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.commands, " ")
}

// NewSession implements [smtp.Backend].
func (p *postOffice) NewSession(c *smtp.Conn) (smtp.Session, error) {
	if open := p.replies().open; open != nil {
		if err := open(); err != nil {
			return nil, err
		}
	}
	return &visit{office: p, conn: c}, nil
}

// A visit is one connection.
type visit struct {
	office *postOffice
	conn   *smtp.Conn
	user   string
	letter posted
}

func (v *visit) AuthMechanisms() []string { return v.office.ways }

func (v *visit) Auth(way string) (sasl.Server, error) {
	switch {
	case !slices.Contains(v.office.ways, way):
		return nil, smtp.ErrAuthUnknownMechanism
	case way == "LOGIN":
		v.office.mu.Lock()
		defer v.office.mu.Unlock()
		return &loginServer{check: v.check, asks: v.office.asks}, nil
	}
	return sasl.NewPlainServer(func(_, user, password string) error { return v.check(user, password) }), nil
}

func (v *visit) check(user, password string) error {
	v.office.note("AUTH")
	if login := v.office.replies().login; login != nil {
		return login(user, password)
	}
	v.office.mu.Lock()
	defer v.office.mu.Unlock()
	if user != v.office.user || password != v.office.secret {
		return &smtp.SMTPError{Code: 535, EnhancedCode: smtp.EnhancedCode{5, 7, 8}, Message: "not with " + user + " and " + password}
	}
	v.user = user
	return nil
}

func (v *visit) Mail(from string, _ *smtp.MailOptions) error {
	v.office.note("MAIL")
	v.letter = posted{from: from}
	v.office.mu.Lock()
	anybody := v.office.anybody
	v.office.mu.Unlock()
	if len(v.office.ways) > 0 && v.user == "" && !anybody {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "authentication required"}
	}
	if mail := v.office.replies().mail; mail != nil {
		return mail(from)
	}
	return nil
}

func (v *visit) Rcpt(to string, _ *smtp.RcptOptions) error {
	v.office.note("RCPT")
	if rcpt := v.office.replies().rcpt; rcpt != nil {
		if err := rcpt(to); err != nil {
			return err
		}
	}
	v.letter.to = append(v.letter.to, to)
	return nil
}

func (v *visit) Data(r io.Reader) error {
	v.office.note("DATA")
	text, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if data := v.office.replies().data; data != nil {
		if err := data(string(text), v.conn); err != nil {
			return err
		}
	}
	m, err := mail.ReadMessage(strings.NewReader(string(text)))
	if err != nil {
		v.office.t.Errorf("a letter cannot be read: %v\n%s", err, text)
		return err
	}
	v.letter.raw, v.letter.header, v.letter.user = string(text), m.Header, v.user
	_, v.letter.encrypted = v.conn.TLSConnectionState()
	v.office.mu.Lock()
	defer v.office.mu.Unlock()
	v.office.letters = append(v.office.letters, v.letter)
	return nil
}

func (v *visit) Reset()        { v.letter = posted{} }
func (v *visit) Logout() error { return nil }

// loginServer is LOGIN, which the library has for clients alone.
type loginServer struct {
	check func(user, password string) error
	asks  string // after the password; empty: no more
	step  int
	user  string
}

func (s *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	s.step++
	switch s.step {
	case 1:
		return []byte("Username:"), false, nil
	case 2:
		s.user = string(response)
		return []byte("Password:"), false, nil
	}
	if s.asks != "" {
		return []byte(s.asks), false, nil
	}
	return nil, true, s.check(s.user, string(response))
}
