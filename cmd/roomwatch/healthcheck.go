package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/spf13/cobra"
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
			cfg, _ := loadConfig()
			return healthcheck(cmd.Context(), cfg.HTTPAddr)
		},
	}
}

// healthcheck returns nil if the daemon that listens on addr is alive.
func healthcheck(ctx context.Context, addr string) error {
	if addr == "off" {
		return errors.New("check health: ROOMWATCH_HTTP_ADDR is off, so there is nobody to ask; set an address")
	}
	url, err := healthURL(addr)
	if err != nil {
		return fmt.Errorf("check health: ROOMWATCH_HTTP_ADDR is %q: %w; write host:port", addr, err)
	}
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("check health: %w", err)
	}
	// A transport of its own: no proxy of the environment stands between a
	// process and itself.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("check health: %w", err)
	}
	if err := resp.Body.Close(); err != nil {
		return fmt.Errorf("check health: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("check health: %s answers %s", url, resp.Status)
	}
	return nil
}

// healthURL is where one who stands beside the daemon finds it: an address that
// stands for all of the machine's is asked on the loopback.
func healthURL(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip != nil && ip.To4() == nil {
			host = "::1"
		}
	}
	return "http://" + net.JoinHostPort(host, port) + "/healthz", nil
}
