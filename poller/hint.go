package poller

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
)

// ErrSink is wrapped by the errors of the sink: the service is not to blame.
var ErrSink = errors.New("commit")

// RefusedFix is what an operator can do where the service refuses the configuration.
const RefusedFix = "correct what the error names and restart roomwatch, unless it is a file that is read again; `roomwatch check` tries it with one request"

// A hintError is an error with what an operator can do about it, which is not
// part of its text.
type hintError struct {
	error
	hint string
}

func (e *hintError) Unwrap() error { return e.error }

func hinted(err error, hint string) error {
	if err == nil || hint == "" {
		return err
	}
	return &hintError{err, hint}
}

// Hint returns what an operator can do about an error of a [Failure] or of
// [Poller.Glance]; empty if its text says all.
func Hint(err error) string {
	if e, ok := errors.AsType[*hintError](err); ok {
		return e.hint
	}
	return ""
}

// checkEndpoint ends hints about answers that are not the service's.
const checkEndpoint = "check ROOMWATCH_ENDPOINT, and the proxy in HTTPS_PROXY, HTTP_PROXY and NO_PROXY"

// hintOf returns the hint for the error of a request.
func (e Endpoint) hintOf(err error) string {
	if api, ok := errors.AsType[*APIError](err); ok {
		if api.Class == Retry || api.Class == Throttle {
			return "the service answers with an error of its own; requests are retried for ever. If it lasts, give the RequestId to the vendor's support"
		}
		return ""
	}
	if status, ok := errors.AsType[statusError](err); ok {
		return status.hint()
	}
	if errors.Is(err, errMarkup) || errors.Is(err, errNotHTTP) {
		return "another server than the service answers, such as a proxy or a login page: " + checkEndpoint
	}
	var (
		dns     *net.DNSError
		unknown x509.UnknownAuthorityError
		cert    *tls.CertificateVerificationError
		op      *net.OpError
	)
	switch {
	case errors.As(err, &dns):
		return fmt.Sprintf("the name of %s cannot be resolved: check ROOMWATCH_ENDPOINT and the DNS of this machine", e)
	case errors.As(err, &unknown), errors.As(err, &cert):
		return "the certificate is not trusted: if a proxy opens TLS, add its CA to this machine's, or name the file in SSL_CERT_FILE; else " + checkEndpoint
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &op):
		return fmt.Sprintf("see that this machine can reach %s through its firewall, and that the proxy in HTTPS_PROXY, HTTP_PROXY and NO_PROXY is right; requests are retried for ever", e)
	}
	return ""
}

// hint tells what such a status means: the service answers with 200, always.
func (e statusError) hint() string {
	switch {
	case e == http.StatusUnauthorized || e == http.StatusForbidden || e == http.StatusUnavailableForLegalReasons:
		return "a proxy or a firewall refuses the request, or the service refuses the address of this machine: let them allow it, and " + checkEndpoint
	case e == http.StatusProxyAuthRequired:
		return "the proxy asks for a password: set HTTPS_PROXY or HTTP_PROXY to http://user:password@host:port"
	case e == http.StatusTooManyRequests:
		return "the service or a proxy asks for fewer requests; the rate is lowered for a while by itself"
	case e < 500:
		return "another server than the service answers, such as a proxy or a login page: " + checkEndpoint
	}
	return "the service, or a proxy before it, fails; requests are retried for ever. If it lasts, " + checkEndpoint
}
