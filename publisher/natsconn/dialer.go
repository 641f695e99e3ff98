package natsconn

import (
	"context"
	"math/rand/v2"
	"net"
	"time"

	"github.com/nats-io/nats.go"
)

// connect is [nats.Connect] that is given up when ctx is done. The client tries
// one server after the other and asks nobody meanwhile; what it still brings is
// closed.
func connect(ctx context.Context, url string, opts []nats.Option) (*nats.Conn, error) {
	type result struct {
		nc  *nats.Conn
		err error
	}
	made := make(chan result, 1)
	go func() {
		nc, err := nats.Connect(url, opts...)
		made <- result{nc, err}
	}()
	select {
	case r := <-made:
		return r.nc, r.err
	case <-ctx.Done():
		go func() {
			if r := <-made; r.nc != nil {
				r.nc.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// A dialer makes the client's TCP connections. The client itself looks names up
// without any limit of time, and holds its mutex meanwhile. All that a dialer
// does for one server takes no longer than firstTry.
type dialer struct {
	resolver *net.Resolver // nil: the system's
	gate     *gate
	identity *identity
}

// before is what comes before each connection, with the client's mutex held.
func (d dialer) before() error {
	if err := d.gate.pass(); err != nil {
		return err
	}
	d.identity.renew()
	return nil
}

// Dial tries the addresses of a name in any order, each for its share of the time.
func (d dialer) Dial(network, address string) (net.Conn, error) {
	if err := d.before(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), firstTry)
	defer cancel()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	hosts, err := d.resolver.LookupHost(ctx, host)
	if err != nil {
		return nil, err
	}
	rand.Shuffle(len(hosts), func(i, j int) { hosts[i], hosts[j] = hosts[j], hosts[i] })
	end, _ := ctx.Deadline()
	for i, h := range hosts {
		one := net.Dialer{Timeout: time.Until(end) / time.Duration(len(hosts)-i)}
		var conn net.Conn
		if conn, err = one.DialContext(ctx, network, net.JoinHostPort(h, port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// A localServer is a server in this process.
type localServer struct {
	nats.InProcessConnProvider
	dialer dialer
}

func (s localServer) InProcessConn() (net.Conn, error) {
	if err := s.dialer.before(); err != nil {
		return nil, err
	}
	return s.InProcessConnProvider.InProcessConn()
}
