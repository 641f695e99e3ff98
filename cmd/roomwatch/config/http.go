package config

import (
	"log/slog"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/internal/serve"
)

func (c *Config) http() serve.Settings {
	return serve.Settings{Program: "roomwatch", Addr: c.HTTPAddr, Token: c.HTTPToken, TokenFile: c.HTTPTokenFile, Open: c.HTTPOpen}
}

// Token returns the token, from wherever it is given; empty if there is none.
func (c *Config) Token() (environ.Secret, error) { return c.http().Read() }

// CurrentToken returns a function that returns the token of each moment; nil if
// there is none.
func (c *Config) CurrentToken(log *slog.Logger) (func() string, error) {
	access, err := c.http().Access(log)
	return access.Token, err
}

// ValidateClient returns every problem that a command which asks the daemon
// would have with its address.
func (c *Config) ValidateClient() error {
	var p environ.Problems
	if c.HTTPAddr == "off" {
		p.Add(false, "ROOMWATCH_HTTP_ADDR is off: set it to the address at which the daemon answers, and start the daemon with it")
	} else {
		p.Add(serve.IsAddr(c.HTTPAddr), "ROOMWATCH_HTTP_ADDR is %q: write the host:port at which the daemon answers", c.HTTPAddr)
	}
	return p.Err()
}
