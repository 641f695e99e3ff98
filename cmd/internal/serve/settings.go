package serve

import (
	"errors"
	"log/slog"
	"net"
	"strconv"
	"strings"

	"roomwatch/cmd/internal/environ"
)

// Settings are what the variables of a program say of where it answers and who may read.
type Settings struct {
	Program   string // its name; that of its variables is in upper case
	Addr      string
	Token     environ.Secret
	TokenFile string
	Open      bool
}

const badToken = "has spaces or characters that no header can carry: write letters, digits and -._~+/="

// Check adds what is wrong with them. What is bound to more than this machine tells
// names to a network, so somebody has to say that this is wanted.
func (s Settings) Check(p *environ.Problems) {
	addr, token, file, open := s.variable("ADDR"), s.variable("TOKEN"), s.variable("TOKEN_FILE"), s.variable("OPEN")
	text, err := s.Read()
	p.Add(err == nil, "%s: %w; name a file that holds the token and that %s may read", file, err, s.Program)
	p.Add(s.Token == "" || s.TokenFile == "", "%s and %s are both set: set one of them", token, file)
	p.Add(IsToken(text), "the token of %s or %s "+badToken, token, file)
	if s.Addr == "off" {
		return
	}
	if !IsAddr(s.Addr) {
		p.Add(false, "%s is %q: write host:port with a port of at most 65535, or off", addr, s.Addr)
		return
	}
	host, port, _ := net.SplitHostPort(s.Addr)
	given := text != "" || s.TokenFile != ""
	p.Add(!given || !s.Open, "%s is true although a token is set: set one of them", open)
	p.Add(isLoopback(host) || given || s.Open, "%s is %q, which others than this machine can reach: set %s or %s, "+
		"or %s=true if all who reach it may read, or an address such as 127.0.0.1:%s", addr, s.Addr, token, file, open, port)
}

// Read returns the token, from wherever it is given; empty if there is none.
func (s Settings) Read() (environ.Secret, error) {
	if s.TokenFile == "" {
		return s.Token, nil
	}
	return environ.ReadSecret(s.TokenFile)
}

// Access returns who may read; a file of the token is read again when it has changed.
func (s Settings) Access(log *slog.Logger) (Access, error) {
	a := Access{Program: s.Program, Addr: s.Addr, Open: s.Open}
	switch {
	case s.TokenFile != "":
		f, err := environ.NewSecretFile(s.variable("TOKEN_FILE"), s.TokenFile, func(token environ.Secret) error {
			if !IsToken(token) {
				return errors.New("it " + badToken)
			}
			return nil
		}, log)
		if err != nil {
			return a, err
		}
		a.Token = func() string { return string(f.Value()) }
	case s.Token != "":
		a.Token = func() string { return string(s.Token) }
	}
	return a, nil
}

func (s Settings) variable(of string) string { return Access{Program: s.Program}.variable(of) }

// IsAddr reports whether s is host:port, so that whatever else fails is the
// machine's doing and not a mistake of writing.
func IsAddr(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// IsToken reports whether a header can carry a token.
func IsToken(s environ.Secret) bool {
	return !strings.ContainsFunc(string(s), func(r rune) bool { return r <= ' ' || r > '~' })
}

// isLoopback reports whether a host is this machine alone. A name other than
// localhost may be or become any machine's.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
