package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"roomwatch/diff/retry"
)

// What stands in the store while somebody asks for a reload, and what came of it.
const reloadPart, reloadedPart = "reload", "reloaded"

// reloadWait is how long the command waits: requests that are on their way end first.
const reloadWait = 90 * time.Second

// A reloaded is the answer to a request for a reload.
type reloaded struct {
	ID    string `json:"id"`
	Host  string `json:"host"`
	Rules string `json:"rules,omitzero"` // how many there are now
	Error string `json:"error,omitzero"` // why the old ones stay in force
}

func reloadCommand(path *string) *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Let the running daemon read its rule file again",
		Long: "reload lets the daemon of the same name (ROOMNOTIFY_NAME) read its own rule file again, wherever it runs, and prints the\n" +
			"result. If the file has a mistake, the old rules stay in force. Exit status 1 if it was not reloaded.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, _, err := configured(*path)
			if err != nil {
				return err
			}
			return withStore(cmd.Context(), cfg, func(ctx context.Context, s *store) error {
				return askForReload(ctx, s, cmd.OutOrStdout())
			})
		},
	}
}

func askForReload(ctx context.Context, s *store, w io.Writer) error {
	id := ulid.Make().String()
	if err := s.replace(ctx, s.subject(reloadPart), []byte(id)); err != nil {
		return err
	}
	for end := time.Now().Add(reloadWait); time.Now().Before(end); {
		if err := retry.Sleep(ctx, 200*time.Millisecond); err != nil {
			return err
		}
		data, err := s.last(ctx, s.subject(reloadedPart))
		if err != nil {
			return err
		}
		var a reloaded
		switch err := json.Unmarshal([]byte(data), &a); {
		case data == "", err == nil && a.ID != id:
		case err != nil:
			return fmt.Errorf("read the answer: %w", err)
		case a.Error != "":
			return fmt.Errorf("the daemon on %s did not reload, the old rules stay in force: %s", a.Host, a.Error)
		default:
			_, err := fmt.Fprintf(w, "reloaded on %s: %s\n", a.Host, a.Rules)
			return err
		}
	}
	return errors.New("no daemon answers: check that `roomnotify run` runs with this ROOMNOTIFY_NAME")
}

// replace stores a message in place of those that were on its subject.
func (s *store) replace(ctx context.Context, subject string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, askWait)
	defer cancel()
	_, err := s.js.Publish(ctx, subject, body)
	if err == nil {
		err = s.stream.Purge(ctx, jetstream.WithPurgeSubject(subject), jetstream.WithPurgeKeep(1))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", subject, err)
	}
	return nil
}

// asked returns the id of a request for a reload that was not seen yet; empty if
// there is none, or the store cannot be read: who sends says that.
func (d *daemon) asked(ctx context.Context, s *store) string {
	id, err := s.last(ctx, s.subject(reloadPart))
	if err != nil || id == d.request {
		return ""
	}
	d.request = id
	return id
}

// answer says what came of a request.
func (d *daemon) answer(ctx context.Context, s *store, request string, set *ruleSet, failed error) {
	if request == "" {
		return
	}
	a := reloaded{ID: request, Host: d.me.Host}
	if failed != nil {
		a.Error = failed.Error()
	} else {
		a.Rules = set.String()
	}
	body, err := json.Marshal(a)
	if err == nil {
		err = s.replace(ctx, s.subject(reloadedPart), body)
	}
	if err != nil {
		d.log.WarnContext(ctx, "the answer to `roomnotify reload` was not stored", "error", err)
	}
}
