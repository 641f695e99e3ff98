// Package config has every environment variable of roomwatch: how it is read,
// what is wrong with its value, and what the parts of the program get from it.
package config

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"roomwatch/cmd/internal/environ"
)

// Prefix begins the names of roomwatch's own variables.
const Prefix = "ROOMWATCH_"

// ErrInvalid marks what requires operator action: exit status 2.
var ErrInvalid = errors.New("configuration")

// A Config is every environment variable that roomwatch reads. The tags are
// what `roomwatch help config` prints.
type Config struct {
	SDKAppID      int            `envconfig:"ROOMWATCH_SDKAPPID" desc:"the application; required by run and check, without it tail shows all"`
	Identifier    string         `envconfig:"ROOMWATCH_IDENTIFIER" default:"administrator" desc:"an App Administrator account of the application"`
	SecretKey     environ.Secret `envconfig:"ROOMWATCH_SECRET_KEY" desc:"the key that signs UserSigs; one of this, ROOMWATCH_USERSIG and their files is required"`
	SecretKeyFile string         `envconfig:"ROOMWATCH_SECRET_KEY_FILE" desc:"a file that holds the key; read before each use, so it can be replaced"`
	UserSig       environ.Secret `envconfig:"ROOMWATCH_USERSIG" desc:"a pre-generated UserSig, if the secret key must not be shared; replace it before it expires"`
	UserSigFile   string         `envconfig:"ROOMWATCH_USERSIG_FILE" desc:"a file that holds the UserSig; read before each use, so it can be replaced"`
	UserSigTTL    time.Duration  `envconfig:"ROOMWATCH_USERSIG_TTL" default:"24h" desc:"life of a signature that roomwatch makes, at least 1m"`

	Endpoint            string        `envconfig:"ROOMWATCH_ENDPOINT" default:"china" desc:"where the application lives: china, singapore, silicon-valley, jakarta, seoul, tokyo, frankfurt, or a base URL"`
	RequestsPerSecond   float64       `envconfig:"ROOMWATCH_REQUESTS_PER_SECOND" default:"9.5" desc:"rate of requests; the vendor allows 10 for all callers of the application together"`
	PointReadsPerSecond float64       `envconfig:"ROOMWATCH_POINT_READS_PER_SECOND" default:"50" desc:"rate of get_room_info, which proves the ends of rooms; the vendor allows 200; 0: none, and sweeps of the list alone decide"`
	ProbeShare          float64       `envconfig:"ROOMWATCH_PROBE_SHARE" default:"0.25" desc:"max part of the rate of requests that may go to places of the list where new rooms were found before, 0 to 0.5; without point reads it is 0"`
	RequestTimeout      time.Duration `envconfig:"ROOMWATCH_REQUEST_TIMEOUT" default:"5s" desc:"time for one request; the service's own limit is 3s"`
	Interval            time.Duration `envconfig:"ROOMWATCH_INTERVAL" default:"10s" desc:"from the start of one sweep to the start of the next, or at once if the sweep took longer"`

	Events               []string      `envconfig:"ROOMWATCH_EVENTS" default:"room.created,room.ended,viewcount.changed" desc:"what is published; room.updated, room.hidden and room.shown can be added"`
	Baseline             string        `envconfig:"ROOMWATCH_BASELINE" default:"publish" desc:"publish or silent: whether the rooms of the very first sweep become events"`
	AbsentSweeps         int           `envconfig:"ROOMWATCH_ABSENT_SWEEPS" default:"2" desc:"min complete sweeps in a row that must miss a room before it ends; more while the list shifts"`
	MassEndPercent       float64       `envconfig:"ROOMWATCH_MASS_END_PERCENT" default:"50" desc:"a sweep that misses a larger share of at least 20 known rooms is doubted"`
	MassEndSweeps        int           `envconfig:"ROOMWATCH_MASS_END_SWEEPS" default:"5" desc:"complete sweeps in a row that must agree before so many rooms end"`
	ViewCountMinChange   int64         `envconfig:"ROOMWATCH_VIEWCOUNT_MIN_CHANGE" default:"1" desc:"min difference from the last published count"`
	ViewCountMinPercent  float64       `envconfig:"ROOMWATCH_VIEWCOUNT_MIN_PERCENT" default:"0" desc:"min difference in percent of the last published count"`
	ViewCountMinInterval time.Duration `envconfig:"ROOMWATCH_VIEWCOUNT_MIN_INTERVAL" default:"0s" desc:"min time between viewcount.changed events of a room"`
	DataDir              string        `envconfig:"ROOMWATCH_DATA_DIR" default:"data" desc:"holds state.db and, for the embedded server, nats/"`
	NATSURL              string        `envconfig:"NATS_URL" desc:"NATS servers, comma separated; empty: an embedded JetStream server on 127.0.0.1"`
	NATSPort             int           `envconfig:"ROOMWATCH_NATS_PORT" default:"4222" desc:"port of the embedded server; 0: any free port"`

	environ.NATS

	Stream           string         `envconfig:"ROOMWATCH_STREAM" default:"LIVE" desc:"the JetStream stream; made if it does not exist, never altered"`
	SubjectPrefix    string         `envconfig:"ROOMWATCH_SUBJECT_PREFIX" default:"live" desc:"first token of every subject"`
	StreamReplicas   int            `envconfig:"ROOMWATCH_STREAM_REPLICAS" default:"1" desc:"replicas of a stream that roomwatch makes; more need a cluster"`
	StreamMaxAge     time.Duration  `envconfig:"ROOMWATCH_STREAM_MAX_AGE" default:"720h" desc:"how long a stream that roomwatch makes keeps events; 0s: no limit"`
	StreamMaxBytes   environ.Bytes  `envconfig:"ROOMWATCH_STREAM_MAX_BYTES" default:"unlimited" desc:"size in bytes of a stream that roomwatch makes, at least 65536, or unlimited; the oldest events go when it is full"`
	Lease            time.Duration  `envconfig:"ROOMWATCH_LEASE" default:"15s" desc:"how long a roomwatch that says nothing stays the writer while another stands by, 5s to 10m; 0s: no lease, a second one takes over at once. Set by hand it is demanded: where NATS does not allow it, roomwatch ends. Not with the embedded server"`
	KVBucket         string         `envconfig:"ROOMWATCH_KV_BUCKET" desc:"a key-value bucket, such as live_rooms, that NATS itself fills from the stream: the newest event of each room; empty: none"`
	HTTPAddr         string         `envconfig:"ROOMWATCH_HTTP_ADDR" default:"127.0.0.1:8080" desc:"address of the status page, API, health checks and metrics; off: none"`
	HTTPToken        environ.Secret `envconfig:"ROOMWATCH_HTTP_TOKEN" desc:"bearer token for HTTP access; this or its file is required if the address is not loopback"`
	HTTPTokenFile    string         `envconfig:"ROOMWATCH_HTTP_TOKEN_FILE" desc:"a file that holds the token; read before each use, so it can be replaced"`
	HTTPOpen         bool           `envconfig:"ROOMWATCH_HTTP_OPEN" default:"false" desc:"true: everyone who can reach the address may read, without a token"`
	WebhookAddr      string         `envconfig:"ROOMWATCH_WEBHOOK_ADDR" default:"off" desc:"address for the callbacks of the vendor, such as 0.0.0.0:8090; off: none"`
	WebhookToken     environ.Secret `envconfig:"ROOMWATCH_WEBHOOK_TOKEN" desc:"the token set at the vendor's console; this or its file is required where callbacks are received"`
	WebhookTokenFile string         `envconfig:"ROOMWATCH_WEBHOOK_TOKEN_FILE" desc:"a file that holds that token; read before each use, so it can be replaced"`

	LogLevel  slog.Level `envconfig:"ROOMWATCH_LOG_LEVEL" default:"info" desc:"debug, info, warn or error"`
	LogFormat string     `envconfig:"ROOMWATCH_LOG_FORMAT" default:"text" desc:"text or json"`
}

// Load reads the environment. It returns every problem of form at once; whether
// the values make sense together is for [Config.Validate] and its like to say.
func Load() (Config, error) {
	var c Config
	err := environ.Load(&c)
	for i, e := range c.Events {
		c.Events[i] = strings.TrimSpace(e)
	}
	return c, err
}

// Read reads the environment and checks it whole. The error is [ErrInvalid] and
// names every problem at once.
func Read(validate ...func(*Config) error) (Config, error) {
	c, err := Load()
	for _, v := range validate {
		err = errors.Join(err, v(&c))
	}
	if err != nil {
		if names := Unknown(); names != "" {
			err = fmt.Errorf("%w\nunknown variables, perhaps misspelt: %s", err, names)
		}
		return c, fmt.Errorf("%w:\n%w\n`roomwatch help config` lists every variable", ErrInvalid, err)
	}
	return c, nil
}

// Unknown returns what is set and looks like a variable of roomwatch, but is none.
func Unknown() string { return environ.Unknown(&Config{}, Prefix) }

// PrintHelp prints every variable with its type, default and meaning.
func PrintHelp(w io.Writer) error { return environ.PrintHelp(w, &Config{}) }
