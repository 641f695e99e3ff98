package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/spf13/cobra"

	"roomwatch/cmd/roomwatch/web"
)

func explainCommand() *cobra.Command {
	var raw bool
	cmd := &cobra.Command{
		Use:   "explain ROOM",
		Short: "Explain what the running daemon knows of one room, and why its end waits",
		Long: "explain asks the daemon at ROOMWATCH_HTTP_ADDR, with the token if one is set, about the room with this RoomId: whether it is\n" +
			"live, hidden or ended, what has shown or missed it, which point reads are due, and what its end waits for. Exit status 1 if\n" +
			"nothing is known of it or no daemon answers. Write -- before a RoomId that begins with a dash.",
		Example: "  roomwatch explain room_id0\n" +
			"  roomwatch explain --json -- -odd/room",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := readClient()
			if err != nil {
				return err
			}
			return explain(cmd.Context(), c, args[0], raw, cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&raw, "json", false, "print the JSON of the API")
	return cmd
}

func explain(ctx context.Context, c *client, id string, raw bool, w io.Writer) error {
	var body json.RawMessage
	if err := c.get(ctx, "/api/v1/explain", url.Values{"room": {id}}, &body); err != nil {
		return err
	}
	var e web.Explanation
	if err := json.Unmarshal(body, &e); err != nil || e.State == "" {
		return fmt.Errorf("what answers at %s gives no explanation; set ROOMWATCH_HTTP_ADDR to where roomwatch answers", c.base)
	}
	text := explanationText(id, e)
	if raw {
		text = string(body) + "\n"
	}
	if _, err := io.WriteString(w, text); err != nil {
		return fmt.Errorf("print explanation: %w", err)
	}
	return nil
}

// explanationText is an explanation for people, a line for each thing that is known.
func explanationText(id string, e web.Explanation) string {
	var b strings.Builder
	name := ""
	if e.Room != nil {
		name = "  " + plain(e.Room.RoomName)
	}
	fmt.Fprintf(&b, "%s  %s%s\n", plain(id), e.State, name)
	for _, s := range e.Sentences {
		fmt.Fprintf(&b, "  %s\n", plain(s))
	}
	return b.String()
}
