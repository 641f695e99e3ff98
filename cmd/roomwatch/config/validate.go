package config

import (
	"errors"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/internal/serve"
	"roomwatch/cmd/roomwatch/tracing"
	"roomwatch/diff"
	"roomwatch/poller"
	"roomwatch/publisher/lease"
	"roomwatch/publisher/streams"
)

// minAge is the shortest age that NATS takes for a stream.
const minAge = 100 * time.Millisecond

// Validate returns every problem that `run` would have with the values.
func (c *Config) Validate() error {
	var p environ.Problems
	c.validateSigner(&p)
	endpoint, err := poller.ParseEndpoint(c.Endpoint)
	p.Add(err == nil, "ROOMWATCH_ENDPOINT: %w", err)
	switch r := c.RequestsPerSecond; {
	case !(r > 0) || math.IsInf(r, 1): // so that NaN is refused too
		p.Add(false, "ROOMWATCH_REQUESTS_PER_SECOND is %v: set a rate above 0, such as 9.5", r)
	case err == nil && endpoint.Vendor():
		p.Add(r <= 10, "ROOMWATCH_REQUESTS_PER_SECOND is %v: the vendor allows 10 in any second; set 9.5, or less if others call for the application too", r)
	}
	switch r := c.PointReadsPerSecond; {
	case !(r >= 0) || math.IsInf(r, 1):
		p.Add(false, "ROOMWATCH_POINT_READS_PER_SECOND is %v: set a rate such as 50, or 0 for no point reads", r)
	case err == nil && endpoint.Vendor():
		p.Add(r <= 200, "ROOMWATCH_POINT_READS_PER_SECOND is %v: the vendor allows 200 in any second; set 200, or less if others call for the application too", r)
	}
	p.Add(c.ProbeShare >= 0 && c.ProbeShare <= 0.5, "ROOMWATCH_PROBE_SHARE is %v: set 0 to 0.5", c.ProbeShare)
	p.Add(c.RequestTimeout > 0, "ROOMWATCH_REQUEST_TIMEOUT is %s: set a time above 0s", c.RequestTimeout)
	p.Add(c.Interval > 0, "ROOMWATCH_INTERVAL is %s: set a time above 0s", c.Interval)
	c.validateDetection(&p)
	c.validateStream(&p)
	c.validateSurroundings(&p)
	return errors.Join(append(p, c.ValidateNATS(), tracing.Check())...)
}

// ValidateNATS returns every problem that a connection to NATS would have with
// the values.
func (c *Config) ValidateNATS() error {
	var p environ.Problems
	p.Add(c.NATSPort >= 0 && c.NATSPort <= 65535, "ROOMWATCH_NATS_PORT is %d: set 0 to 65535", c.NATSPort)
	return errors.Join(append(p, c.Connection(nil).Check())...)
}

func (c *Config) validateDetection(p *environ.Problems) {
	for _, e := range c.Events {
		p.Add(IsEventType(e), "ROOMWATCH_EVENTS names %q: choose from %s", e, EventTypes())
		byReads := diff.Type(e) == diff.RoomHidden || diff.Type(e) == diff.RoomShown
		p.Add(!byReads || c.PointReadsPerSecond != 0, "ROOMWATCH_EVENTS names %q and ROOMWATCH_POINT_READS_PER_SECOND is 0: only point reads find a hidden room; set a rate, or leave the event out", e)
	}
	p.Add(c.Baseline == "publish" || c.Baseline == "silent", "ROOMWATCH_BASELINE is %q: set publish or silent", c.Baseline)
	p.Add(c.AbsentSweeps >= 1, "ROOMWATCH_ABSENT_SWEEPS is %d: set at least 1", c.AbsentSweeps)
	p.Add(c.MassEndPercent >= 0 && c.MassEndPercent <= 100, "ROOMWATCH_MASS_END_PERCENT is %v: set 0 to 100", c.MassEndPercent)
	p.Add(c.MassEndSweeps >= 1, "ROOMWATCH_MASS_END_SWEEPS is %d: set at least 1", c.MassEndSweeps)
	p.Add(c.ViewCountMinChange >= 1, "ROOMWATCH_VIEWCOUNT_MIN_CHANGE is %d: set at least 1", c.ViewCountMinChange)
	p.Add(c.ViewCountMinPercent >= 0 && !math.IsInf(c.ViewCountMinPercent, 1), "ROOMWATCH_VIEWCOUNT_MIN_PERCENT is %v: set 0 or more", c.ViewCountMinPercent)
	p.Add(c.ViewCountMinInterval >= 0, "ROOMWATCH_VIEWCOUNT_MIN_INTERVAL is %s: set 0s or more", c.ViewCountMinInterval)
}

func (c *Config) validateStream(p *environ.Problems) {
	p.Add(c.StreamReplicas >= 1 && c.StreamReplicas <= 5, "ROOMWATCH_STREAM_REPLICAS is %d: set 1 to 5", c.StreamReplicas)
	p.Add(c.StreamReplicas <= 1 || c.NATSURL != "", "ROOMWATCH_STREAM_REPLICAS is %d and NATS_URL is empty: set 1, for the embedded server is alone, or NATS_URL to a cluster", c.StreamReplicas)
	p.Add(c.StreamMaxAge == 0 || c.StreamMaxAge >= minAge, "ROOMWATCH_STREAM_MAX_AGE is %s: set at least %s, or 0s for no limit", c.StreamMaxAge, minAge)
	p.Add(c.StreamMaxBytes == 0 || c.StreamMaxBytes >= streams.LeastBytes,
		"ROOMWATCH_STREAM_MAX_BYTES is %d: set at least %d, which holds some hundred events, or unlimited", c.StreamMaxBytes, streams.LeastBytes)
	p.Add(!strings.ContainsAny(c.Stream, ".*>/\\") && isPlain(c.Stream),
		"ROOMWATCH_STREAM is %q: a stream's name has no spaces, control characters, dots, slashes or wildcards", c.Stream)
	if err := lease.Check(c.Lease); err != nil {
		p.Add(false, "ROOMWATCH_LEASE: %w; set such a time, or 0s for none", err)
	}
	p.Add(c.NATSURL != "" || c.Lease == 0 || !c.LeaseIsSet(), "ROOMWATCH_LEASE is %s and NATS_URL is empty: the embedded server serves one roomwatch alone; set 0s, or NATS_URL", c.Lease)
	p.Add(!strings.ContainsFunc(c.KVBucket, notInBucket), "ROOMWATCH_KV_BUCKET is %q: a bucket's name has letters, digits, _ and - alone, such as live_rooms", c.KVBucket)
	p.Add(!strings.ContainsAny(c.SubjectPrefix, "*>") && isPlain(c.SubjectPrefix) && !slices.Contains(strings.Split(c.SubjectPrefix, "."), ""),
		"ROOMWATCH_SUBJECT_PREFIX is %q: write subject tokens without spaces, control characters and wildcards", c.SubjectPrefix)
	p.Add(!strings.HasPrefix(c.SubjectPrefix, "$"), "ROOMWATCH_SUBJECT_PREFIX is %q: subjects with $ at the beginning are those of NATS; write another", c.SubjectPrefix)
	first, _, _ := strings.Cut(c.SubjectPrefix, ".")
	p.Add(first != "roomwatch" && !strings.HasPrefix(first, "_INBOX"),
		"ROOMWATCH_SUBJECT_PREFIX is %q: on subjects under %s questions are asked, which the stream would store and answer; write another", c.SubjectPrefix, first)
}

// notInBucket is the rule of NATS for the names of key-value buckets.
func notInBucket(r rune) bool {
	return r != '_' && r != '-' && (r > unicode.MaxASCII || !unicode.IsLetter(r) && !unicode.IsDigit(r))
}

// isPlain reports whether a name has no spaces, no control characters and no
// bytes that are no text.
func isPlain(name string) bool {
	return utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

func (c *Config) validateSurroundings(p *environ.Problems) {
	c.http().Check(p)
	c.validateWebhook(p)
	p.Add(c.LogFormat == "text" || c.LogFormat == "json", "ROOMWATCH_LOG_FORMAT is %q: set text or json", c.LogFormat)
}

func (c *Config) validateWebhook(p *environ.Problems) {
	token, err := c.webhookToken()
	p.Add(err == nil, "ROOMWATCH_WEBHOOK_TOKEN_FILE: %w; name a file that holds the token and that roomwatch may read", err)
	p.Add(c.WebhookToken == "" || c.WebhookTokenFile == "", "ROOMWATCH_WEBHOOK_TOKEN and ROOMWATCH_WEBHOOK_TOKEN_FILE are both set: set one of them")
	if c.WebhookAddr == "off" {
		return
	}
	p.Add(serve.IsAddr(c.WebhookAddr), "ROOMWATCH_WEBHOOK_ADDR is %q: write host:port with a port of at most 65535, or off", c.WebhookAddr)
	p.Add(c.WebhookAddr != c.HTTPAddr || strings.HasSuffix(c.WebhookAddr, ":0"), "ROOMWATCH_WEBHOOK_ADDR and ROOMWATCH_HTTP_ADDR are both %q: strangers reach the first; set another port", c.WebhookAddr)
	p.Add(err != nil || token != "", "ROOMWATCH_WEBHOOK_ADDR is set without a token: set ROOMWATCH_WEBHOOK_TOKEN or ROOMWATCH_WEBHOOK_TOKEN_FILE to the one of the vendor's console, or everyone could call")
	p.Add(c.PointReadsPerSecond != 0, "ROOMWATCH_WEBHOOK_ADDR is set and ROOMWATCH_POINT_READS_PER_SECOND is 0: a callback only says which room to read; set a rate, or the address to off")
}

// IsEventType reports whether t is a type of events.
func IsEventType(t string) bool { return slices.Contains(diff.Types(), diff.Type(t)) }

// EventTypes lists the types of events.
func EventTypes() string {
	var names []string
	for _, t := range diff.Types() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}
