package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"syscall"
	"time"

	"roomwatch/cmd/roomnotify/rules"
)

// metadata are addresses at which clouds give away credentials, besides those
// that are link-local.
var metadata = []netip.Addr{
	netip.MustParseAddr("100.100.100.200"), // Alibaba Cloud
	netip.MustParseAddr("168.63.129.16"),   // Azure
	netip.MustParseAddr("192.0.0.192"),     // Oracle Cloud
	netip.MustParseAddr("fd00:ec2::254"),   // AWS
	netip.MustParseAddr("fd20:ce::254"),    // Google Cloud
}

// nat64 has the addresses of IPv4 in its last four bytes.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// forbidden reports whether no service that is told anything can be at an address:
// it is of this link alone, or of a cloud's metadata, or none of one machine.
func forbidden(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	return a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || slices.Contains(metadata, a)
}

// dialer connects to a target. Which addresses it may not connect to is decided
// when its name was resolved: what it resolves to may change at any time.
func dialer(t *rules.Target) *net.Dialer {
	d := &net.Dialer{Timeout: t.RequestTimeout(), KeepAlive: 30 * time.Second}
	if !t.AllowPrivate {
		d.ControlContext = allowed
	}
	return d
}

func allowed(_ context.Context, _, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %s: %w", address, err) // unreachable: names are resolved by now
	}
	if forbidden(to.Addr()) {
		return errForbidden(to.Addr())
	}
	return nil
}

func errForbidden(a netip.Addr) error {
	return fmt.Errorf("%s is a link-local address or one of cloud metadata: write another url, or allow_private: true if it is meant", a)
}

const (
	// reachWait bounds a connection to a target.
	reachWait = 5 * time.Second
	// mailReachWait is longer: some mail servers greet late, to see who cannot wait.
	mailReachWait = 15 * time.Second
)

// reach connects to a target, or to the proxy that stands before it, and tells it
// nothing. No secret is in the error.
func reach(ctx context.Context, t *rules.Target) error {
	if t.Kind == "email" {
		return reachMail(ctx, t)
	}
	ctx, cancel := context.WithTimeout(ctx, reachWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, http.NoBody)
	if err != nil {
		return errors.New("its url cannot be read") // unreachable: it was checked
	}
	proxy, err := proxyOf(t)(req)
	if err != nil {
		return err
	}
	var conn net.Conn
	switch d := dialer(t); {
	case proxy != nil:
		conn, err = d.DialContext(ctx, "tcp", address(proxy))
	case req.URL.Scheme == "https":
		conn, err = (&tls.Dialer{NetDialer: d, Config: &tls.Config{RootCAs: t.Roots()}}).DialContext(ctx, "tcp", address(req.URL))
	default:
		conn, err = d.DialContext(ctx, "tcp", address(req.URL))
	}
	if err != nil {
		return err
	}
	return conn.Close()
}

// address returns host and port.
func address(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "socks5": "1080", "socks5h": "1080"}[u.Scheme]
	}
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}
