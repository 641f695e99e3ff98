package natsconn

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"roomwatch/diff/secret"
)

// files are what the files of a [Config] hold; nil where none is named.
type files struct {
	creds       *secret.File[creds]
	nkey        *secret.File[nkeys.KeyPair]
	password    *secret.File[string]
	token       *secret.File[string]
	authorities *secret.File[*x509.CertPool]
	certificate *secret.File[tls.Certificate]
}

// A creds is who asks, for a decentralised account.
type creds struct {
	token string
	key   nkeys.KeyPair
}

// open reads the files. The error names each problem with its variable and its
// fix; files that could not be read are nil.
func (c Config) open() (*files, error) {
	f := &files{}
	err := errors.Join(
		openFile(&f.creds, c, "NATS_CREDS", "name a file of credentials that can be read, as `nsc generate creds` writes it", parseCreds, c.CredsFile),
		openFile(&f.nkey, c, "NATS_NKEY", "name a file that can be read and holds an nkey seed of a user", parseSeed, c.NKeyFile),
		openFile(&f.password, c, "NATS_PASSWORD_FILE", "name a file that can be read and holds the password", secret.Text, c.PasswordFile),
		openFile(&f.token, c, "NATS_TOKEN_FILE", "name a file that can be read and holds the token", secret.Text, c.TokenFile),
		openFile(&f.authorities, c, "NATS_CA", "name a PEM file of certificates that can be read", parseAuthorities, c.CAFile),
		openFile(&f.certificate, c, "NATS_CERT and NATS_KEY", "name PEM files of a certificate and its private key that can be read", parseCertificate, c.CertFile, c.KeyFile),
	)
	return f, err
}

// openFile does nothing if a file is not named; that the others are is then wrong
// by itself.
func openFile[T any](to **secret.File[T], c Config, variable, fix string, parse func(...[]byte) (T, error), paths ...string) error {
	for _, path := range paths {
		if path == "" {
			return nil
		}
		if isSecret(path) {
			return fmt.Errorf("%s: it is set to the secret itself; %s", variable, fix)
		}
	}
	f, err := secret.Open(variable, c.logger(), parse, paths...)
	if err != nil {
		return fmt.Errorf("%s: %w; %s", variable, err, fix)
	}
	*to = f
	return nil
}

// parseCreds tells credentials from what the client would take for them: it
// believes that any file is a token, and NATS refuses it much later.
func parseCreds(contents ...[]byte) (creds, error) {
	token, err := nkeys.ParseDecoratedJWT(contents[0])
	if err == nil && strings.Count(token, ".") != 2 {
		err = errors.New("it holds no token of a user")
	}
	key, noSeed := parseSeed(contents...)
	return creds{token, key}, cmp.Or(err, noSeed)
}

func parseSeed(contents ...[]byte) (nkeys.KeyPair, error) {
	return nkeys.ParseDecoratedUserNKey(contents[0])
}

func parseAuthorities(contents ...[]byte) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(contents[0]) {
		return nil, errors.New("it holds no certificate")
	}
	return pool, nil
}

func parseCertificate(contents ...[]byte) (tls.Certificate, error) {
	return tls.X509KeyPair(contents[0], contents[1])
}

// isSecret reports whether text looks like a seed, a token of a user or a PEM
// block, rather than like the name of a file.
func isSecret(text string) bool {
	seed := len(text) >= 40 && strings.Trim(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567 \n") == ""
	return seed || strings.HasPrefix(text, "eyJ") || strings.HasPrefix(text, "-----BEGIN")
}

// credentials are the options that say who asks.
func (c *Conn) credentials(id *identity) []nats.Option {
	var opts []nats.Option
	f := c.files
	if f.creds != nil {
		var of creds // of the connection that is being made: token and signature belong together
		opts = append(opts, nats.UserJWT(func() (string, error) {
			of = f.creds.Value()
			return of.token, nil
		}, func(nonce []byte) ([]byte, error) { return of.key.Sign(nonce) }))
	}
	if f.nkey != nil {
		opts = append(opts, nats.Nkey(id.take(), id.sign))
	}
	switch {
	case f.password != nil:
		opts = append(opts, nats.UserInfoHandler(func() (string, string) { return c.config.User, f.password.Value() }))
	case c.config.User != "" && c.config.Password == "":
		opts = append(opts, nats.Token(c.config.User))
	case c.config.User != "":
		opts = append(opts, nats.UserInfo(c.config.User, c.config.Password))
	}
	switch {
	case f.token != nil:
		opts = append(opts, nats.TokenHandler(f.token.Value))
	case c.config.Token != "":
		opts = append(opts, nats.Token(c.config.Token))
	}
	if f.authorities != nil || f.certificate != nil {
		opts = append(opts, nats.ClientTLSConfig(f.clientCertificate(), f.rootCAs()))
	}
	return opts
}

func (f *files) clientCertificate() nats.TLSCertHandler {
	if f.certificate == nil {
		return nil
	}
	return func() (tls.Certificate, error) { return f.certificate.Value(), nil }
}

func (f *files) rootCAs() nats.RootCAsHandler {
	if f.authorities == nil {
		return nil
	}
	return func() (*x509.CertPool, error) { return f.authorities.Value(), nil }
}

// An identity is the nkey of one connection. The client library asks for a
// signature at each connect, but takes the public key once, as an option. So the
// key is put there before each connect: the library dials with its mutex held,
// and reads the option later, under the same mutex.
type identity struct {
	nkey *secret.File[nkeys.KeyPair] // nil: the connection has none

	mu   sync.Mutex
	conn *nats.Conn    // nil until it is made
	pair nkeys.KeyPair // of the connect that is on its way
}

// belongsTo says whose the identity is.
func (i *identity) belongsTo(nc *nats.Conn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.conn = nc
}

// renew is called before each connect. As long as the connection is not made, its
// option cannot be changed, and the key stays.
func (i *identity) renew() {
	if i.nkey == nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.conn != nil {
		i.conn.Opts.Nkey = i.take()
	}
}

// take makes the key of the file the one that signs and returns its public half.
func (i *identity) take() string {
	i.pair = i.nkey.Value()
	public, err := i.pair.PublicKey()
	if err != nil {
		return "" // unreachable: the pair was made from a seed
	}
	return public
}

func (i *identity) sign(nonce []byte) ([]byte, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.pair.Sign(nonce)
}
