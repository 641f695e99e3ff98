package poller

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// An Endpoint is where the service is. The zero Endpoint stands for china.
type Endpoint struct {
	base   string // scheme://host[:port]
	vendor bool
}

// presets are the vendor's regions; an SDKAppID lives in exactly one of them.
var presets = [...]struct{ name, domain string }{
	{"china", "console.tim.qq.com"},
	{"singapore", "adminapisgp.im.qcloud.com"},
	{"silicon-valley", "adminapiusa.im.qcloud.com"},
	{"jakarta", "adminapiidn.im.qcloud.com"},
	{"seoul", "adminapikr.im.qcloud.com"},
	{"tokyo", "adminapijpn.im.qcloud.com"},
	{"frankfurt", "adminapiger.im.qcloud.com"},
}

// vendorDomains are the domains under which the vendor serves its API.
var vendorDomains = [...]string{"tim.qq.com", "im.qcloud.com", "my-imcloud.com"}

// ParseEndpoint reads the name of a region or a base URL, http(s)://host[:port].
// The error names the value without what may be secret in it, what is wrong
// with it, and what to write instead.
func ParseEndpoint(s string) (Endpoint, error) {
	for _, p := range presets {
		if s == p.name {
			return Endpoint{base: "https://" + p.domain, vendor: true}, nil
		}
	}
	u, err := parseBase(s)
	if err != nil {
		return Endpoint{}, fmt.Errorf("endpoint %q: %w; use %s, or a base URL such as http://127.0.0.1:9000",
			withoutSecrets(s), err, strings.Join(presetNames(), ", "))
	}
	host := strings.ToLower(strings.TrimRight(u.Hostname(), "."))
	return Endpoint{
		base: u.Scheme + "://" + u.Host,
		vendor: slices.ContainsFunc(vendorDomains[:], func(d string) bool {
			return host == d || strings.HasSuffix(host, "."+d)
		}),
	}, nil
}

// Vendor reports whether the endpoint is the vendor's own, whose limit of ten
// requests a second holds.
func (e Endpoint) Vendor() bool { return e.vendor || e.base == "" }

// String returns the base URL.
func (e Endpoint) String() string {
	if e.base == "" {
		return "https://" + presets[0].domain
	}
	return e.base
}

func parseBase(s string) (*url.URL, error) {
	if !strings.Contains(s, "://") {
		return nil, errors.New("neither a region nor a URL")
	}
	u, err := url.Parse(s)
	if err != nil {
		// The text of a *url.Error repeats the value.
		if e, ok := errors.AsType[*url.Error](err); ok && !strings.ContainsAny(s, "@?") {
			err = e.Err
		} else {
			err = errors.New("not a URL")
		}
		return nil, err
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("scheme is neither http nor https")
	case u.Hostname() == "":
		return nil, errors.New("host is missing")
	case !validPort(u):
		return nil, errors.New("port is not a number from 1 to 65535")
	case u.User != nil:
		return nil, errors.New("user and password have no place in it")
	case u.Path != "" && u.Path != "/":
		return nil, errors.New("a path has no place in it")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, errors.New("parameters have no place in it")
	}
	return u, nil
}

func validPort(u *url.URL) bool {
	if u.Port() == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && n > 0
}

// withoutSecrets cuts parameters and user from a value: someone may have pasted
// a whole request URL with its signature.
func withoutSecrets(s string) string {
	if i := strings.IndexAny(s, "?#"); i >= 0 {
		s = s[:i] + "…"
	}
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = "…" + s[i:]
	}
	return s
}

func presetNames() []string {
	names := make([]string, len(presets))
	for i, p := range presets {
		names[i] = p.name
	}
	return names
}
