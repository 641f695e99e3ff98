// Package serve is how the daemons answer over HTTP: who may read, how many
// connections there may be, and how it ends.
package serve

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
)

// An Access says who may read.
type Access struct {
	Addr    string        // as configured; its host is one that requests may name
	Token   func() string // who may read, asked with each request; nil: all who reach the address
	Open    bool          // the operator says that all may read, under whatever name they reach the address
	Program string        // its name; that of its variables is in upper case
}

// secured puts on every answer what keeps browsers from reading more into it
// than it says, and from keeping it.
func secured(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "+
			"img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		// A proxy that compresses would keep events back until it has enough of them.
		header.Set("Cache-Control", "no-store, no-transform")
		h.ServeHTTP(w, r)
	})
}

// readOnly refuses every method that could mean a change.
func readOnly(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			Refuse(w, http.StatusMethodNotAllowed, "the method is %.20q: everything here is only to be read; use GET", r.Method)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// Protect serves h only to those who may read.
func (a Access) Protect(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !a.MayRead(r) && a.Token != nil:
			w.Header().Add("WWW-Authenticate", `Bearer realm="`+a.Program+`"`)
			w.Header().Add("WWW-Authenticate", `Basic realm="`+a.Program+`", charset="UTF-8"`)
			Refuse(w, http.StatusUnauthorized, "the token is missing or wrong: send the value of %s as `Authorization: Bearer <token>`, "+
				"or as the password of HTTP Basic with any user name", a.variable("TOKEN"))
		case !a.MayRead(r):
			Refuse(w, http.StatusForbidden, "Host is %.200q: a name that is not that of %s is refused without a token; "+
				"use localhost or an IP address, or set %s, or %s=true", r.Host, a.variable("ADDR"), a.variable("TOKEN"), a.variable("OPEN"))
		case r.Header.Get("Sec-Fetch-Site") == "cross-site" && r.Header.Get("Sec-Fetch-Mode") != "navigate":
			Refuse(w, http.StatusForbidden, "Sec-Fetch-Site is cross-site: pages of other sites may not read here")
		default:
			h.ServeHTTP(w, r)
		}
	})
}

// MayRead reports whether the request has the token. Where none is set, all may
// read who reach the address, but not under a name of which we know nothing: a
// page of a stranger can let its own name point to this machine, and read what
// its visitor's browser then fetches.
func (a Access) MayRead(r *http.Request) bool {
	if a.Token != nil {
		return hasToken(r, a.Token())
	}
	return a.Open || knownHost(r.Host, a.Addr)
}

// variable is the name of one of the variables that say who may read.
func (a Access) variable(of string) string { return strings.ToUpper(a.Program) + "_HTTP_" + of }

func hasToken(r *http.Request, token string) bool {
	_, given, ok := r.BasicAuth()
	if !ok {
		scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return false
		}
		given = strings.TrimSpace(rest)
	}
	// The sums have one length, so that the time tells nothing of the token's.
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(token))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

func knownHost(host, addr string) bool {
	name := strings.TrimSuffix(hostOf(host), ".")
	return strings.EqualFold(name, "localhost") || net.ParseIP(name) != nil || name != "" && strings.EqualFold(name, hostOf(addr))
}

// hostOf returns a host without its port and brackets.
func hostOf(hostport string) string {
	if h, _, err := net.SplitHostPort(hostport); err == nil {
		return h
	}
	return strings.TrimSuffix(strings.TrimPrefix(hostport, "["), "]")
}
