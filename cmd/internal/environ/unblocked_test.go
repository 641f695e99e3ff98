package environ

import (
	"bytes"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func textLogger(w io.Writer) *slog.Logger { return Logger(w, slog.LevelInfo, "text") }

// A log that nobody reads stops nobody; when it is read again, what came is in
// order, and what is missing is counted.
func TestUnblockedLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const total = 30_000
		r, w := io.Pipe() // takes nothing until it is read
		log, flush := Unblocked(textLogger, w)
		for i := range total {
			log.Info("line", "n", i)
		}
		read := make(chan string)
		go func() {
			all, err := io.ReadAll(r)
			if err != nil {
				t.Error(err)
			}
			read <- string(all)
		}()
		synctest.Wait()
		log.Info("after")
		flush()
		_ = w.Close()
		lines := strings.Split(strings.TrimSpace(<-read), "\n")
		came := len(lines) - 2
		for i, line := range lines[:came] {
			if !strings.HasSuffix(line, " msg=line n="+strconv.Itoa(i)) {
				t.Fatalf("line %d is %s", i, line)
			}
		}
		if told := lines[came]; came < 10_000 || came == total || !strings.Contains(told, `msg="log lines lost" lines=`+strconv.Itoa(total-came)+" ") {
			t.Errorf("after %d of %d lines: %s", came, total, told)
		}
		if last := lines[came+1]; !strings.HasSuffix(last, "msg=after") {
			t.Errorf("the last line is %s", last)
		}
	})
}

// The end of a program does not wait forever for the reader of its log.
func TestFlushIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		log, flush := Unblocked(textLogger, w)
		log.Info("line")
		began := time.Now()
		flush()
		if took := time.Since(began); took != flushWithin {
			t.Errorf("it takes %s", took)
		}
		_ = r.Close()
	})
}

// What was logged is written when the flush is over.
func TestFlushWritesAll(t *testing.T) {
	var b bytes.Buffer
	log, flush := Unblocked(textLogger, &b)
	log.Info("one")
	log.Info("two")
	flush()
	if n := strings.Count(b.String(), "\n"); n != 2 {
		t.Errorf("%d lines: %s", n, &b)
	}
}
