package tracing

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// The library tells a value that it cannot read, logs it and continues without it:
// spans would go to another place, or be refused forever. So the variables are
// looked at before, and a wrong one is named without its value, which may be a
// secret.

const otlp = "OTEL_EXPORTER_OTLP_"

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")

// A form says whether a value is right, and what to write if it is not.
type form struct {
	is  func(string) bool
	fix string
}

var (
	wholeNumber = form{func(v string) bool { _, err := strconv.Atoi(v); return err == nil }, "write a whole number"}
	trueOrFalse = oneOf("true", "false")
)

func oneOf(values ...string) form {
	return form{func(v string) bool { return slices.Contains(values, strings.ToLower(v)) }, "write " + strings.Join(values, " or ")}
}

// otelForms are the variables that the library reads, and their forms.
func otelForms() map[string]form {
	forms := map[string]form{
		"OTEL_SDK_DISABLED":        trueOrFalse,
		"OTEL_TRACES_SAMPLER":      oneOf("always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"),
		"OTEL_TRACES_SAMPLER_ARG":  {func(v string) bool { f, err := strconv.ParseFloat(v, 64); return err == nil && f >= 0 && f <= 1 }, "write a number from 0 to 1"},
		"OTEL_RESOURCE_ATTRIBUTES": {func(v string) bool { _, err := pairs(v); return err == nil }, "write key=value, separated by commas; % begins an escape such as %20"},
	}
	for _, name := range []string{
		"BSP_SCHEDULE_DELAY", "BSP_EXPORT_TIMEOUT", "BSP_MAX_QUEUE_SIZE", "BSP_MAX_EXPORT_BATCH_SIZE",
		"ATTRIBUTE_COUNT_LIMIT", "ATTRIBUTE_VALUE_LENGTH_LIMIT", "SPAN_ATTRIBUTE_COUNT_LIMIT", "SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
		"SPAN_EVENT_COUNT_LIMIT", "SPAN_LINK_COUNT_LIMIT", "EVENT_ATTRIBUTE_COUNT_LIMIT", "LINK_ATTRIBUTE_COUNT_LIMIT",
	} {
		forms["OTEL_"+name] = wholeNumber
	}
	for _, prefix := range []string{otlp, otlp + "TRACES_"} {
		maps.Copy(forms, map[string]form{
			prefix + "ENDPOINT":           {isCollector, "write http://host:4318, or https"},
			prefix + "HEADERS":            {func(v string) bool { h, err := pairs(v); return err == nil && areHeaders(h) }, "write name=value, separated by commas; % begins an escape such as %20"},
			prefix + "PROTOCOL":           {func(v string) bool { return v == "http/protobuf" }, "only http/protobuf is spoken, at port 4318 of a collector"},
			prefix + "TIMEOUT":            {wholeNumber.is, "write milliseconds, such as 10000"},
			prefix + "COMPRESSION":        oneOf("gzip", "none"),
			prefix + "INSECURE":           trueOrFalse,
			prefix + "CERTIFICATE":        {isAuthority, "name a PEM file of certificates that can be read"},
			prefix + "CLIENT_CERTIFICATE": {func(string) bool { return otelValue(prefix+"CLIENT_KEY") != "" }, "set " + prefix + "CLIENT_KEY, too"},
			prefix + "CLIENT_KEY": {func(v string) bool {
				_, err := tls.LoadX509KeyPair(otelValue(prefix+"CLIENT_CERTIFICATE"), v)
				return err == nil
			}, "name the PEM file of the private key of the certificate in " + prefix + "CLIENT_CERTIFICATE"},
		})
	}
	return forms
}

// otelValue returns the value of a variable as the library reads it.
func otelValue(name string) string { return strings.TrimSpace(os.Getenv(name)) }

// isTraced reports whether the environment says where spans go.
func isTraced() bool {
	return otelValue(otlp+"TRACES_ENDPOINT")+otelValue(otlp+"ENDPOINT") != "" && !strings.EqualFold(otelValue("OTEL_SDK_DISABLED"), "true")
}

// Check names each variable that the library could not read.
func Check() error {
	if !isTraced() {
		return nil
	}
	var errs []error
	forms := otelForms()
	for _, name := range slices.Sorted(maps.Keys(forms)) {
		if v := otelValue(name); v != "" && !forms[name].is(v) {
			errs = append(errs, fmt.Errorf("%s cannot be used: %s", name, forms[name].fix))
		}
	}
	return errors.Join(errs...)
}

func isCollector(v string) bool {
	u, err := url.Parse(v)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != ""
}

func isAuthority(path string) bool {
	b, err := os.ReadFile(path)
	return err == nil && x509.NewCertPool().AppendCertsFromPEM(b)
}

// pairs reads name=value, separated by commas. No value is in its error.
func pairs(list string) (map[string]string, error) {
	m := map[string]string{}
	for pair := range strings.SplitSeq(list, ",") {
		name, value, ok := strings.Cut(pair, "=")
		v, err := url.PathUnescape(value)
		if !ok || err != nil {
			return nil, errors.New("not name=value")
		}
		m[strings.TrimSpace(name)] = strings.TrimSpace(v)
	}
	return m, nil
}

// areHeaders reports whether HTTP can carry them.
func areHeaders(h map[string]string) bool {
	for name, value := range h {
		if !headerName.MatchString(name) || strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
			return false
		}
	}
	return true
}

// headers returns the headers of the requests. The library drops user and
// password of a URL; they become what any HTTP client makes of them.
func headers() map[string]string {
	h, err := pairs(firstOf(otlp+"TRACES_HEADERS", otlp+"HEADERS"))
	if err != nil {
		h = map[string]string{} // there are none
	}
	u, err := url.Parse(firstOf(otlp+"TRACES_ENDPOINT", otlp+"ENDPOINT"))
	if err != nil || u.User == nil || slices.ContainsFunc(slices.Collect(maps.Keys(h)), func(name string) bool { return strings.EqualFold(name, "Authorization") }) {
		return h
	}
	password, _ := u.User.Password()
	h["Authorization"] = "Basic " + base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password))
	return h
}

func firstOf(names ...string) string {
	for _, name := range names {
		if v := otelValue(name); v != "" {
			return v
		}
	}
	return ""
}

// secrets returns what must not be shown of the variables: each value of a
// header, also without a scheme such as Bearer, and what a URL has of a user.
func secrets() []string {
	var list []string
	for _, prefix := range []string{otlp, otlp + "TRACES_"} {
		for pair := range strings.SplitSeq(otelValue(prefix+"HEADERS"), ",") {
			_, value, _ := strings.Cut(pair, "=")
			list = append(list, strings.TrimSpace(value))
		}
		if u, err := url.Parse(otelValue(prefix + "ENDPOINT")); err == nil && u.User != nil {
			password, ok := u.User.Password()
			if !ok {
				password = u.User.Username()
			}
			list = append(list, u.User.String(), password)
		}
	}
	for _, value := range headers() {
		list = append(list, value)
	}
	for _, s := range list {
		if _, token, ok := strings.Cut(s, " "); ok {
			list = append(list, strings.TrimSpace(token))
		}
	}
	return list
}
