package rules

import (
	"errors"
	"fmt"

	"roomwatch/diff/secret"
)

// Files returns the files that hold secrets of the target, for [Target.With].
func (t *Target) Files() []string {
	var files []string
	for _, path := range []string{t.URLFile, t.SecretFile, t.TokenFile} {
		if path != "" {
			files = append(files, path)
		}
	}
	return files
}

// With returns the target with what its files hold now. No secret is in the error.
func (t *Target) With(contents ...[]byte) (Target, error) {
	now := *t
	for _, f := range []struct {
		field, path string
		value       *string
	}{{"url_file", t.URLFile, &now.URL}, {"secret_file", t.SecretFile, &now.Secret}, {"token_file", t.TokenFile, &now.Token}} {
		if f.path == "" {
			continue
		}
		text, err := secret.Text(contents[0])
		if err != nil {
			return Target{}, fmt.Errorf("%s: %w", f.field, err)
		}
		*f.value, contents = text, contents[1:]
	}
	var p problems
	now.check(&p)
	return now, errors.Join(p...)
}
