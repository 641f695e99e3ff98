package streams

import (
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// Covers reports whether one of the subjects takes all that filter matches.
func Covers(subjects []string, filter string) bool {
	for _, s := range subjects {
		if isSubset(strings.Split(filter, "."), strings.Split(s, ".")) {
			return true
		}
	}
	return false
}

// brings reports whether a source can put messages on one of the subjects.
func brings(source *jetstream.StreamSource, subjects []string) bool {
	arrives := []string{source.FilterSubject}
	if len(source.SubjectTransforms) > 0 {
		arrives = nil
		for _, t := range source.SubjectTransforms {
			arrives = append(arrives, t.Destination)
		}
	}
	for _, a := range arrives {
		for _, ours := range subjects {
			if a == "" || strings.Contains(a, "{{") || overlap(strings.Split(a, "."), strings.Split(ours, ".")) {
				return true
			}
		}
	}
	return false
}

// overlap reports whether a subject exists that both filters match.
func overlap(a, b []string) bool {
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a), i >= len(b):
			return false
		case a[i] == ">", b[i] == ">":
			return true
		case a[i] != b[i] && a[i] != "*" && b[i] != "*":
			return false
		}
	}
	return true
}

// isSubset reports whether every subject that a matches is matched by b.
func isSubset(a, b []string) bool {
	for i, t := range b {
		switch {
		case t == ">":
			return len(a) > i
		case i >= len(a), a[i] == ">":
			return false
		case t != "*" && t != a[i]:
			return false
		}
	}
	return len(a) == len(b)
}
