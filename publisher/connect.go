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
	PasswordFile, TokenFile   string
	CAFile, CertFile, KeyFile string
	Domain                    string       // of JetStream, which the connection does not need: see [JetStream]
	Log                       *slog.Logger // nil discards

	// Denied is called, if it is not nil, with each permission that NATS finds
	// lacking; the error names it, and who can mend it.
	Denied func(error)
}

// A Connector makes connections to NATS. What the files of its configuration
// hold is read before each connection and each try to have one again, so they may
// be exchanged: a file that cannot be used is logged, and what it held before
// stays in use. It is safe for concurrent use.
type Connector struct {
	ConnectConfig
	files *files
}

// NewConnector connects to nothing. What [ConnectConfig.Check] finds is an
// [ErrAuth].
func NewConnector(c ConnectConfig) (*Connector, error) {
	f, err := c.open()
	if err = errors.Join(c.checkValues(), err); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrAuth, err)
	}
	return &Connector{c, f}, nil
}

// Connect is [Connector.Connect] of a new connector.
func Connect(ctx context.Context, c ConnectConfig) (*nats.Conn, error) {
	k, err := NewConnector(c)
	if err != nil {
		return nil, err
	}
	return k.Connect(ctx)
}

// Dial is [Connector.Dial] of a new connector.
func Dial(ctx context.Context, c ConnectConfig) (*nats.Conn, error) {
	k, err := NewConnector(c)
	if err != nil {
		return nil, err
	}
	return k.Dial(ctx)
}

// Connect returns a connection that never gives up. That NATS is away is no
// error; that it refuses the credentials is [ErrAuth]. No secret is in the error
// or the log.
func (c *Connector) Connect(ctx context.Context) (*nats.Conn, error) {
	nc, err := c.Dial(ctx)
	if err == nil || errors.Is(err, ErrAuth) || ctx.Err() != nil {
		return nc, err
	}
	nc, err = c.connect(ctx, nats.RetryOnFailedConnect(true), nats.ConnectHandler(func(nc *nats.Conn) {
		c.logger().InfoContext(context.WithoutCancel(ctx), "nats connected", "server", Server(nc))
	}))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", c.shown(), err)
	}
	return nc, nil
}

// Dial returns a connection, or an error if NATS cannot be reached now.
func (c *Connector) Dial(ctx context.Context) (*nats.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	nc, err := c.connect(ctx)
	if err != nil {
		if isAuth(err) {
			err = authError(err)
		}
		return nil, fmt.Errorf("connect to %s: %w", c.shown(), err)
	}
	return nc, nil
}

func authError(err error) error {
	return fmt.Errorf("%w: %w; set NATS_CREDS, NATS_NKEY, NATS_USER and NATS_PASSWORD, or NATS_TOKEN, or what their files hold, to what the server knows", ErrAuth, err)
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

func (c *Connector) connect(ctx context.Context, more ...nats.Option) (*nats.Conn, error) {
	d := dialer{gate: &gate{}, identity: &identity{nkey: c.files.nkey}}
	nc, err := connect(ctx, c.URL, append(c.options(d), more...))
	if err == nil {
		d.identity.belongsTo(nc)
	}
	return nc, err
}

func (c *Connector) options(d dialer) []nats.Option {
	opts := []nats.Option{
		nats.Name(cmp.Or(c.Name, "roomwatch")),
		nats.Timeout(firstTry),
		nats.SkipHostLookup(), // the dialer's, which has a limit of time
		nats.SetCustomDialer(d),
		nats.MaxReconnects(-1),
		nats.CustomReconnectDelay(reconnectDelay),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(2),
		nats.FlusherTimeout(writeMost),
		// What is not sent now must not be sent later behind our back.
		nats.ReconnectBufSize(-1),
		nats.IgnoreAuthErrorAbort(),
	}
	opts = append(opts, c.handlers(d.gate)...)
	if c.Inbox != "" {
		opts = append(opts, nats.CustomInboxPrefix(c.Inbox))
	}
	if c.InProcess != nil {
		opts = append(opts, nats.InProcessServer(localServer{c.InProcess, d}))
	}
	return append(opts, c.credentials(d.identity)...)
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
