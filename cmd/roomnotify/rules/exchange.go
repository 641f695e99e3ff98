package rules

import (
	"errors"
	"fmt"

	"roomwatch/diff/secret"
)

// Files returns the files that hold values of the target, for [Target.With].
func (t *Target) Files() []string {
	var paths []string
	for _, f := range t.files {
		paths = append(paths, f.path)
	}
	return paths
}

// With returns the target with what its files hold now. No secret is in the error.
func (t *Target) With(contents ...[]byte) (Target, error) {
	now := *t
	for i, f := range t.files {
		text, err := secret.Text(contents[i])
		if err != nil {
			return Target{}, fmt.Errorf("%s: %w", f.field, err)
		}
		f.set(&now, text)
	}
	var p problems
	now.check(&p)
	return now, errors.Join(p...)
}
