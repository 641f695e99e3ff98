package natsconn

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Check returns everything that is wrong with the settings themselves, whatever
// NATS will say to them: each problem with its variable and its fix. It reads
// the files that they name and connects to nothing. No secret is in the error.
func (c Config) Check() error {
	_, err := c.open()
	return errors.Join(c.checkValues(), err)
}

func (c Config) checkValues() error {
	var errs []error
	add := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	if c.InProcess == nil && c.URL != "" {
		errs = append(errs, c.checkURL()...)
	}
	add(c.Password == "" || c.User != "", "NATS_PASSWORD is set without NATS_USER: set both")
	add(c.Token == "" || c.User == "", "NATS_TOKEN and NATS_USER are both set: set NATS_USER with NATS_PASSWORD, or NATS_TOKEN alone")
	add(c.Password == "" || c.PasswordFile == "", "NATS_PASSWORD and NATS_PASSWORD_FILE are both set: set one of them")
	add(c.PasswordFile == "" || c.User != "", "NATS_PASSWORD_FILE is set without NATS_USER: set both")
	add(c.Token == "" || c.TokenFile == "", "NATS_TOKEN and NATS_TOKEN_FILE are both set: set one of them")
	add(c.TokenFile == "" || c.User == "", "NATS_TOKEN_FILE and NATS_USER are both set: set NATS_USER with NATS_PASSWORD_FILE, or NATS_TOKEN_FILE alone")
	add(c.TokenFile == "" || !strings.Contains(c.URL, "@"), "NATS_TOKEN_FILE is set and NATS_URL has a user: write nats://host:port into NATS_URL")
	add(c.CredsFile == "" || c.NKeyFile == "", "NATS_CREDS and NATS_NKEY are both set: set one of them")
	add(c.CertFile == "" || c.KeyFile != "", "NATS_KEY is missing: NATS_CERT is set, so set it to the file of the certificate's private key")
	add(c.KeyFile == "" || c.CertFile != "", "NATS_CERT is missing: NATS_KEY is set, so set it to the file of the key's certificate")
	add(!strings.ContainsAny(c.Domain, " \t\r\n.*>"), "NATS_JS_DOMAIN is %q: write the domain of jetstream in the server's configuration, without spaces, dots and wildcards", c.Domain)
	add(c.Domain == "" || c.URL != "" || c.InProcess != nil, "NATS_JS_DOMAIN is set and NATS_URL is empty: the embedded server has no domain; set both or neither")
	return errors.Join(errs...)
}

// checkURL names a server by its place in the list: in a URL that is wrong,
// anything may be the secret.
func (c Config) checkURL() []error {
	servers := c.servers()
	if len(servers) == 0 {
		return []error{errors.New("NATS_URL names no server: write nats://host:port")}
	}
	var errs []error
	sockets := 0
	for i, s := range servers {
		u, err := url.Parse(s) // whose error tells the secret
		wrong := func(what string) {
			errs = append(errs, fmt.Errorf("NATS_URL: server %d of the list %s; write nats://host:port, and user and password in NATS_USER and NATS_PASSWORD", i+1, what))
		}
		if err != nil {
			wrong("cannot be read")
			continue
		}
		if strings.HasPrefix(u.Scheme, "ws") {
			sockets++
		}
		port, err := strconv.Atoi(u.Port())
		switch {
		case !slices.Contains([]string{"nats", "tcp", "tls", "ws", "wss"}, u.Scheme):
			wrong("has a scheme that NATS does not have")
		case u.Host == "":
			wrong("has no host")
		case u.Port() != "" && (err != nil || port < 1 || port > 65535):
			wrong("has a port that is none")
		}
	}
	if sockets > 0 && sockets < len(servers) {
		errs = append(errs, errors.New("NATS_URL: some servers are asked over WebSocket and some are not; write ws:// or wss:// before all of them, or before none"))
	}
	return errs
}
