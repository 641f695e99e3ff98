package display_test

import (
	"strings"
	"testing"

	"roomwatch/cmd/internal/display"
)

// shown writes an asterisk for what is not safe.
func shown(s string) string {
	var b strings.Builder
	for r, safe := range display.Runes(s) {
		if !safe {
			r = '*'
		}
		b.WriteRune(r)
	}
	return b.String()
}

func TestRunes(t *testing.T) {
	const england = "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"
	for _, tt := range []struct{ name, in, want string }{
		{"letters", "Heidi 直播\u3000é ไทย", "Heidi 直播\u3000é ไทย"},
		{"control", "a\x00\x1b[2J\n\x7f\u0085", "a**[2J***"},
		{"direction", "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", "************"},
		{"lines", "a\u2028b\u2029c", "a*b*c"},
		{"nothing to see", "\u200b\u2060\ufeff\u00ad\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\ufff0\U000e0fff", "**************"},
		{"private use", "\ue000\U000f0000", "**"},
		{"Persian", "می\u200cخواهم", "می\u200cخواهم"},
		{"emoji of several parts", "👩\u200d🎤❤\ufe0f1\ufe0f\u20e3🇯🇵👍🏽", "👩\u200d🎤❤\ufe0f1\ufe0f\u20e3🇯🇵👍🏽"},
		{"newer than the table", "\U0001fae9", "\U0001fae9"},
		{"flags", england + england + "🏴", england + england + "🏴"},
		{"flag without an end", england[:len(england)-4] + "x", "🏴*****x"},
		{"flag without a code", "🏴\U000e007f", "🏴*"},
		{"text in tags", "🏴" + strings.Repeat("\U000e0061", 7) + "\U000e007f", "🏴********"},
		{"upper case in tags", "🏴\U000e0041\U000e007f", "🏴**"},
		{"tags elsewhere", "a" + england[4:] + "\U000e0001", "a*******"},
		{"no UTF-8", "a\xffb\xed\xa0\x80", "a\ufffdb\ufffd\ufffd\ufffd"},
		{"nothing", "", ""},
	} {
		if got := shown(tt.in); got != tt.want {
			t.Errorf("%s: %+q is shown as %+q, want %+q", tt.name, tt.in, got, tt.want)
		}
	}
}
