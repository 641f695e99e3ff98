package publisher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// ErrAuth means that NATS refuses who asks, or that what says where NATS is and
// who asks cannot be used.
var ErrAuth = errors.New("NATS settings")

const (
	firstTry      = 2 * time.Second // for each server of NATS_URL, at the start
	reconnectWait = 500 * time.Millisecond
	reconnectMost = 5 * time.Second
	pingEvery     = 20 * time.Second
	// writeMost is how long a network may take no byte. The client holds its mutex
	// meanwhile, and whoever asks it anything waits.
	writeMost = 2 * time.Second
)

// A ConnectConfig says where NATS is and who asks. All but URL or InProcess may
// be empty; the fields mean what the flags of the nats command mean.
type ConnectConfig struct {
	URL       string // one or more, separated by commas
	InProcess nats.InProcessConnProvider

	Name                      string // of the connection, as the server lists it; empty means roomwatch
	Inbox                     string // prefix of the subjects of answers; empty means _INBOX, which all have
	CredsFile, NKeyFile       string
	User, Password, Token     string // a user without a password is a token
	CAFile, CertFile, KeyFile string
	Log                       *slog.Logger // nil discards

	// Denied is called, if it is not nil, with each permission that NATS finds
	// lacking; the error names it, and who can mend it.
	Denied func(error)
}

// Connect returns a connection that never gives up. That NATS is away is no
// error; that it refuses the credentials, or what [ConnectConfig.Check] finds, is
// [ErrAuth]. No secret is in the error or the log.
func Connect(ctx context.Context, c ConnectConfig) (*nats.Conn, error) {
	nc, err := Dial(ctx, c)
	if err == nil || errors.Is(err, ErrAuth) || ctx.Err() != nil {
		return nc, err
	}
	opts, oerr := c.options()
	if oerr != nil {
		return nil, oerr
	}
	nc, err = connect(ctx, c.URL, append(opts, nats.RetryOnFailedConnect(true), nats.ConnectHandler(func(nc *nats.Conn) {
		c.logger().InfoContext(context.WithoutCancel(ctx), "nats connected", "server", Server(nc))
	})))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", c.shown(), err)
	}
	return nc, nil
}

// Dial returns a connection, or an error if NATS cannot be reached now.
func Dial(ctx context.Context, c ConnectConfig) (*nats.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	opts, err := c.options()
	if err != nil {
		return nil, err
	}
	nc, err := connect(ctx, c.URL, opts)
	if err != nil {
		if isAuth(err) {
			err = authError(err)
		}
		return nil, fmt.Errorf("connect to %s: %w", c.shown(), err)
	}
	return nc, nil
}

func authError(err error) error {
	return fmt.Errorf("%w: %w; set NATS_CREDS, NATS_NKEY, NATS_USER and NATS_PASSWORD, or NATS_TOKEN to what the server knows", ErrAuth, err)
}

func isAuth(err error) bool {
	if err == nil {
		return false
	}
	for _, e := range []error{nats.ErrAuthorization, nats.ErrAuthExpired, nats.ErrAuthRevoked, nats.ErrAccountAuthExpired} {
		if errors.Is(err, e) {
			return true
		}
	}
	return strings.Contains(strings.ToLower(err.Error()), "authorization violation")
}

func (c ConnectConfig) options() ([]nats.Option, error) {
	if err := c.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAuth, err)
	}
	g := &gate{}
	opts := []nats.Option{
		nats.Name(cmp.Or(c.Name, "roomwatch")),
		nats.Timeout(firstTry),
		nats.SkipHostLookup(), // the dialer's, which has a limit of time
		nats.SetCustomDialer(dialer{gate: g}),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(reconnectDelay),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(writeMost),
		// What is not sent now must not be sent later behind our back.
		nats.ReconnectBufSize(-1),
		nats.IgnoreAuthErrorAbort(),
	}
	opts = append(opts, c.handlers(g)...)
	if c.Inbox != "" {
		opts = append(opts, nats.CustomInboxPrefix(c.Inbox))
	}
	if c.InProcess != nil {
		opts = append(opts, nats.InProcessServer(gatedServer{c.InProcess, g}))
	}
	if c.CredsFile != "" {
		opts = append(opts, nats.UserCredentials(c.CredsFile))
	}
	if c.NKeyFile != "" {
		o, err := nats.NkeyOptionFromSeed(c.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("%w: NATS_NKEY: %w", ErrAuth, err) // unreachable: Check has read it
		}
		opts = append(opts, o)
	}
	switch {
	case c.User != "" && c.Password == "":
		opts = append(opts, nats.Token(c.User))
	case c.User != "":
		opts = append(opts, nats.UserInfo(c.User, c.Password))
	}
	if c.Token != "" {
		opts = append(opts, nats.Token(c.Token))
	}
	if c.CAFile != "" {
		opts = append(opts, nats.RootCAs(c.CAFile))
	}
	if c.CertFile != "" || c.KeyFile != "" {
		opts = append(opts, nats.ClientCert(c.CertFile, c.KeyFile))
	}
	return opts, nil
}

// handlers log what changes; the rest of the program asks the connection.
func (c ConnectConfig) handlers(g *gate) []nats.Option {
	log := c.logger()
	ctx := context.Background()
	var why string // the newest try failed; handlers are called one after the other
	return []nats.Option{
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			g.disconnected()
			if !nc.IsClosed() {
				log.WarnContext(ctx, "nats lost", "error", err, "mend", "see that NATS runs and can be reached; the connection is tried again for ever")
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			why = ""
			log.InfoContext(ctx, "nats connected", "server", Server(nc))
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			// That there are no servers is what the first try comes to, whatever kept it
			// from each of them; the next one, a moment later, says.
			if cause := innermost(err).Error(); cause != why && !errors.Is(err, nats.ErrNoServers) && !errors.Is(err, errHeld) {
				why = cause
				log.WarnContext(ctx, "nats away", "error", err, "mend", "see that NATS runs and that NATS_URL is right; it is tried for ever")
			}
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.WarnContext(ctx, "nats", "error", err)
			if c.Denied != nil && errors.Is(err, nats.ErrPermissionViolation) {
				c.Denied(lacking(err))
			}
		}),
	}
}

func (c ConnectConfig) logger() *slog.Logger {
	if c.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return c.Log
}

// shown is the address without what is secret in it.
func (c ConnectConfig) shown() string {
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

// Server returns the address that a connection has, without what is secret in
// it; empty if it has none.
func Server(nc *nats.Conn) string {
	u, err := url.Parse(nc.ConnectedUrl())
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host // a user without a password is a token
}

// reconnectDelay doubles from try to try, less up to a half, so that the clients
// of a server that was away do not all come back at once.
func reconnectDelay(tries int) time.Duration {
	d := min(reconnectMost, reconnectWait<<min(tries, 4))
	return d - rand.N(d/2)
}

// innermost is the error without what changes from try to try, such as ports.
func innermost(err error) error {
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	return err
}
