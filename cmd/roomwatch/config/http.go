package config

import (
	"errors"
	"log/slog"
	"net"
	"strconv"
	"strings"

	"roomwatch/cmd/internal/environ"
)

// validateHTTP checks who may read over HTTP. What is bound to more than this
// machine tells room names and owners to a network, so somebody has to say that
// this is wanted.
func (c *Config) validateHTTP(p *environ.Problems) {
	token, err := c.Token()
	p.Add(err == nil, "ROOMWATCH_HTTP_TOKEN_FILE: %w; name a file that holds the token and that roomwatch may read", err)
	p.Add(c.HTTPToken == "" || c.HTTPTokenFile == "", "ROOMWATCH_HTTP_TOKEN and ROOMWATCH_HTTP_TOKEN_FILE are both set: set one of them")
	p.Add(isToken(token), "the token of ROOMWATCH_HTTP_TOKEN or ROOMWATCH_HTTP_TOKEN_FILE has spaces or characters that no header can carry: write letters, digits and -._~+/=")
	if c.HTTPAddr == "off" {
		return
	}
	if !isAddr(c.HTTPAddr) {
		p.Add(false, "ROOMWATCH_HTTP_ADDR is %q: write host:port with a port of at most 65535, or off", c.HTTPAddr)
		return
	}
	host, _, _ := net.SplitHostPort(c.HTTPAddr)
	given := token != "" || c.HTTPTokenFile != ""
	p.Add(!given || !c.HTTPOpen, "ROOMWATCH_HTTP_OPEN is true although a token is set: set one of them")
	p.Add(isLoopback(host) || given || c.HTTPOpen, "ROOMWATCH_HTTP_ADDR is %q, which others than this machine can reach: set ROOMWATCH_HTTP_TOKEN or ROOMWATCH_HTTP_TOKEN_FILE, "+
		"or ROOMWATCH_HTTP_OPEN=true if all who reach it may read, or an address such as 127.0.0.1:8080", c.HTTPAddr)
}

// Token returns the token, from wherever it is given; empty if there is none.
func (c *Config) Token() (environ.Secret, error) {
	if c.HTTPTokenFile == "" {
		return c.HTTPToken, nil
	}
	return environ.ReadSecret(c.HTTPTokenFile)
}

// CurrentToken returns a function that returns the token of each moment; nil if
// there is none.
func (c *Config) CurrentToken(log *slog.Logger) (func() string, error) {
	if c.HTTPTokenFile == "" {
		if c.HTTPToken == "" {
			return nil, nil
		}
		return func() string { return string(c.HTTPToken) }, nil
	}
	f, err := environ.NewSecretFile("ROOMWATCH_HTTP_TOKEN_FILE", c.HTTPTokenFile, func(token environ.Secret) error {
		if !isToken(token) {
			return errors.New("it has spaces or characters that no header can carry: write letters, digits and -._~+/=")
		}
		return nil
	}, log)
	if err != nil {
		return nil, err
	}
	return func() string { return string(f.Value()) }, nil
}

// ValidateClient returns every problem that a command which asks the daemon
// would have with its address.
func (c *Config) ValidateClient() error {
	var p environ.Problems
	if c.HTTPAddr == "off" {
		p.Add(false, "ROOMWATCH_HTTP_ADDR is off: set it to the address at which the daemon answers, and start the daemon with it")
	} else {
		p.Add(isAddr(c.HTTPAddr), "ROOMWATCH_HTTP_ADDR is %q: write the host:port at which the daemon answers", c.HTTPAddr)
	}
	return p.Err()
}

// isAddr reports whether s is host:port, so that whatever else fails is the
// machine's doing and not a mistake of writing.
func isAddr(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

func isToken(s environ.Secret) bool {
	return !strings.ContainsFunc(string(s), func(r rune) bool { return r <= ' ' || r > '~' })
}

// isLoopback reports whether a host is this machine alone. A name other than
// localhost may be or become any machine's.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
