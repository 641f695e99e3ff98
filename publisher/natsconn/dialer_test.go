package natsconn

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"roomwatch/publisher/natstest"
)

// Servers that take a connection and say nothing are left at once when the
// process is to stop.
func TestConnectIsGivenUp(t *testing.T) {
	var urls []string
	for range 3 {
		l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // loopback
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Close() }()
		urls = append(urls, "nats://"+l.Addr().String())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	conn, err := Connect(ctx, Config{URL: strings.Join(urls, ",")})
	if conn != nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Connect: %v, %v", conn, err)
	}
	if took := time.Since(began); took > firstTry {
		t.Errorf("it took %v", took)
	}
}

// A name service that does not answer keeps nobody waiting for long, and the
// client asks none itself.
func TestNameServiceIsMute(t *testing.T) {
	mute := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	began := time.Now()
	if conn, err := (dialer{mute, &gate{}, &identity{}}).Dial("tcp", "nats.example.com:4222"); err == nil {
		t.Errorf("Dial: %v", conn)
	}
	if took := time.Since(began); took > 2*firstTry {
		t.Errorf("it took %v", took)
	}
	c, err := New(Config{URL: "nats://nats.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	got := nats.GetDefaultOptions()
	for _, o := range c.options(dialer{}) {
		if err := o(&got); err != nil {
			t.Fatal(err)
		}
	}
	if _, ours := got.CustomDialer.(dialer); !ours || !got.SkipHostLookup {
		t.Errorf("dialer %T, the client looks names up: %v", got.CustomDialer, !got.SkipHostLookup)
	}
}

func TestConnectByName(t *testing.T) {
	u, err := url.Parse(natstest.Start(t, nil).ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	// It may be a name of ::1 too, where nobody listens.
	conn, err := Dial(t.Context(), Config{URL: "nats://localhost:" + u.Port()})
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
