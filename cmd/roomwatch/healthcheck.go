package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"roomwatch/cmd/roomwatch/config"
)

// healthTimeout is less than what container engines wait by default.
const healthTimeout = 3 * time.Second

func healthcheckCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask /healthz of the daemon at ROOMWATCH_HTTP_ADDR; for containers without curl",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Whatever else is wrong with the configuration is for the daemon to say.
			cfg, _ := config.Load()
			if err := cfg.ValidateClient(); err != nil {
				return fmt.Errorf("%w:\n%w", config.ErrInvalid, err)
			}
			return healthcheck(cmd.Context(), "http://"+reachable(cfg.HTTPAddr))
		},
	}
}

// healthcheck returns nil if the daemon that answers at base is alive.
func healthcheck(ctx context.Context, base string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/healthz", nil)
	if err != nil {
		return fmt.Errorf("check health: %w", err)
	}
	// A transport of its own: no proxy of the environment stands between a
	// process and itself.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return noAnswer(base, err)
	}
	if err := resp.Body.Close(); err != nil {
		return fmt.Errorf("check health: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("check health: %s answers %s; check the log of the daemon, and that it answers at ROOMWATCH_HTTP_ADDR", base, resp.Status)
	}
	return nil
}
