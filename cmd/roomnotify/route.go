package main

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"roomwatch/cmd/roomnotify/rules"
)

// A route is the transport of a target. Its authority and its proxy may be replaced
// while roomnotify runs.
type route struct {
	mu        sync.Mutex
	transport *http.Transport
	ca, proxy string // that it was made with
}

// follow makes the transport anew if the target is reached in another way now.
func (r *route) follow(t *rules.Target) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.transport != nil && r.ca == t.CA && r.proxy == t.Proxy {
		return
	}
	if r.transport != nil {
		r.transport.CloseIdleConnections()
	}
	own := http.DefaultTransport.(*http.Transport).Clone()
	own.DialContext = dialer(t).DialContext
	own.Proxy = proxyOf(t)
	own.TLSClientConfig = &tls.Config{RootCAs: t.Roots()}
	own.MaxIdleConnsPerHost = workers(t)
	own.MaxResponseHeaderBytes = mostAnswer
	r.transport, r.ca, r.proxy = own, t.CA, t.Proxy
}

// RoundTrip implements [http.RoundTripper]; follow was called before.
func (r *route) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	own := r.transport
	r.mu.Unlock()
	return own.RoundTrip(req)
}

// CloseIdleConnections is called by [http.Client].
func (r *route) CloseIdleConnections() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.transport != nil {
		r.transport.CloseIdleConnections()
	}
}

// oddAddress is an address of IPv4 in one of the forms that some resolvers read and
// [netip.ParseAddr] does not: 2852039166, 0xa9fea9fe, 169.254.43518.
var oddAddress = regexp.MustCompile(`^(?i)(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+))*\.?$`)

// proxyOf returns by which proxy a request goes; a nil URL means none.
//
// Which addresses the target may not have is decided when a connection is made, and
// by a proxy the connection is one to the proxy: it is the proxy's address that is
// decided on then, and what a name resolves to is known to the proxy alone. So only
// addresses that stand in the URL are refused here.
func proxyOf(t *rules.Target) func(*http.Request) (*url.URL, error) {
	return func(req *http.Request) (*url.URL, error) {
		proxy, err := proxyFor(t, req)
		if err != nil || proxy == nil || t.AllowPrivate {
			return proxy, err
		}
		host := req.URL.Hostname()
		switch a, err := netip.ParseAddr(strings.TrimSuffix(host, ".")); {
		case err == nil && forbidden(a):
			return nil, errForbidden(a)
		case err != nil && oddAddress.MatchString(host):
			return nil, errors.New("url has an address in an unusual form: write it with four numbers, or allow_private: true if it is meant")
		}
		return proxy, nil
	}
}

func proxyFor(t *rules.Target, req *http.Request) (*url.URL, error) {
	switch t.Proxy {
	case rules.NoProxy:
		return nil, nil
	case "":
		proxy, err := http.ProxyFromEnvironment(req)
		if err != nil {
			return nil, errors.New("HTTP_PROXY or HTTPS_PROXY of the environment is no URL") // the error has it
		}
		return proxy, nil
	}
	proxy, err := url.Parse(t.Proxy)
	if err != nil {
		return nil, errors.New("proxy is no URL") // unreachable: it was checked
	}
	return proxy, nil
}
