package environ

import (
	"errors"
	"fmt"
)

// Problems collects what is wrong with a configuration, so that all of it is
// reported at once.
type Problems []error

// Add adds a problem unless ok.
func (p *Problems) Add(ok bool, format string, args ...any) {
	if !ok {
		*p = append(*p, fmt.Errorf(format, args...))
	}
}

// Err returns all problems as one error, nil if there are none.
func (p Problems) Err() error { return errors.Join(p...) }
