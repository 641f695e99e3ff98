package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"time"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/internal/serve"
	"roomwatch/cmd/roomnotify/rules"
	"roomwatch/publisher/streams"
)

// errConfig marks what requires operator action: exit status 2.
var errConfig = errors.New("configuration")

// A config is every environment variable that roomnotify reads, besides those
// that the rule file names.
type config struct {
	Rules         string         `envconfig:"ROOMNOTIFY_RULES" default:"rules.yaml" desc:"the rule file; --rules overrides it"`
	Name          string         `envconfig:"ROOMNOTIFY_NAME" default:"notify" desc:"prefix of the durables and subjects of this installation; its stream is the name in capitals"`
	Replicas      int            `envconfig:"ROOMNOTIFY_STREAM_REPLICAS" default:"1" desc:"replicas of the stream that roomnotify makes"`
	MaxAge        time.Duration  `envconfig:"ROOMNOTIFY_STREAM_MAX_AGE" default:"720h" desc:"max age of messages in that stream: held notifications, dead letters and sent milestones"`
	MaxBytes      environ.Bytes  `envconfig:"ROOMNOTIFY_STREAM_MAX_BYTES" default:"unlimited" desc:"max size of that stream in bytes, at least 65536, or unlimited; when it is full, events wait in the event stream"`
	NATSURL       string         `envconfig:"NATS_URL" default:"nats://127.0.0.1:4222" desc:"NATS servers, comma separated"`
	Stream        string         `envconfig:"ROOMWATCH_STREAM" default:"LIVE" desc:"the stream of roomwatch"`
	Prefix        string         `envconfig:"ROOMWATCH_SUBJECT_PREFIX" default:"live" desc:"first token of its subjects"`
	HTTPAddr      string         `envconfig:"ROOMNOTIFY_HTTP_ADDR" default:"127.0.0.1:8081" desc:"address of the health checks and metrics; off for none"`
	HTTPToken     environ.Secret `envconfig:"ROOMNOTIFY_HTTP_TOKEN" desc:"bearer token for the metrics; required, this or its file, for an address that is not loopback"`
	HTTPTokenFile string         `envconfig:"ROOMNOTIFY_HTTP_TOKEN_FILE" desc:"a file that holds the token; read before each use, so it can be replaced"`
	HTTPOpen      bool           `envconfig:"ROOMNOTIFY_HTTP_OPEN" default:"false" desc:"true: everyone who can reach the address may read, without a token"`
	LogLevel      slog.Level     `envconfig:"ROOMNOTIFY_LOG_LEVEL" default:"info" desc:"debug, info, warn or error"`
	LogFormat     string         `envconfig:"ROOMNOTIFY_LOG_FORMAT" default:"text" desc:"text or json"`

	environ.NATS
}

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// configured reads the environment and the rule file. The error names every
// problem at once.
func configured(rulesFlag string) (*config, *rules.File, error) {
	c := &config{}
	errs := []error{environ.Load(c)}
	add := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	add(nameForm.MatchString(c.Name), "ROOMNOTIFY_NAME is %q: write small letters, digits and -", c.Name)
	add(c.Name != c.Prefix, "ROOMNOTIFY_NAME is %q, which is also the prefix of the events: choose another", c.Name)
	add(c.store().stream() != c.Stream, "ROOMNOTIFY_NAME is %q, and %s is the stream of the events: choose another", c.Name, c.Stream)
	add(c.Replicas >= 1 && c.Replicas <= 5, "ROOMNOTIFY_STREAM_REPLICAS is %d: set 1 to 5", c.Replicas)
	add(c.MaxAge >= time.Hour, "ROOMNOTIFY_STREAM_MAX_AGE is %s: set at least 1h", c.MaxAge)
	add(c.MaxBytes == 0 || c.MaxBytes >= streams.LeastBytes, "ROOMNOTIFY_STREAM_MAX_BYTES is %d: set at least %d, or unlimited", c.MaxBytes, streams.LeastBytes)
	add(c.LogFormat == "text" || c.LogFormat == "json", "ROOMNOTIFY_LOG_FORMAT is %q: set text or json", c.LogFormat)
	if rulesFlag != "" {
		c.Rules = rulesFlag
	}
	f, err := readRules(c.Rules)
	errs = append(errs, err)
	if err := errors.Join(errs...); err != nil {
		if names := unknownVariables(f); names != "" {
			err = fmt.Errorf("%w\nunknown variables, perhaps misspelt: %s", err, names)
		}
		return nil, nil, fmt.Errorf("%w:\n%w\n`roomnotify help config` and `roomnotify help rules` say what there is", errConfig, err)
	}
	return c, f, nil
}

// prefix begins the names of roomnotify's own variables.
const prefix = "ROOMNOTIFY_"

// unknownVariables takes a rule file, if there is one, for it names variables, too.
func unknownVariables(f *rules.File) string {
	if f == nil {
		return environ.Unknown(&config{}, prefix)
	}
	return environ.Unknown(&config{}, prefix, f.Variables...)
}

func readRules(path string) (*rules.File, error) {
	text, err := os.ReadFile(path) // the encoding is YAML's affair: it knows UTF-16
	if err != nil {
		return nil, fmt.Errorf("rule file: %w; name one that exists and that roomnotify may read, by --rules or ROOMNOTIFY_RULES", err)
	}
	f, err := rules.Parse(text, rules.Source{Lookup: os.LookupEnv, ReadFile: environ.ReadFile})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, nil
}

func (c *config) store() storeConfig {
	return storeConfig{name: c.Name, replicas: c.Replicas, maxAge: c.MaxAge, maxBytes: int64(c.MaxBytes)}
}

func (c *config) http() serve.Settings {
	return serve.Settings{Program: "roomnotify", Addr: c.HTTPAddr, Token: c.HTTPToken, TokenFile: c.HTTPTokenFile, Open: c.HTTPOpen}
}

// reader is what the stream of events is needed for.
func (c *config) reader() streams.Need { return streams.Reader(c.Stream, mostPending) }

// durable is under which name NATS keeps the position of a target in the events. A -
// of the installation's name is doubled, so that prod and eu-team are not prod-eu
// and team: no target begins with one.
func (c *config) durable(target string) string {
	return strings.ReplaceAll(c.Name, "-", "--") + "-" + target
}

func (c *config) logger(w io.Writer) *slog.Logger { return environ.Logger(w, c.LogLevel, c.LogFormat) }
