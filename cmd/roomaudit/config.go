package main

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/internal/serve"
)

// errConfig marks what requires operator action: exit status 2.
var errConfig = errors.New("configuration")

// maxFileBytes is what even a machine that seals and compresses slowestSeal bytes in a second does
// before [ackWait] is over: meanwhile nothing is acknowledged. One second of processor time does 120 MB.
const (
	maxFileBytes = 512 << 20
	slowestSeal  = 2 << 20
)

// A config is every environment variable that roomaudit reads. The tags are
// what `roomaudit help config` prints.
type config struct {
	Dir           string         `envconfig:"ROOMAUDIT_DIR" default:"audit" desc:"the directory of the trail; created if it does not exist"`
	MaxFileBytes  int64          `envconfig:"ROOMAUDIT_MAX_FILE_BYTES" default:"67108864" desc:"size at which a file is sealed and compressed (4096 to 536870912); a file is sealed at the end of its day (UTC), too"`
	Keep          time.Duration  `envconfig:"ROOMAUDIT_KEEP" default:"0s" desc:"max age of a sealed file, then it is removed, on record; 0s: no limit, otherwise at least 24h"`
	SealedCommand string         `envconfig:"ROOMAUDIT_SEALED_COMMAND" desc:"shell command to run for each sealed file, in order, until it exits with status 0; SEALED_FILE is its path, SEALED_NUMBER its number, SEALED_LAST its last line as LINE:HASH"`
	SealedTimeout time.Duration  `envconfig:"ROOMAUDIT_SEALED_TIMEOUT" default:"10m" desc:"time limit of that command for one file (1s to 24h); then it is killed and retried"`
	SQLite        string         `envconfig:"ROOMAUDIT_SQLITE" desc:"a SQLite database that run keeps up to date, as export does, and that query and room use; empty: none"`
	KeyFile       string         `envconfig:"ROOMAUDIT_KEY_FILE" desc:"a file with an Ed25519 private key in PEM (openssl genpkey -algorithm ed25519), to sign sealed files; read for each seal"`
	Durable       string         `envconfig:"ROOMAUDIT_DURABLE" default:"roomaudit" desc:"the consumer that shows the position of the trail in NATS; one for each trail"`
	NATSURL       string         `envconfig:"NATS_URL" default:"nats://127.0.0.1:4222" desc:"NATS servers, comma separated"`
	Stream        string         `envconfig:"ROOMWATCH_STREAM" default:"LIVE" desc:"the stream of roomwatch"`
	HTTPAddr      string         `envconfig:"ROOMAUDIT_HTTP_ADDR" default:"127.0.0.1:8082" desc:"address of the health checks and metrics; off for none"`
	HTTPToken     environ.Secret `envconfig:"ROOMAUDIT_HTTP_TOKEN" desc:"bearer token for the metrics; required, this or its file, for an address that is not loopback"`
	HTTPTokenFile string         `envconfig:"ROOMAUDIT_HTTP_TOKEN_FILE" desc:"a file that holds the token; read before each use, so it can be replaced"`
	HTTPOpen      bool           `envconfig:"ROOMAUDIT_HTTP_OPEN" default:"false" desc:"true: everyone who can reach the address may read, without a token"`
	LogLevel      slog.Level     `envconfig:"ROOMAUDIT_LOG_LEVEL" default:"info" desc:"debug, info, warn or error"`
	LogFormat     string         `envconfig:"ROOMAUDIT_LOG_FORMAT" default:"text" desc:"text or json"`

	environ.NATS
}

// configured reads the environment. The error names every problem at once.
func configured() (*config, error) {
	c := &config{}
	errs := []error{environ.Load(c)}
	add := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	add(c.MaxFileBytes >= 4096 && c.MaxFileBytes <= maxFileBytes, "ROOMAUDIT_MAX_FILE_BYTES is %d: set 4096 to %d", c.MaxFileBytes, maxFileBytes)
	add(c.Keep == 0 || c.Keep >= 24*time.Hour, "ROOMAUDIT_KEEP is %s: set 0s, or at least 24h", c.Keep)
	add(c.SealedTimeout >= time.Second && c.SealedTimeout <= 24*time.Hour, "ROOMAUDIT_SEALED_TIMEOUT is %s: set 1s to 24h", c.SealedTimeout)
	add(!strings.ContainsAny(c.Durable, " \t\r\n.*>/\\"), "ROOMAUDIT_DURABLE is %q: write a name without blanks, dots, stars and slashes", c.Durable)
	add(c.LogFormat == "text" || c.LogFormat == "json", "ROOMAUDIT_LOG_FORMAT is %q: set text or json", c.LogFormat)
	var http environ.Problems
	c.http().Check(&http)
	errs = append(errs, http.Err())
	if err := errors.Join(errs...); err != nil {
		if names := unknownVariables(); names != "" {
			err = fmt.Errorf("%w\nunknown variables, perhaps misspelt: %s", err, names)
		}
		return nil, fmt.Errorf("%w:\n%w\n`roomaudit help config` lists every variable", errConfig, err)
	}
	return c, nil
}

// read is [configured] for a command that ends by itself. It says which variables are
// none of roomaudit: a misspelt ROOMAUDIT_DIR would have it read another directory.
func read(cmd *cobra.Command) (*config, error) {
	c, err := configured()
	if names := unknownVariables(); err == nil && names != "" {
		_, err = fmt.Fprintf(cmd.ErrOrStderr(), "unknown variables, perhaps misspelt: %s; `roomaudit help config` lists every variable\n", names)
	}
	return c, err
}

// prefix begins the names of roomaudit's own variables.
const prefix = "ROOMAUDIT_"

func unknownVariables() string { return environ.Unknown(&config{}, prefix) }

func (c *config) http() serve.Settings {
	return serve.Settings{Program: "roomaudit", Addr: c.HTTPAddr, Token: c.HTTPToken, TokenFile: c.HTTPTokenFile, Open: c.HTTPOpen}
}

func (c *config) logger(w io.Writer) *slog.Logger { return environ.Logger(w, c.LogLevel, c.LogFormat) }
