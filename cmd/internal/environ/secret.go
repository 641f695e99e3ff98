package environ

import (
	"fmt"
	"log/slog"

	"roomwatch/diff/secret"
)

// ReadFile is [os.ReadFile] for a text in UTF-8, without a byte order mark.
func ReadFile(path string) ([]byte, error) { return secret.Read(path) }

// ReadSecret returns what is in a file, without the white space around it.
func ReadSecret(file string) (Secret, error) {
	b, err := secret.Read(file)
	if err != nil {
		return "", err
	}
	t, err := secret.Text(b)
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	return Secret(t), nil
}

// A SecretFile is a secret in a file that may be exchanged while the program runs.
type SecretFile = secret.File[Secret]

// NewSecretFile returns the secret that is in the file which a variable names.
// check says whether a value can be used.
func NewSecretFile(variable, path string, check func(Secret) error, log *slog.Logger) (*SecretFile, error) {
	f, err := secret.Open(variable, log, func(contents ...[]byte) (Secret, error) {
		t, err := secret.Text(contents...)
		if err != nil {
			return "", err
		}
		return Secret(t), check(Secret(t))
	}, path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	return f, nil
}
