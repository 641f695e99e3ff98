package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"roomwatch/cmd/internal/environ"
	"roomwatch/diff"
	"roomwatch/poller"
	"roomwatch/publisher"
	"roomwatch/publisher/streams"
)

// errConfig marks what only a person can mend: exit status 2.
var errConfig = errors.New("configuration")

// leastAge is the shortest age that NATS takes for a stream.
const leastAge = 100 * time.Millisecond

// A secret is never printed.
type secret = environ.Secret

// A config is every environment variable that roomwatch reads. The tags are
// what `roomwatch help config` prints.
type config struct {
	SDKAppID      int           `envconfig:"ROOMWATCH_SDKAPPID" desc:"the application; required by run and check, without it tail shows all"`
	Identifier    string        `envconfig:"ROOMWATCH_IDENTIFIER" default:"administrator" desc:"an App Administrator account of the application"`
	SecretKey     secret        `envconfig:"ROOMWATCH_SECRET_KEY" desc:"the key that signs UserSigs; one of this, ROOMWATCH_USERSIG and their files is required"`
	SecretKeyFile string        `envconfig:"ROOMWATCH_SECRET_KEY_FILE" desc:"a file that holds the key; read before each use, so that it may be exchanged"`
	UserSig       secret        `envconfig:"ROOMWATCH_USERSIG" desc:"a ready UserSig, for who may not have the key; replace it before it expires"`
	UserSigFile   string        `envconfig:"ROOMWATCH_USERSIG_FILE" desc:"a file that holds the UserSig; read before each use, so that it may be exchanged"`
	UserSigTTL    time.Duration `envconfig:"ROOMWATCH_USERSIG_TTL" default:"24h" desc:"life of a signature that roomwatch makes, at least 1m"`

	Endpoint          string        `envconfig:"ROOMWATCH_ENDPOINT" default:"china" desc:"where the application lives: china, singapore, silicon-valley, jakarta, seoul, tokyo, frankfurt, or a base URL"`
	RequestsPerSecond float64       `envconfig:"ROOMWATCH_REQUESTS_PER_SECOND" default:"9.5" desc:"rate of requests; the vendor allows 10 for all callers of the application together"`
	RequestTimeout    time.Duration `envconfig:"ROOMWATCH_REQUEST_TIMEOUT" default:"5s" desc:"time for one request; the service's own limit is 3s"`
	Interval          time.Duration `envconfig:"ROOMWATCH_INTERVAL" default:"10s" desc:"from the start of one sweep to the start of the next, or at once if the sweep took longer"`

	Events               []string      `envconfig:"ROOMWATCH_EVENTS" default:"room.created,room.ended,viewcount.changed" desc:"what is published; room.updated can be added"`
	Baseline             string        `envconfig:"ROOMWATCH_BASELINE" default:"publish" desc:"publish or silent: whether the rooms of the very first sweep become events"`
	AbsentSweeps         int           `envconfig:"ROOMWATCH_ABSENT_SWEEPS" default:"2" desc:"complete sweeps in a row that must miss a room before it ends, at least; more while the list shifts"`
	MassEndPercent       float64       `envconfig:"ROOMWATCH_MASS_END_PERCENT" default:"50" desc:"a sweep that misses more of at least 20 known rooms is doubted"`
	MassEndSweeps        int           `envconfig:"ROOMWATCH_MASS_END_SWEEPS" default:"5" desc:"complete sweeps in a row that must agree before rooms end in such a mass"`
	ViewCountMinChange   int64         `envconfig:"ROOMWATCH_VIEWCOUNT_MIN_CHANGE" default:"1" desc:"least difference from the count last published"`
	ViewCountMinPercent  float64       `envconfig:"ROOMWATCH_VIEWCOUNT_MIN_PERCENT" default:"0" desc:"least difference in percent of the count last published"`
	ViewCountMinInterval time.Duration `envconfig:"ROOMWATCH_VIEWCOUNT_MIN_INTERVAL" default:"0s" desc:"least time between two viewcount.changed of a room"`
	DataDir              string        `envconfig:"ROOMWATCH_DATA_DIR" default:"data" desc:"holds state.db and, for the embedded server, nats/"`
	NATSURL              string        `envconfig:"NATS_URL" desc:"NATS servers, comma separated; empty: an embedded JetStream server on 127.0.0.1"`
	NATSPort             int           `envconfig:"ROOMWATCH_NATS_PORT" default:"4222" desc:"port of the embedded server; 0 for any free one"`

	environ.NATS

	Stream         string        `envconfig:"ROOMWATCH_STREAM" default:"LIVE" desc:"the JetStream stream; made if it does not exist, never altered"`
	SubjectPrefix  string        `envconfig:"ROOMWATCH_SUBJECT_PREFIX" default:"live" desc:"first token of every subject"`
	StreamReplicas int           `envconfig:"ROOMWATCH_STREAM_REPLICAS" default:"1" desc:"replicas of a stream that roomwatch makes; more need a cluster"`
	StreamMaxAge   time.Duration `envconfig:"ROOMWATCH_STREAM_MAX_AGE" default:"720h" desc:"how long a stream that roomwatch makes keeps events; 0s for ever"`
	StreamMaxBytes environ.Bytes `envconfig:"ROOMWATCH_STREAM_MAX_BYTES" default:"unlimited" desc:"size in bytes of a stream that roomwatch makes, at least 65536, or unlimited; the oldest events go when it is full"`
	HTTPAddr       string        `envconfig:"ROOMWATCH_HTTP_ADDR" default:"127.0.0.1:8080" desc:"address of the status page, API, probes and metrics; off for none"`
	HTTPToken      secret        `envconfig:"ROOMWATCH_HTTP_TOKEN" desc:"who sends it may read over HTTP; required, this or its file, for an address that is not loopback"`
	HTTPTokenFile  string        `envconfig:"ROOMWATCH_HTTP_TOKEN_FILE" desc:"a file that holds the token; read before each use, so that it may be exchanged"`
	HTTPOpen       bool          `envconfig:"ROOMWATCH_HTTP_OPEN" default:"false" desc:"true: all who reach the address may read, without a token"`
	LogLevel       slog.Level    `envconfig:"ROOMWATCH_LOG_LEVEL" default:"info" desc:"debug, info, warn or error"`
	LogFormat      string        `envconfig:"ROOMWATCH_LOG_FORMAT" default:"text" desc:"text or json"`
}

// loadConfig reads the environment. It returns every problem of form at once;
// whether the values make sense together is for the methods below to say.
func loadConfig() (config, error) {
	var c config
	err := environ.Load(&c)
	for i, e := range c.Events {
		c.Events[i] = strings.TrimSpace(e)
	}
	return c, err
}

// A problems list collects what is wrong with a configuration.
type problems []error

func (p *problems) add(ok bool, format string, args ...any) {
	if !ok {
		*p = append(*p, fmt.Errorf(format, args...))
	}
}

// validate returns every problem that `run` would have with the values.
func (c *config) validate() error {
	var p problems
	c.validateSigner(&p)
	endpoint, err := poller.ParseEndpoint(c.Endpoint)
	p.add(err == nil, "ROOMWATCH_ENDPOINT: %w", err)
	switch r := c.RequestsPerSecond; {
	case !(r > 0) || math.IsInf(r, 1): // so that NaN is refused too
		p.add(false, "ROOMWATCH_REQUESTS_PER_SECOND is %v: set a rate above 0, such as 9.5", r)
	case err == nil && endpoint.Vendor():
		p.add(r <= 10, "ROOMWATCH_REQUESTS_PER_SECOND is %v: the vendor allows 10 in any second; set 9.5, or less if others call for the application too", r)
	}
	p.add(c.RequestTimeout > 0, "ROOMWATCH_REQUEST_TIMEOUT is %s: set a time above 0s", c.RequestTimeout)
	p.add(c.Interval > 0, "ROOMWATCH_INTERVAL is %s: set a time above 0s", c.Interval)
	c.validateDetection(&p)
	c.validateStream(&p)
	c.validateSurroundings(&p)
	return errors.Join(append(p, c.validateNATS(), tracingProblems())...)
}

// validateNATS returns every problem that a connection to NATS would have with
// the values.
func (c *config) validateNATS() error {
	var p problems
	p.add(c.NATSPort >= 0 && c.NATSPort <= 65535, "ROOMWATCH_NATS_PORT is %d: set 0 to 65535", c.NATSPort)
	return errors.Join(append(p, c.connectConfig(nil).Check())...)
}

func (c *config) validateDetection(p *problems) {
	for _, e := range c.Events {
		p.add(isType(e), "ROOMWATCH_EVENTS names %q: choose from %s", e, typeList())
	}
	p.add(c.Baseline == "publish" || c.Baseline == "silent", "ROOMWATCH_BASELINE is %q: set publish or silent", c.Baseline)
	p.add(c.AbsentSweeps >= 1, "ROOMWATCH_ABSENT_SWEEPS is %d: set at least 1", c.AbsentSweeps)
	p.add(c.MassEndPercent >= 0 && c.MassEndPercent <= 100, "ROOMWATCH_MASS_END_PERCENT is %v: set 0 to 100", c.MassEndPercent)
	p.add(c.MassEndSweeps >= 1, "ROOMWATCH_MASS_END_SWEEPS is %d: set at least 1", c.MassEndSweeps)
	p.add(c.ViewCountMinChange >= 1, "ROOMWATCH_VIEWCOUNT_MIN_CHANGE is %d: set at least 1", c.ViewCountMinChange)
	p.add(c.ViewCountMinPercent >= 0 && !math.IsInf(c.ViewCountMinPercent, 1), "ROOMWATCH_VIEWCOUNT_MIN_PERCENT is %v: set 0 or more", c.ViewCountMinPercent)
	p.add(c.ViewCountMinInterval >= 0, "ROOMWATCH_VIEWCOUNT_MIN_INTERVAL is %s: set 0s or more", c.ViewCountMinInterval)
}

func (c *config) validateStream(p *problems) {
	p.add(c.StreamReplicas >= 1 && c.StreamReplicas <= 5, "ROOMWATCH_STREAM_REPLICAS is %d: set 1 to 5", c.StreamReplicas)
	p.add(c.StreamReplicas <= 1 || c.NATSURL != "", "ROOMWATCH_STREAM_REPLICAS is %d and NATS_URL is empty: set 1, for the embedded server is alone, or NATS_URL to a cluster", c.StreamReplicas)
	p.add(c.StreamMaxAge == 0 || c.StreamMaxAge >= leastAge, "ROOMWATCH_STREAM_MAX_AGE is %s: set at least %s, or 0s for ever", c.StreamMaxAge, leastAge)
	p.add(c.StreamMaxBytes == 0 || c.StreamMaxBytes >= streams.LeastBytes,
		"ROOMWATCH_STREAM_MAX_BYTES is %d: set at least %d, which holds some hundred events, or unlimited", c.StreamMaxBytes, streams.LeastBytes)
	p.add(!strings.ContainsAny(c.Stream, ".*>/\\") && isPlain(c.Stream),
		"ROOMWATCH_STREAM is %q: a stream's name has no spaces, control characters, dots, slashes or wildcards", c.Stream)
	p.add(!strings.ContainsAny(c.SubjectPrefix, "*>") && isPlain(c.SubjectPrefix) && !slices.Contains(strings.Split(c.SubjectPrefix, "."), ""),
		"ROOMWATCH_SUBJECT_PREFIX is %q: write subject tokens without spaces, control characters and wildcards", c.SubjectPrefix)
	p.add(!strings.HasPrefix(c.SubjectPrefix, "$"), "ROOMWATCH_SUBJECT_PREFIX is %q: subjects with $ at the beginning are those of NATS; write another", c.SubjectPrefix)
}

// isPlain reports whether a name has no spaces, no control characters and no
// bytes that are no text.
func isPlain(name string) bool {
	return utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) })
}

func (c *config) validateSurroundings(p *problems) {
	c.validateHTTP(p)
	p.add(c.LogFormat == "text" || c.LogFormat == "json", "ROOMWATCH_LOG_FORMAT is %q: set text or json", c.LogFormat)
}

func (c *config) statePath() string { return filepath.Join(c.DataDir, "state.db") }

func (c *config) policy() diff.Policy {
	p := diff.Policy{
		SilentBaseline: c.Baseline == "silent",
		MinChange:      c.ViewCountMinChange,
		MinPercent:     c.ViewCountMinPercent,
		MinInterval:    c.ViewCountMinInterval,
		Interval:       c.Interval,
		AbsentSweeps:   c.AbsentSweeps,
		MassEndPercent: c.MassEndPercent,
		MassEndSweeps:  c.MassEndSweeps,
	}
	for _, e := range c.Events {
		p.Publish = append(p.Publish, diff.Type(e))
	}
	return p
}

func (c *config) connectConfig(log *slog.Logger) publisher.ConnectConfig {
	return c.ConnectConfig("roomwatch", c.NATSURL, log)
}

func (c *config) logger(w io.Writer) *slog.Logger {
	return environ.Logger(w, c.LogLevel, c.LogFormat)
}

func isType(t string) bool { return slices.Contains(diff.Types(), diff.Type(t)) }

func typeList() string {
	var names []string
	for _, t := range diff.Types() {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}

// printConfigHelp prints every variable with its type, default and meaning.
func printConfigHelp(w io.Writer) error { return environ.PrintHelp(w, &config{}) }
