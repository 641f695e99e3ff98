package main

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"roomwatch/cmd/internal/environ"
)

// errConfig marks what only a person can mend: exit status 2.
var errConfig = errors.New("configuration")

// A config is every environment variable that roomaudit reads. The tags are
// what `roomaudit help config` prints.
type config struct {
	Dir          string     `envconfig:"ROOMAUDIT_DIR" default:"audit" desc:"the directory of the trail, which is made if it does not exist"`
	MaxFileBytes int64      `envconfig:"ROOMAUDIT_MAX_FILE_BYTES" default:"67108864" desc:"a file that has grown to this is sealed and compressed, as is one whose day (UTC) is over"`
	KeyFile      string     `envconfig:"ROOMAUDIT_KEY_FILE" desc:"a file with an Ed25519 private key in PEM (openssl genpkey -algorithm ed25519), which signs sealed files"`
	Durable      string     `envconfig:"ROOMAUDIT_DURABLE" default:"roomaudit" desc:"the name under which NATS shows how far the trail has come; one for each trail"`
	NATSURL      string     `envconfig:"NATS_URL" default:"nats://127.0.0.1:4222" desc:"NATS servers, comma separated"`
	Stream       string     `envconfig:"ROOMWATCH_STREAM" default:"LIVE" desc:"the stream of roomwatch"`
	LogLevel     slog.Level `envconfig:"ROOMAUDIT_LOG_LEVEL" default:"info" desc:"debug, info, warn or error"`
	LogFormat    string     `envconfig:"ROOMAUDIT_LOG_FORMAT" default:"text" desc:"text or json"`

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
	add(c.MaxFileBytes >= 4096, "ROOMAUDIT_MAX_FILE_BYTES is %d: set at least 4096", c.MaxFileBytes)
	add(!strings.ContainsAny(c.Durable, " \t\r\n.*>/\\"), "ROOMAUDIT_DURABLE is %q: write a name without blanks, dots, stars and slashes", c.Durable)
	add(c.LogFormat == "text" || c.LogFormat == "json", "ROOMAUDIT_LOG_FORMAT is %q: set text or json", c.LogFormat)
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("%w:\n%w\n`roomaudit help config` lists every variable", errConfig, err)
	}
	return c, nil
}

func (c *config) logger(w io.Writer) *slog.Logger { return environ.Logger(w, c.LogLevel, c.LogFormat) }

// key reads the key that signs, or returns none if there is none.
func (c *config) key() (ed25519.PrivateKey, error) {
	if c.KeyFile == "" {
		return nil, nil
	}
	der, err := readPEM(c.KeyFile)
	if err == nil {
		var k any
		if k, err = x509.ParsePKCS8PrivateKey(der); err == nil {
			if key, ok := k.(ed25519.PrivateKey); ok {
				return key, nil
			}
			err = fmt.Errorf("it holds a key of type %T", k)
		}
	}
	mend := "name a file that roomaudit may read, with an Ed25519 private key in PEM"
	if errors.Is(err, os.ErrNotExist) { // or the advice would write over a key
		mend = "make one with `openssl genpkey -algorithm ed25519 -out " + c.KeyFile + "`"
	}
	return nil, fmt.Errorf("%w: ROOMAUDIT_KEY_FILE %s: %w; %s", errConfig, c.KeyFile, err, mend)
}

// publicKey reads the key that signatures are checked with.
func publicKey(path string) (ed25519.PublicKey, error) {
	der, err := readPEM(path)
	if err == nil {
		var k any
		if k, err = x509.ParsePKIXPublicKey(der); err == nil {
			if key, ok := k.(ed25519.PublicKey); ok {
				return key, nil
			}
			err = fmt.Errorf("it holds a key of type %T", k)
		}
	}
	return nil, fmt.Errorf("%w: --public-key %s: %w; make one from the private key with `openssl pkey -in key.pem -pubout -out public.pem`", errConfig, path, err)
}

func readPEM(path string) ([]byte, error) {
	b, err := environ.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(b)
	if block == nil {
		return nil, errors.New("it is not in PEM")
	}
	return block.Bytes, nil
}
