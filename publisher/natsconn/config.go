package natsconn

import (
	"log/slog"
	"net/url"
	"strings"

	"github.com/nats-io/nats.go"
)

// A Config says where NATS is and who asks. All but URL or InProcess may be
// empty; the fields mean what the flags of the nats command mean.
type Config struct {
	URL       string // one or more, separated by commas
	InProcess nats.InProcessConnProvider

	Name                      string // of the connection, as the server lists it; empty means roomwatch
	Inbox                     string // prefix of the subjects of answers; empty means _INBOX, which all have
	CredsFile, NKeyFile       string
	User, Password, Token     string // a user without a password is a token
	PasswordFile, TokenFile   string
	CAFile, CertFile, KeyFile string
	Domain                    string       // of JetStream, for leaf nodes; empty: that of the server
	Log                       *slog.Logger // nil discards

	// Denied is called, if it is not nil, with each permission that NATS finds
	// missing; the error names it, and who can grant it.
	Denied func(error)
}

func (c Config) logger() *slog.Logger {
	if c.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Log
}

// shown is the address without what is secret in it.
func (c Config) shown() string {
	if c.InProcess != nil {
		return "the embedded server"
	}
	var shown []string
	for _, s := range c.servers() {
		u, err := url.Parse(s)
		if err != nil {
			continue // unreachable: Check has read it
		}
		shown = append(shown, u.Scheme+"://"+u.Host)
	}
	return strings.Join(shown, ",")
}

// servers are the URLs as the client reads them.
func (c Config) servers() []string {
	var list []string
	for s := range strings.SplitSeq(c.URL, ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		if !strings.Contains(s, "://") {
			s = "nats://" + s
		}
		list = append(list, s)
	}
	return list
}
