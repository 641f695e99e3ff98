package main

import (
	"cmp"
	"errors"

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomwatch/config"
	"roomwatch/cmd/roomwatch/daemon"
)

func runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Poll an application and publish its events (the daemon)",
		Long: "run is the daemon. It is configured by environment variables (`roomwatch help config`). The minimum is\n\n" +
			"  ROOMWATCH_SDKAPPID=1400000000 ROOMWATCH_SECRET_KEY_FILE=key roomwatch run\n\n" +
			"Without NATS_URL it starts an embedded JetStream server on 127.0.0.1.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			cfg, err := config.Read((*config.Config).Validate)
			if err != nil {
				return err
			}
			log, flush := environ.Unblocked(cfg.Logger, cmd.ErrOrStderr())
			defer flush()
			defer program.Survive(cmd.Context(), log)()
			environ.WarnOfUnknown(cmd.Context(), log, "roomwatch", config.Unknown())
			d, err := daemon.New(cmd.Context(), &cfg, log)
			if program.Stopped(cmd.Context(), err) {
				log.InfoContext(cmd.Context(), "roomwatch stopped", "reason", "a signal before the start was done")
				return nil
			}
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, d.Close()) }()
			defer program.OnHangup(d.Wake)()
			log.InfoContext(cmd.Context(), "roomwatch started", "version", program.Version(), "sdkappid", cfg.SDKAppID,
				"endpoint", cfg.Endpoint, "nats", cmp.Or(d.NATSURL(), "away"), "stream", cfg.Stream, "data", cfg.DataDir, "http", cfg.HTTPAddr)
			if err := d.Run(cmd.Context()); err != nil {
				return err
			}
			log.InfoContext(cmd.Context(), "roomwatch stopped")
			return nil
		},
	}
}
