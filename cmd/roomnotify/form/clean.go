package form

import (
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
	"golang.org/x/text/unicode/norm"

	"roomwatch/cmd/internal/display"
)

const (
	maxMarks   = 4  // accents on one letter
	maxCluster = 24 // code points of one character, such as a family of four with their colours
)

// Clean returns a stranger's text as one line of at most n characters, as people
// count them, and twice as many code points. They show what they are: those that
// [display.Runes] calls safe, and no tower of accents. A text is cut between two
// characters only.
func Clean(s string, n int) string {
	text := norm.NFC.String(visible(s))
	var b strings.Builder
	characters, points := 0, 0
	for state := -1; text != ""; {
		var c string
		c, text, _, state = uniseg.FirstGraphemeClusterInString(text, state)
		runes := []rune(c)
		if len(runes) > maxCluster {
			c, runes = string(runes[:maxCluster]), runes[:maxCluster]
		}
		if characters++; characters > n || points+len(runes) > 2*n {
			return strings.TrimRightFunc(b.String(), joins) + "…"
		}
		points += len(runes)
		b.WriteString(c)
	}
	return b.String()
}

// visible leaves one line of what may be shown. What joins characters stays
// between two of them; a mark needs something that it is on.
func visible(s string) string {
	var b strings.Builder
	var joiner rune
	marks, blank := maxMarks, false
	for r, safe := range display.Runes(strings.ToValidUTF8(s, "�")) {
		switch {
		case unicode.In(r, unicode.White_Space, unicode.Cc):
			blank, joiner = b.Len() > 0, 0
			marks = maxMarks // none is on a blank
			continue
		case !safe:
			continue
		case r == '\u200c' || r == '\u200d':
			if b.Len() > 0 && !blank {
				joiner = r
			}
			continue
		case unicode.Is(unicode.M, r):
			if marks++; marks > maxMarks {
				continue
			}
		default:
			marks = 0
		}
		if blank {
			b.WriteByte(' ')
		}
		if joiner != 0 {
			b.WriteRune(joiner)
		}
		blank, joiner = false, 0
		b.WriteRune(r)
	}
	return b.String()
}

// joins reports what has no meaning at the end of a text that was cut.
func joins(r rune) bool { return r == ' ' || r == '\u200c' || r == '\u200d' }
