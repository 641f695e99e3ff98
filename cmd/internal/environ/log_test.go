package environ

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// A duration has its unit in both formats.
func TestLoggedDurations(t *testing.T) {
	for format, want := range map[string]string{"text": "took=211ms", "json": `"took":"211ms"`} {
		var b bytes.Buffer
		Logger(&b, slog.LevelInfo, format).Info("sweep", "took", 211*time.Millisecond, "pages", 3)
		if !strings.Contains(b.String(), want) {
			t.Errorf("%s: no %s in %s", format, want, &b)
		}
	}
}
