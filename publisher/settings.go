package publisher

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nkeys"
)

// Check returns everything that is wrong with the settings themselves, whatever
// NATS will say to them: each problem with its variable and its mend. It reads
// the files that they name and connects to nothing. No secret is in the error.
func (c ConnectConfig) Check() error {
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
	add(c.CredsFile == "" || c.NKeyFile == "", "NATS_CREDS and NATS_NKEY are both set: set one of them")
	err := checkFile(c.CredsFile, isCreds)
	add(err == nil, "NATS_CREDS: %w; name a file of credentials that can be read, as `nsc generate creds` writes it", err)
	err = checkFile(c.NKeyFile, isSeed)
	add(err == nil, "NATS_NKEY: %w; name a file that can be read and holds an nkey seed of a user", err)
	err = checkFile(c.CAFile, isAuthority)
	add(err == nil, "NATS_CA: %w; name a PEM file of certificates that can be read", err)
	add(c.CertFile == "" || c.KeyFile != "", "NATS_KEY is missing: NATS_CERT is set, so set it to the file of the certificate's private key")
	add(c.KeyFile == "" || c.CertFile != "", "NATS_CERT is missing: NATS_KEY is set, so set it to the file of the key's certificate")
	add(!isSecret(c.KeyFile), "NATS_KEY: it is set to the secret itself; name a PEM file of the certificate's private key")
	if c.CertFile != "" && c.KeyFile != "" && !isSecret(c.KeyFile) {
		_, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
		add(err == nil, "NATS_CERT and NATS_KEY: %w; name PEM files of a certificate and its private key that can be read", err)
	}
	return errors.Join(errs...)
}

// checkURL names a server by its place in the list: in a URL that is wrong,
// anything may be the secret.
func (c ConnectConfig) checkURL() []error {
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
		case !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme):
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

// servers are the URLs as the client reads them.
func (c ConnectConfig) servers() []string {
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

// isSecret reports whether text looks like a seed, a token of a user or a PEM
// block, rather than like the name of a file.
func isSecret(text string) bool {
	seed := len(text) >= 40 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567 \n") == ""
	return seed || strings.HasPrefix(text, "eyJ") || strings.HasPrefix(text, "-----BEGIN")
}

// isCreds tells credentials from what the client would take for them: it believes
// that any file is a token, and NATS refuses it much later.
func isCreds(body []byte) error {
	token, err := nkeys.ParseDecoratedJWT(body)
	if err == nil && strings.Count(token, ".") != 2 {
		err = errors.New("it holds no token of a user")
	}
	return cmp.Or(err, isSeed(body))
}

func isSeed(body []byte) error {
	_, err := nkeys.ParseDecoratedUserNKey(body)
	return err
}

func isAuthority(body []byte) error {
	if !x509.NewCertPool().AppendCertsFromPEM(body) {
		return errors.New("it holds no certificate")
	}
	return nil
}

// checkFile looks at what is in a file, if one is named. Its errors name the file,
// unless it is the secret itself that was given.
func checkFile(file string, is func(body []byte) error) error {
	if file == "" {
		return nil
	}
	if isSecret(file) {
		return errors.New("it is set to the secret itself")
	}
	body, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := is(body); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}
