package environ

import (
	"context"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
)

// EnvFile is the end of the name of the variable that names a file of variables.
const EnvFile = "ENV_FILE"

// Kubernetes makes variables for each service, which are called after it: for
// one that is called roomwatch, ROOMWATCH_PORT=tcp://10.0.0.1:80 and others.
var (
	ours        = regexp.MustCompile(`^(ROOMWATCH|ROOMNOTIFY|ROOMAUDIT|NATS)_`)
	serviceLink = regexp.MustCompile(`^(tcp|udp|sctp)://`)
	serviceName = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)$`)
)

// Value returns the value of a variable; empty if it is not set. What is set to
// nothing, as container tools like to do, or by Kubernetes for a service that
// happens to be called so, is as good as unset. NATS_URL alone can be meant so.
func Value(name string) string {
	v := os.Getenv(name)
	if name != "NATS_URL" && ours.MatchString(name) && serviceLink.MatchString(v) {
		return ""
	}
	return v
}

// Unknown returns what is set and looks like a variable of a program, whose own
// begin with a prefix, but is none: a misspelt one would otherwise be ignored
// without a word. The others are known by another way than the configuration c.
func Unknown(c any, prefix string, others ...string) string {
	known := append(append(Names(c), prefix+EnvFile), others...)
	var unknown []string
	for _, v := range os.Environ() {
		name, value, _ := strings.Cut(v, "=")
		if (strings.HasPrefix(name, prefix) || strings.HasPrefix(name, "NATS_")) && !slices.Contains(known, name) &&
			!serviceName.MatchString(name) && !serviceLink.MatchString(value) {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	return strings.Join(unknown, ", ")
}

// WarnOfUnknown logs what [Unknown] returned for a program.
func WarnOfUnknown(ctx context.Context, log *slog.Logger, program, names string) {
	if names != "" {
		log.WarnContext(ctx, "unknown variables", "names", names, "fix", "see `"+program+" help config` for the right name, or unset it")
	}
}
