// Package environ reads the configuration of the commands from environment
// variables: what all of them do alike.
//
// A configuration is a struct; the tags of its fields, and of the structs that
// are embedded in it, name the variable (envconfig), its default and its meaning
// (desc).
package environ

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kelseyhightower/envconfig"

	"roomwatch/publisher"
)

// A Secret is never printed.
type Secret string

// Format hides the secret from every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "(secret)") }

// LogValue hides the secret from logs.
func (Secret) LogValue() slog.Value { return slog.StringValue("(secret)") }

// ReadSecret returns what is in a file, without the white space around it.
func ReadSecret(file string) (Secret, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	k := strings.TrimSpace(string(b))
	if k == "" {
		return "", fmt.Errorf("%s is empty", file)
	}
	return Secret(k), nil
}

// NATS are the variables that say who asks NATS. Where NATS is, each command
// says for itself.
type NATS struct {
	NATSCreds    string `envconfig:"NATS_CREDS" desc:"credentials file"`
	NATSNKey     string `envconfig:"NATS_NKEY" desc:"file that holds an nkey seed"`
	NATSUser     string `envconfig:"NATS_USER" desc:"user name; without a password, a token"`
	NATSPassword Secret `envconfig:"NATS_PASSWORD" desc:"password of the user"`
	NATSToken    Secret `envconfig:"NATS_TOKEN" desc:"authentication token"`
	NATSCA       string `envconfig:"NATS_CA" desc:"TLS: file of the certificate authorities to trust"`
	NATSCert     string `envconfig:"NATS_CERT" desc:"TLS: file of the client's certificate"`
	NATSKey      string `envconfig:"NATS_KEY" desc:"TLS: file of the client's private key"`
}

// ConnectConfig returns what a connection to NATS at url needs.
func (n NATS) ConnectConfig(url string, log *slog.Logger) publisher.ConnectConfig {
	return publisher.ConnectConfig{
		URL: url, CredsFile: n.NATSCreds, NKeyFile: n.NATSNKey,
		User: n.NATSUser, Password: string(n.NATSPassword), Token: string(n.NATSToken),
		CAFile: n.NATSCA, CertFile: n.NATSCert, KeyFile: n.NATSKey, Log: log,
	}
}

// Load reads the environment into the struct that c points to. It returns every
// problem of form at once; whether the values make sense together is for the
// caller to say.
func Load(c any) error {
	return load(reflect.ValueOf(c).Elem())
}

func load(v reflect.Value) error {
	var errs []error
	for i := range v.NumField() {
		f := v.Type().Field(i)
		if f.Anonymous {
			errs = append(errs, load(v.Field(i)))
			continue
		}
		errs = append(errs, readField(f, v.Field(i)))
	}
	return errors.Join(errs...)
}

// readField lets envconfig read one variable alone: given the whole struct, it
// would stop at the first problem. A variable that is set to nothing, as
// container tools like to do, is as good as unset.
func readField(f reflect.StructField, v reflect.Value) error {
	name := f.Tag.Get("envconfig")
	if os.Getenv(name) == "" {
		f.Tag = reflect.StructTag(strings.Replace(string(f.Tag), name, name+"_IS_EMPTY", 1))
	}
	one := reflect.New(reflect.StructOf([]reflect.StructField{f}))
	err := envconfig.Process("", one.Interface())
	var pe *envconfig.ParseError
	if errors.As(err, &pe) {
		return fmt.Errorf("%s is %q: %s", name, pe.Value, expected(f.Type))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	v.Set(one.Elem().Field(0))
	return nil
}

// Expected is what a type of its own implements to say in words what a value of
// it looks like.
type Expected interface{ Expected() string }

func expected(t reflect.Type) string {
	if e, ok := reflect.Zero(t).Interface().(Expected); ok {
		return e.Expected()
	}
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "write a duration with its unit, such as 10s, 5m or 24h"
	case reflect.TypeFor[slog.Level]():
		return "write debug, info, warn or error"
	}
	switch t.Kind() {
	case reflect.Float64:
		return "write a number, such as 9.5"
	case reflect.Bool:
		return "write true or false"
	}
	return "write a whole number"
}

// PrintHelp prints every variable of a configuration with its type, default and meaning.
func PrintHelp(w io.Writer, c any) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	const rows = "VARIABLE\tTYPE\tDEFAULT\tMEANING\n{{range .}}{{usage_key .}}\t{{usage_type .}}\t{{usage_default .}}\t{{usage_description .}}\n{{end}}"
	if err := envconfig.Usagef("", c, t, rows); err != nil {
		return err
	}
	return t.Flush()
}
