package program

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// A usageError is a mistake on the command line of a command.
type usageError struct {
	cmd    *cobra.Command
	reason string
}

func (e usageError) Error() string {
	return fmt.Sprintf("%s; see `%s --help`", e.reason, e.cmd.CommandPath())
}

// explainUsage lets every command of root say what is wrong with its command
// line and where to read on. It is called when root has all its commands.
func explainUsage(root *cobra.Command) {
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError{c, err.Error()} })
	root.SetUsageTemplate(strings.Replace(root.UsageTemplate(), // a topic is no command
		"{{rpad .CommandPath .CommandPathPadding}}", "{{.Root.Name}} help {{rpad .Name .NamePadding}}", 1))
	root.InitDefaultCompletionCmd()
	explainArgs(root)
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Args = isHelpedOn
	}
}

// explainArgs names what c and the commands below it want: cobra calls a word
// too many an unknown command.
func explainArgs(c *cobra.Command) {
	for _, sub := range c.Commands() {
		explainArgs(sub)
	}
	check := c.Args
	if check == nil {
		return
	}
	c.Args = func(c *cobra.Command, args []string) error {
		if check(c, args) == nil {
			return nil
		}
		if _, want, ok := strings.Cut(c.Use, " "); ok {
			return usageError{c, fmt.Sprintf("write `%s %s`", c.CommandPath(), want)}
		}
		return usageError{c, fmt.Sprintf("%s takes no arguments, but got %q", c.Name(), args[0])}
	}
}

// isHelpedOn checks the arguments of the help command.
func isHelpedOn(c *cobra.Command, args []string) error {
	if _, rest, err := c.Root().Find(args); err != nil || len(rest) > 0 {
		return usageError{c.Root(), fmt.Sprintf("there is no help on %q", strings.Join(args, " "))}
	}
	return nil
}

// A flagError is what a command has found wrong with the values of its flags.
type flagError struct{ error }

func (e flagError) Unwrap() error { return e.error }

// BadFlags marks an error of the values of flags: like every mistake on the
// command line it ends the program with status 2. nil stays nil.
func BadFlags(err error) error {
	if err == nil {
		return nil
	}
	return flagError{err}
}

// isUsage reports whether err is a mistake on the command line, which requires
// operator action.
func isUsage(err error) bool {
	_, usage := errors.AsType[usageError](err)
	_, flags := errors.AsType[flagError](err)
	return usage || flags
}

// usage completes an error of cmd. The root command runs nothing, so its errors
// are unknown commands.
func usage(cmd *cobra.Command, err error) error {
	switch {
	case isUsage(err):
		return err
	case cmd.HasParent() && cmd.ValidateRequiredFlags() != nil:
		return usageError{cmd, err.Error()} // found before the command runs
	case cmd.HasParent():
		return err
	}
	oneLine := strings.NewReplacer("\n\nDid you mean this?\n\t", "; did you mean ", "\n\t", " or ", "\n", "")
	return usageError{cmd, oneLine.Replace(err.Error())}
}
