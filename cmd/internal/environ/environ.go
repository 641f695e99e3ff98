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
	"reflect"
	"strings"

	"github.com/kelseyhightower/envconfig"

	"roomwatch/publisher/natsconn"
)

// A Secret is never printed.
type Secret string

// Format hides the secret from every verb.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "(secret)") }

// LogValue hides the secret from logs.
func (Secret) LogValue() slog.Value { return slog.StringValue("(secret)") }

// NATS are the variables that say who asks NATS. Where NATS is, each command
// says for itself.
type NATS struct {
	NATSCreds        string `envconfig:"NATS_CREDS" desc:"credentials file; this file and those below are read before each connect"`
	NATSNKey         string `envconfig:"NATS_NKEY" desc:"file that holds an nkey seed"`
	NATSUser         string `envconfig:"NATS_USER" desc:"user name; without a password, a token"`
	NATSPassword     Secret `envconfig:"NATS_PASSWORD" desc:"password of the user"`
	NATSPasswordFile string `envconfig:"NATS_PASSWORD_FILE" desc:"file that holds the password"`
	NATSToken        Secret `envconfig:"NATS_TOKEN" desc:"authentication token"`
	NATSTokenFile    string `envconfig:"NATS_TOKEN_FILE" desc:"file that holds the token"`
	NATSCA           string `envconfig:"NATS_CA" desc:"TLS: file of the certificate authorities to trust"`
	NATSCert         string `envconfig:"NATS_CERT" desc:"TLS: file of the client's certificate"`
	NATSKey          string `envconfig:"NATS_KEY" desc:"TLS: file of the client's private key"`
	NATSDomain       string `envconfig:"NATS_JS_DOMAIN" desc:"JetStream domain, for leaf nodes; empty: that of the server; nats commands then need --js-domain"`
}

// Connection returns what a connection of a program to NATS at url needs. Each
// program has an inbox of its own, so that NATS can keep others from reading it.
func (n NATS) Connection(program, url string, log *slog.Logger) natsconn.Config {
	return natsconn.Config{
		Name: program, Inbox: "_INBOX_" + program, URL: url, CredsFile: n.NATSCreds, NKeyFile: n.NATSNKey,
		User: n.NATSUser, Password: string(n.NATSPassword), Token: string(n.NATSToken),
		PasswordFile: n.NATSPasswordFile, TokenFile: n.NATSTokenFile,
		CAFile: n.NATSCA, CertFile: n.NATSCert, KeyFile: n.NATSKey, Domain: n.NATSDomain, Log: log,
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

// Names returns the variables of a configuration.
func Names(c any) []string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(c).Elem()) {
		if !f.Anonymous {
			names = append(names, f.Tag.Get("envconfig"))
		}
	}
	return names
}

// readField lets envconfig read one variable alone: given the whole struct, it
// would stop at the first problem. What cannot be read keeps its default, so that
// who checks the values next does not blame it once more.
func readField(f reflect.StructField, v reflect.Value) error {
	name := f.Tag.Get("envconfig")
	unset := f
	unset.Tag = reflect.StructTag(strings.Replace(string(f.Tag), name, name+"_IS_EMPTY", 1))
	if Value(name) == "" {
		f = unset
	}
	read, err := process(f)
	if err != nil {
		read, _ = process(unset) // a default can be read
	}
	v.Set(read)
	var pe *envconfig.ParseError
	if errors.As(err, &pe) {
		return fmt.Errorf("%s is %q: %s", name, pe.Value, kindOf(f.Type).expected)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func process(f reflect.StructField) (reflect.Value, error) {
	one := reflect.New(reflect.StructOf([]reflect.StructField{f}))
	err := envconfig.Process("", one.Interface())
	return one.Elem().Field(0), err
}
