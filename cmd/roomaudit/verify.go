package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"roomwatch/cmd/internal/display"
	"roomwatch/cmd/internal/environ"
	"roomwatch/cmd/internal/program"
	"roomwatch/cmd/roomaudit/trail"
)

func verifyCommand() *cobra.Command {
	var keyFiles []string
	var noted, witness string
	var first int
	var raw bool
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Verify the trail; exit status 1 if it was changed",
		Long: "verify reads every line and prints each fault: lines that were changed, removed, inserted or moved, and files that are\n" +
			"missing or truncated. It also prints what roomaudit has recorded about the stream, such as gaps, and about a removed end of the\n" +
			"trail; this is no fault of the files and does not change the exit status. At the end it prints number and hash of the last\n" +
			"line. Keep them in another place: with --noted, verify also detects that the end was removed, or rewritten from some line on.\n" +
			"--witness takes a list of such lines.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := read(cmd)
			if err != nil {
				return err
			}
			check := trail.Check{Dir: c.Dir, First: first}
			if check.Keys, err = publicKeys(keyFiles); err != nil {
				return err
			}
			if check.Noted, err = places(noted, witness); err != nil {
				return err
			}
			return verify(cmd.Context(), check, raw, cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&keyFiles, "public-key", nil, "`[N:]FILE` with an Ed25519 public key in PEM, which signs from file N on (without N: from the first file with\nits signature); if the key was exchanged, once for each, the oldest first. Without it no signature is checked")
	f.StringVar(&noted, "noted", "", "`LINE:HASH` that was kept in another place")
	f.StringVar(&witness, "witness", "", "`FILE` with one LINE:HASH per row, which may have other text, too; ROOMAUDIT_SEALED_COMMAND can write it")
	f.IntVar(&first, "first", 1, "`number` of the first file, if earlier files were moved away")
	f.BoolVar(&raw, "json", false, "print each fault and the summary as JSON, one object per line")
	return cmd
}

// parsePlace reads a line and its hash as verify prints them; none is nil.
func parsePlace(flag, text string) (*trail.Place, error) {
	if text == "" {
		return nil, nil
	}
	line, hash, _ := strings.Cut(text, ":")
	n, err := strconv.ParseUint(line, 10, 64)
	if raw, bad := hex.DecodeString(hash); err != nil || bad != nil || n == 0 || len(raw) != sha256.Size {
		return nil, program.BadFlags(fmt.Errorf("%s is %q: write LINE:HASH as verify printed it", flag, text))
	}
	return &trail.Place{Line: n, Hash: strings.ToLower(hash)}, nil
}

// places returns what was noted of the trail in another place.
func places(noted, witness string) ([]trail.Place, error) {
	var all []trail.Place
	one, err := parsePlace("--noted", noted)
	if err != nil {
		return nil, err
	}
	if one != nil {
		all = append(all, *one)
	}
	if witness == "" {
		return all, nil
	}
	text, err := environ.ReadFile(witness)
	if err != nil {
		return nil, program.BadFlags(fmt.Errorf("--witness: %w", err))
	}
	list, err := parseWitness(string(text))
	if err != nil {
		return nil, program.BadFlags(fmt.Errorf("--witness: %s%w", witness, err))
	}
	return append(all, list...), nil
}

// parseWitness reads a list of lines that were kept in another place. The error begins
// with the row.
func parseWitness(text string) (all []trail.Place, err error) {
	row := 0
	for line := range strings.Lines(text) {
		row++
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		var found *trail.Place
		for _, f := range fields {
			if p, err := parsePlace("", f); err == nil && found == nil {
				found = p
			}
		}
		if found == nil {
			return nil, fmt.Errorf(":%d has no LINE:HASH", row)
		}
		all = append(all, *found)
	}
	if len(all) == 0 {
		return nil, errors.New(" has no LINE:HASH")
	}
	return all, nil
}

func verify(ctx context.Context, c trail.Check, raw bool, w io.Writer) error {
	show := func(v any) error {
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s\n", b)
		return err
	}
	s, err := trail.Verify(ctx, c, func(f trail.Fault) error {
		if raw {
			return show(map[string]any{"fault": f})
		}
		_, err := fmt.Fprintln(w, visible(f.String()))
		return err
	})
	if err != nil {
		return err
	}
	if raw {
		err = show(map[string]any{"summary": s})
	} else {
		for _, n := range s.Notes {
			_, _ = fmt.Fprintln(w, visible(n.String()))
		}
		for _, covered := range s.Covered {
			_, _ = fmt.Fprintln(w, covered)
		}
		_, err = fmt.Fprintln(w, inWords(c, s))
	}
	if err == nil && s.Faults > 0 {
		err = program.ErrReported
	}
	return err
}

func inWords(c trail.Check, s trail.Summary) string {
	signed := "no file is signed"
	switch {
	case s.Signed > 0 && len(c.Keys) > 0:
		signed = display.Count(s.Signed, "signature") + " checked"
	case s.Signed > 0:
		signed = display.Count(s.Signed, "signature") + " not checked (--public-key)"
	}
	result := "no line was changed, removed or inserted; only --noted shows whether the end was removed"
	switch {
	case s.Faults > 0:
		result = display.Count(s.Faults, "fault")
	case s.NotedHere == 0 && s.Proven > 0:
		result = fmt.Sprintf("no line was changed, removed or inserted, and the first one here follows line %d as it was noted", s.Proven)
	case len(c.Noted) == 1:
		result = fmt.Sprintf("no line was changed, removed or inserted, and line %d is there as it was noted", s.Proven)
	case len(c.Noted) > 1:
		result = fmt.Sprintf("no line was changed, removed or inserted, and %s up to line %d are there as they were noted", display.Count(s.NotedHere, "line"), s.Proven)
	}
	if s.Faults == 0 && s.NotedBefore > 0 {
		result += fmt.Sprintf("; %s before the first one here cannot be compared", display.Count(s.NotedBefore, "noted line"))
	}
	return fmt.Sprintf("%s, %s, %s, %s on record, %s: %s\nlast line %d:%s", display.Count(s.Files, "file"), display.Count(s.Lines, "line"), display.Count(s.Messages, "message"), display.Count(s.Gaps, "gap"),
		signed, result, s.Last, s.Hash)
}
