package environ

import (
	"errors"
	"strconv"
)

// Bytes is a limit of size; 0 is written "unlimited".
type Bytes int64

// UnmarshalText implements [encoding.TextUnmarshaler].
func (b *Bytes) UnmarshalText(text []byte) error {
	if string(text) == "unlimited" {
		*b = 0
		return nil
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	if err != nil || n <= 0 {
		return errors.New("neither a number of bytes nor unlimited")
	}
	*b = Bytes(n)
	return nil
}

// Word implements [Worded].
func (Bytes) Word() string { return "bytes" }

// Expected implements [Worded].
func (Bytes) Expected() string { return "write a number of bytes above 0, or unlimited" }
