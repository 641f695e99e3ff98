package config

import (
	"errors"
	"log/slog"

	"roomwatch/cmd/internal/environ"
)

// webhookToken returns the token of callbacks, from wherever it is given; empty if
// there is none.
func (c *Config) webhookToken() (environ.Secret, error) {
	if c.WebhookTokenFile == "" {
		return c.WebhookToken, nil
	}
	return environ.ReadSecret(c.WebhookTokenFile)
}

// CurrentWebhookToken returns a function that returns the token of callbacks of each moment.
func (c *Config) CurrentWebhookToken(log *slog.Logger) (func() string, error) {
	if c.WebhookTokenFile == "" {
		return func() string { return string(c.WebhookToken) }, nil
	}
	f, err := environ.NewSecretFile("ROOMWATCH_WEBHOOK_TOKEN_FILE", c.WebhookTokenFile, func(token environ.Secret) error {
		if token == "" {
			return errors.New("it is empty: write the token of the vendor's console")
		}
		return nil
	}, log)
	if err != nil {
		return nil, err
	}
	return func() string { return string(f.Value()) }, nil
}
