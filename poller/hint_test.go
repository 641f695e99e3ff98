package poller

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// What an operator reads names the reason, and its hint the right fix, though a
// wrong answer repeats the signature.
func TestHints(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		body   string
		text   string
		hint   string
	}{
		{"forbidden", 403, "<html>", "HTTP status 403 Forbidden", "the service refuses the address of this machine"},
		{"proxy password", 407, "", "HTTP status 407 Proxy Authentication Required", "HTTPS_PROXY"},
		{"another server", 404, "", "HTTP status 404 Not Found", "ROOMWATCH_ENDPOINT"},
		{"redirect", 302, "", "HTTP status 302 Found", "login page"},
		{"bad gateway", 502, "", "HTTP status 502 Bad Gateway", "a proxy before it"},
		{"page of a login", 200, "<!doctype html><title>Login</title>", "http://live.test: decode answer of 35 bytes: the answer is HTML or XML, not JSON", "ROOMWATCH_ENDPOINT, and the proxy in HTTPS_PROXY"},
		{"error of the service", 200, fail(100001), "code 100001", "RequestId"},
		{"fatal", 200, fail(60006), "code 60006", ""}, // the text says what to do
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newService(t, func(call) (int, string) { return tt.status, tt.body })
				_, err := s.newPoller(t, Config{}).Glance(t.Context())
				if err == nil || !strings.Contains(err.Error(), tt.text) {
					t.Errorf("%v, want %q", err, tt.text)
				}
				if hint := Hint(err); !strings.Contains(hint, tt.hint) || tt.hint == "" && hint != "" {
					t.Errorf("%v: hint %q, want %q", err, hint, tt.hint)
				}
			})
		})
	}
}

// The hint stays when the error has to be replaced, because it holds a secret.
func TestHintOfAScrubbedError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, func(call) (int, string) { return 200, "" })
		p := s.newPoller(t, Config{})
		p.fetch.client.http.Transport = roundTripper(func(r *http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: "dial", Err: errors.New(r.URL.RawQuery)}
		})
		_, err := p.Glance(t.Context())
		if err == nil || !strings.Contains(err.Error(), "usersig=[secret]") || !strings.Contains(Hint(err), "through its firewall") {
			t.Errorf("%v; %s", err, Hint(err))
		}
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Real servers: a certificate that nobody knows, a name that does not exist, and nobody there.
func TestHintsOfTheNetwork(t *testing.T) {
	untrusted := httptest.NewUnstartedServer(http.NotFoundHandler())
	untrusted.Config.ErrorLog = log.New(io.Discard, "", 0)
	untrusted.StartTLS()
	defer untrusted.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for base, want := range map[string]string{
		untrusted.URL:                 "SSL_CERT_FILE",
		"http://no-such-host.invalid": "DNS",
		gone.URL:                      "can reach " + gone.URL,
	} {
		e, err := ParseEndpoint(base)
		if err != nil {
			t.Fatal(err)
		}
		p, err := New(Config{Endpoint: e, Signer: newTestSigner(t)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.Glance(t.Context()); err == nil || !strings.Contains(Hint(err), want) {
			t.Errorf("%v: hint %q, want %q", err, Hint(err), want)
		}
	}
}

// A list that goes round in a circle is the fault of the service or of a cache, not of the network.
func TestHintOfACircle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log logBuffer
		s := newService(t, func(call) (int, string) { return 200, ok("again", "a@1=1") })
		p := s.newPoller(t, Config{Log: log.logger(0)})
		start(t, p, &recorder{})
		time.Sleep(5 * time.Second)
		err := p.Status().LastFailure.Err
		if err == nil || !strings.Contains(err.Error(), "was given before in this sweep") || !strings.Contains(Hint(err), "no proxy caches the answers") {
			t.Errorf("%v; %s", err, Hint(err))
		}
		if !strings.Contains(log.String(), `fix="the list of the service does not end`) {
			t.Errorf("the log has no hint:\n%s", &log)
		}
	})
}
