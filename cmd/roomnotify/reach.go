package main

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"time"

	"roomwatch/cmd/roomnotify/rules"
)

// reachWait bounds a connection to a target.
const reachWait = 5 * time.Second

// reach connects to a target, or to the proxy that stands before it, and sends
// nothing. No secret is in the error.
func reach(ctx context.Context, t *rules.Target) error {
	ctx, cancel := context.WithTimeout(ctx, reachWait)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL, http.NoBody)
	if err != nil {
		return errors.New("its url cannot be read") // unreachable: it was checked
	}
	proxy, err := http.ProxyFromEnvironment(req)
	if err != nil {
		return errors.New("HTTP_PROXY or HTTPS_PROXY of the environment is no URL")
	}
	var conn net.Conn
	switch {
	case proxy != nil:
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", address(proxy))
	case req.URL.Scheme == "https":
		conn, err = new(tls.Dialer).DialContext(ctx, "tcp", address(req.URL))
	default:
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", address(req.URL))
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
