package trail

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

const (
	plain  = ".jsonl"
	packed = ".jsonl.gz"
	unsafe = ".tmp" // a compressed file that is not whole yet

	fileMode = 0o640 // of all files in the directory
)

var fileName = regexp.MustCompile(`^audit-([0-9]{8,})-([0-9]{4}-[0-9]{2}-[0-9]{2})(\.jsonl|\.jsonl\.gz)$`)

// A File is one file of a trail.
type File struct {
	Number     int
	Day        string // UTC, when it began by the clock of the recorder
	Path       string
	Compressed bool
}

func nameOf(number int, day string) string { return fmt.Sprintf("audit-%08d-%s", number, day) }

// Files lists the files of a trail in their order. A file that is there both
// plain and compressed is listed once, compressed: that one was finished.
func Files(dir string) ([]File, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var files []File
	for _, e := range entries {
		m := fileName.FindStringSubmatch(e.Name())
		if m == nil {
			continue
		}
		n, err := strconv.Atoi(m[1])
		if err != nil {
			continue // a number that no trail has
		}
		files = append(files, File{Number: n, Day: m[2], Path: filepath.Join(dir, e.Name()), Compressed: m[3] == packed})
	}
	slices.SortFunc(files, func(a, b File) int {
		if a.Number != b.Number {
			return a.Number - b.Number
		}
		if a.Compressed {
			return -1
		}
		return 1
	})
	return slices.CompactFunc(files, func(a, b File) bool { return a.Number == b.Number && a.Day == b.Day }), nil
}

// listed lists the files of a trail that has to have some.
func listed(dir string) ([]File, error) {
	files, err := Files(dir)
	if err == nil && len(files) == 0 || errors.Is(err, os.ErrNotExist) {
		err = none(dir)
	}
	return files, err
}

// none says that a directory has no trail. It is an [os.ErrNotExist].
func none(dir string) error {
	return fmt.Errorf("there is no file of a trail in %s: %w; set ROOMAUDIT_DIR, or wait for the first event", dir, os.ErrNotExist)
}

// named lists what is in the directory beside the files of a trail, by how its name ends.
func named(dir, suffix string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var paths []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "audit-") && strings.HasSuffix(e.Name(), suffix) {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
	}
	return paths, err
}

// begin returns the first line of a file.
func (f File) begin() (Line, error) {
	var first Line
	err := f.lines(func(text []byte) error {
		var err error
		if first, err = Parse(text); err == nil {
			err = errFound
		}
		return err
	})
	switch {
	case errors.Is(err, errFound):
		return first, nil
	case err == nil:
		err = errTorn
	}
	return first, fmt.Errorf("read %s: %w", f.Path, err)
}

// errFound ends the reading of a file.
var errFound = errors.New("found")

// lines calls take with each line, without its newline; the bytes are valid
// until take returns. It returns [errTorn] after all others if the last line
// has no newline.
func (f File) lines(take func(text []byte) error) (err error) {
	file, err := os.Open(f.Path)
	if errors.Is(err, os.ErrNotExist) && !f.Compressed { // it was compressed after it was listed
		f.Path, f.Compressed = strings.TrimSuffix(f.Path, plain)+packed, true
		file, err = os.Open(f.Path)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	var in io.Reader = file
	if f.Compressed {
		unpacked, err := gzip.NewReader(file)
		if err != nil {
			return fmt.Errorf("unpack: %w", err)
		}
		in = unpacked
	}
	r := newRows(in)
	for {
		text, err := r.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := take(text); err != nil {
			return err
		}
	}
}
