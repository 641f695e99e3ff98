package trail

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// rowMax is more bytes than a line can have: NATS has messages of 1 MiB, at most of 64 MiB,
// and one that is not JSON is recorded in base64.
const rowMax = 128 << 20

var (
	// errTorn means that the last line of a file has no end.
	errTorn = errors.New("its last line is truncated")
	// errLong keeps a small file that unpacks to a huge one from filling the memory.
	errLong = errors.New("it has a line of more than 128 MiB, which no trail has")
)

// A rows reads lines.
type rows struct {
	r    *bufio.Reader
	long []byte // a line that is larger than the buffer
}

func newRows(in io.Reader) *rows { return &rows{r: bufio.NewReaderSize(in, 64<<10)} }

// next returns the next line without its newline; the bytes are valid until the next
// call. Behind the last one it returns [io.EOF], or [errTorn] if that has no newline.
func (r *rows) next() ([]byte, error) {
	r.long = r.long[:0]
	for {
		part, err := r.r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			if len(r.long)+len(part) > rowMax {
				return nil, errLong
			}
			r.long = append(r.long, part...)
			continue
		case errors.Is(err, io.EOF) && len(part)+len(r.long) > 0:
			return nil, errTorn
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		case err != nil:
			return nil, fmt.Errorf("read: %w", err)
		}
		if len(r.long) > 0 {
			r.long = append(r.long, part...)
			part = r.long
		}
		return part[:len(part)-1], nil
	}
}
