package rules

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Web is what requests to a target have besides its URL.
type Web struct {
	Username string            // of basic authentication
	Password string            //
	Headers  map[string]string // by name
	Values   map[string]string // that the body shows
	CA       string            // certificates in PEM that are trusted instead of the system's; empty: those
	Proxy    string            // URL; [NoProxy]; empty: as the environment says
}

// NoProxy as the proxy of a target means that it is reached without one.
const NoProxy = "none"

var (
	headerName = regexp.MustCompile("^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")
	valueName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

	// secretName are names whose values are secrets.
	secretName = regexp.MustCompile(`(?i)auth|cookie|token|secret|pass|key|credential|signature`)
)

// ownHeaders are those that a rule file cannot set.
var ownHeaders = []string{
	"Host", "Content-Length", "Transfer-Encoding", "Connection", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Te", "Trailer", "Upgrade", "Expect",
	"Accept-Encoding", "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature",
}

func (t *Target) checkWeb(p *problems) {
	hook := t.Kind == "webhook"
	p.add(hook || t.Body == "" && len(t.Values) == 0, t.at(), "target %s: body and values are for webhook only: remove them", t.Name)
	p.add(t.generic() || len(t.Headers) == 0, t.at("headers"), "target %s: headers are for webhook and alertmanager only: remove them", t.Name)
	p.add(t.generic() || t.Kind == "email" || t.Username == "" && t.Password == "", t.at("username"), "target %s: username and password are for webhook, alertmanager and email only: remove them", t.Name)
	p.add(t.Body != "" || len(t.Values) == 0, t.at("values"), "target %s: values are for a body, and there is none: write a body, or remove them", t.Name)
	p.add((t.Username == "") == (t.Password == ""), t.at("username"), "target %s: username and password go together: write both"+t.orToken(), t.Name)
	p.add(t.Username == "" || t.Token == "", t.at("token"), "target %s: token and username are two ways to authenticate: write one of them", t.Name)
	p.add(t.Kind == "email" || !strings.Contains(t.Username, ":"), t.at("username"), "target %s: username has a colon, which basic authentication does not allow: use another user, or token", t.Name)
	p.add(t.Kind == "telegram" || !control(t.Token), t.at("token"), "target %s: token has more than one line, or a control character: write it on one line", t.Name)
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		t.checkHeader(p, name)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Values)) {
		p.add(valueName.MatchString(name), t.at("values", name), "target %s: values: %q: a name has letters, digits and _, so that the body can say .Values.%s", t.Name, name, "name")
	}
	if err := checkCA(t.CA); err != nil && t.caFile != "" {
		p.add(false, t.at("ca_file"), "target %s: ca_file: %s: %w", t.Name, t.caFile, err)
	}
	if t.Proxy != "" && t.Proxy != NoProxy {
		u, err := url.Parse(t.Proxy)
		p.add(err == nil && u.Hostname() != "" && slices.Contains([]string{"http", "https", "socks5", "socks5h"}, u.Scheme), t.at("proxy"),
			"target %s: proxy is no URL that roomnotify can use: write http://host:port, https:// or socks5://, or none", t.Name)
	}
}

func (t *Target) checkHeader(p *problems, name string) {
	bad := func(ok bool, format string, args ...any) {
		p.add(ok, t.at("headers", name), "target %s: headers: %w", t.Name, fmt.Errorf(format, args...))
	}
	if !headerName.MatchString(name) {
		bad(false, "%q is not a name of a header: write one such as X-Api-Key", name)
		return
	}
	own := http.CanonicalHeaderKey(name)
	bad(!slices.Contains(ownHeaders, own), "%s is set by roomnotify: remove it", own)
	bad(own != "Authorization" || t.Token == "" && t.Username == "", "Authorization is made from token or username: remove it, or remove them")
	for other := range t.Headers {
		bad(other <= name || http.CanonicalHeaderKey(other) != own, "%s and %s are the same header: write one of them", name, other)
	}
	bad(!control(t.Headers[name]), "the value of %s has more than one line, or a control character: write it on one line", own)
}

// control reports whether a text cannot be a value of a header.
func control(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// checkCA looks whether a text has certificates, and each can be read.
func checkCA(text string) error {
	const fix = "write the path of a file that begins with -----BEGIN CERTIFICATE-----"
	rest, found := []byte(text), 0
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return fmt.Errorf("it has a %s, and may have only certificates: %s", strings.ToLower(block.Type), fix)
		}
		found++
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return fmt.Errorf("its certificate %d cannot be read: %w: get it again from its issuer", found, err)
		}
	}
	if found == 0 {
		return errors.New("it has no certificate in PEM: " + fix)
	}
	return nil
}

// Roots returns the certificates that the target trusts; nil means the system's.
func (t *Target) Roots() *x509.CertPool {
	if t.CA == "" {
		return nil
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM([]byte(t.CA)) // they were checked
	return pool
}

// ShownValues returns the values of the body with another text for those that are
// secret, so that none is shown whatever the body makes of it.
func (t *Target) ShownValues(hidden string) map[string]string {
	shown := maps.Clone(t.Values)
	for name, v := range shown {
		if !slices.Contains(t.written, v) {
			shown[name] = hidden
		}
	}
	return shown
}

// Secrets returns what must not be shown of the target, the longest first.
func (t *Target) Secrets() []string {
	list := []string{t.Token, t.Password}
	if !t.openURL() {
		list = append(list, t.URL)
	}
	if u, err := url.Parse(t.URL); err == nil {
		list = append(list, u.RequestURI(), u.Path, u.RawQuery)
	}
	if u, err := url.Parse(t.Proxy); err == nil && u.User != nil {
		password, _ := u.User.Password()
		list = append(list, t.Proxy, u.User.String(), u.User.Username(), password)
	}
	list = append(list, strings.Fields(t.Secret)...)
	if t.Username != "" {
		list = append(list, t.Username, base64.StdEncoding.EncodeToString([]byte(t.Username+":"+t.Password)))
		list = append(list, t.loginSecrets()...)
	}
	for _, m := range []map[string]string{t.Headers, t.Values} {
		for _, v := range m {
			list = append(list, v)
			for word := range strings.FieldsSeq(v) { // such as what follows Bearer
				if len(word) > 7 {
					list = append(list, word)
				}
			}
		}
	}
	list = slices.DeleteFunc(list, func(s string) bool { return len(s) < 4 || slices.Contains(t.written, s) })
	for _, s := range list {
		quoted := strconv.Quote(s)
		list = append(list, quoted[1:len(quoted)-1], url.QueryEscape(s), url.PathEscape(s))
	}
	slices.SortFunc(list, func(a, b string) int { return len(b) - len(a) })
	return slices.Compact(list)
}
