package main

import (
	"net"
	"strings"

	"roomwatch/cmd/internal/environ"
)

// validateHTTP checks who may read over HTTP. What is bound to more than this
// machine tells room names and owners to a network, so somebody has to say that
// this is wanted.
func (c *config) validateHTTP(p *problems) {
	token, err := c.httpToken()
	p.add(err == nil, "ROOMWATCH_HTTP_TOKEN_FILE: %w; name a file that holds the token and that roomwatch may read", err)
	p.add(c.HTTPToken == "" || c.HTTPTokenFile == "", "ROOMWATCH_HTTP_TOKEN and ROOMWATCH_HTTP_TOKEN_FILE are both set: set one of them")
	p.add(isToken(token), "the token of ROOMWATCH_HTTP_TOKEN or ROOMWATCH_HTTP_TOKEN_FILE has spaces or characters that no header can carry: write letters, digits and -._~+/=")
	if c.HTTPAddr == "off" {
		return
	}
	host, _, err := net.SplitHostPort(c.HTTPAddr)
	if err != nil {
		p.add(false, "ROOMWATCH_HTTP_ADDR is %q: write host:port, or off", c.HTTPAddr)
		return
	}
	given := token != "" || c.HTTPTokenFile != ""
	p.add(!given || !c.HTTPOpen, "ROOMWATCH_HTTP_OPEN is true although a token is set: set one of them")
	p.add(isLoopback(host) || given || c.HTTPOpen, "ROOMWATCH_HTTP_ADDR is %q, which others than this machine can reach: set ROOMWATCH_HTTP_TOKEN or ROOMWATCH_HTTP_TOKEN_FILE, "+
		"or ROOMWATCH_HTTP_OPEN=true if all who reach it may read, or an address such as 127.0.0.1:8080", c.HTTPAddr)
}

// httpToken returns the token, from wherever it is given; empty if there is none.
func (c *config) httpToken() (secret, error) {
	if c.HTTPTokenFile == "" {
		return c.HTTPToken, nil
	}
	return environ.ReadSecret(c.HTTPTokenFile)
}

func isToken(s secret) bool {
	return !strings.ContainsFunc(string(s), func(r rune) bool { return r <= ' ' || r > '~' })
}

// isLoopback reports whether a host is this machine alone. A name other than
// localhost may be or become any machine's.
func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}
