package poller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"roomwatch/diff/secret"
)

// A secret must not come out, whatever goes wrong and whatever the other side
// sends back.
func TestNoSecretComesOut(t *testing.T) {
	echo := func(w http.ResponseWriter, r *http.Request) string {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Connection", "close")
		return r.URL.Query().Get("usersig") + " " + url.QueryEscape(r.URL.Query().Get("usersig")) + " " + r.URL.String() + " " + testKey
	}
	raw := func(w http.ResponseWriter, answer string) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}
	tests := []struct {
		name    string
		handler http.HandlerFunc
	}{
		{"in ErrorInfo", func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, `{"ErrorCode":70009,"ErrorInfo":%q,"RequestId":%q}`, echo(w, r), echo(w, r))
		}},
		{"in ActionStatus", func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, `{"ErrorCode":0,"ActionStatus":%q}`, echo(w, r))
		}},
		{"cut short in ErrorInfo", func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, `{"ErrorCode":100001,"ErrorInfo":%q}`, r.URL.String()[:len(r.URL.String())-9])
		}},
		{"in a redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/?x="+url.QueryEscape(echo(w, r)), http.StatusFound)
		}},
		{"in a broken redirect", func(w http.ResponseWriter, r *http.Request) {
			raw(w, "HTTP/1.1 302 Found\r\nLocation: http://[::1/?"+r.URL.RawQuery+"\r\n\r\n")
		}},
		{"in a status line", func(w http.ResponseWriter, r *http.Request) { raw(w, "HTTP/1.1 "+echo(w, r)+"\r\n\r\n") }},
		{"in a header", func(w http.ResponseWriter, r *http.Request) {
			raw(w, "HTTP/1.1 200 OK\r\n"+strings.ReplaceAll(echo(w, r), ":", "")+"\r\n\r\n")
		}},
		{"in another status", func(w http.ResponseWriter, r *http.Request) { http.Error(w, echo(w, r), http.StatusForbidden) }},
		{"in a page of a proxy", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "<html>"+echo(w, r)) }},
		{"in a row", func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, `{"ErrorCode":0,"RequestId":%q,"Response":{"Next":"","RoomList":[{"Category":[%q]}]}}`, echo(w, r), echo(w, r))
		}},
		{"no answer", func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}},
		{"cut connection", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer goleak.VerifyNone(t)
			srv := httptest.NewServer(tt.handler)
			defer srv.Close()
			checkSecrets(t, srv.URL)
		})
	}
	t.Run("refused connection", func(t *testing.T) {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close()
		checkSecrets(t, "http://"+l.Addr().String())
	})
	t.Run("TLS to a plain port", func(t *testing.T) {
		srv := httptest.NewServer(http.NotFoundHandler())
		defer srv.Close()
		checkSecrets(t, strings.Replace(srv.URL, "http:", "https:", 1))
	})
}

// checkSecrets makes a request and a sweep and looks for secrets in all that
// comes out: errors and what they wrap, status, log and metrics.
func checkSecrets(t *testing.T, base string) {
	t.Helper()
	var log logBuffer
	reg := prometheus.NewRegistry()
	e, err := ParseEndpoint(base)
	if err != nil {
		t.Fatal(err)
	}
	signer := newTestSigner(t)
	p, err := New(Config{
		Endpoint: e, Signer: signer, RequestsPerSecond: 1000, RequestTimeout: 100 * time.Millisecond,
		Log: log.logger(slog.LevelDebug), Metrics: reg,
	})
	if err != nil {
		t.Fatal(err)
	}
	g, err := p.Glance(context.Background())
	if err == nil && g.Unusable == 0 {
		t.Errorf("Glance = %+v without an error", g)
	}
	out := everyText(err) + fmt.Sprintf("%+v", g)

	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_ = p.Run(ctx, &recorder{})
	p.fetch.health.failed(fmt.Errorf("page 1: %w", orNil(err)))
	families, gatherErr := reg.Gather()
	if gatherErr != nil {
		t.Error(gatherErr)
	}
	out += log.String() + fmt.Sprint(families) + fmt.Sprintf("%+v %v", p.Status(), p.Status().LastFailure.Err)

	sig, _, err := signer.current()
	if err != nil {
		t.Fatal(err)
	}
	// A third of the signature is too much already.
	for _, secret := range []string{sig, sig[:len(sig)/3], url.QueryEscape(sig), testKey} {
		if strings.Contains(out, secret) {
			t.Errorf("secret %.20s… in %s", secret, out)
		}
	}
}

// everyText returns the text of err and of all that it wraps.
func everyText(err error) string {
	if err == nil {
		return ""
	}
	s := fmt.Sprintf("%v\n%+v\n%#v\n", err, err, err)
	if e, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range e.Unwrap() {
			s += everyText(one)
		}
	}
	return s + everyText(errors.Unwrap(err))
}

func orNil(err error) error {
	if err == nil {
		return errors.New("none")
	}
	return err
}

func TestScrubberCleansText(t *testing.T) {
	s := newScrubber("a*bc", "")
	tests := []struct{ in, want string }{
		{"plain", "plain"},
		{"x a*bc y a%2Abc z a%2abc", "x [secret] y [secret] z [secret]"},
		{`/p?UserSig=abc&x=1 "usersig=d"`, `/p?usersig=[secret]&x=1 "usersig=[secret]"`},
		{"two\nlines\x7f", "two lines "},
		{strings.Repeat("é", secret.MaxLine), strings.Repeat("é", secret.MaxLine/2) + "…"},
	}
	for _, tt := range tests {
		if got := s.line(tt.in); got != tt.want {
			t.Errorf("line(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
	err := fmt.Errorf("op: %w", io.ErrUnexpectedEOF)
	if got := s.err(err); !errors.Is(got, io.ErrUnexpectedEOF) {
		t.Errorf("an error without a secret became %v", got)
	}
}

// The signature that is hidden is that of the request, also after it was renewed.
func TestRenewedSignatureIsHidden(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, `{"ErrorCode":70001,"ErrorInfo":"refused %s"}`, r.URL.Query().Get("usersig"))
	}))
	defer srv.Close()
	e, err := ParseEndpoint(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := NewSigner(88888888, "admin", testKey, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(e, signer, time.Second, 1, nil)
	defer c.close()
	for _, sig := range []string{"firstSignature", "secondSignature"} {
		_, err := c.list(t.Context(), "", sig)
		if err == nil || !strings.Contains(err.Error(), "refused "+secret.Hidden) || strings.Contains(err.Error(), sig) {
			t.Errorf("with %s: %v", sig, err)
		}
	}
}
