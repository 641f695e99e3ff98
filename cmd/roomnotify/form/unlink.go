package form

import (
	"slices"
	"strings"
	"unicode"
)

// wordJoiner shows nothing, and ends what services take for a link.
const wordJoiner = '\u2060'

// dots are what separates the parts of a host, in any script that a service may fold:
// the ideographic full stop and those of full width, half width, small and vertical
// forms, and the one-dot leader.
const dots = ".。．｡\ufe52\ufe12\u2024"

// unlink keeps a stranger's text from becoming a link, a mention, a tag or a
// command in services that look for them in any text and know no escape: a domain
// (evil.com, ❤.ws), an address (192.0.2.1), a URL, an e-mail address, @name, #tag, $TICKER, /command, +phone.
// Numbers such as 1.5 and 12:30, and room.1, stay as they are.
func unlink(s string) string {
	var b strings.Builder
	runes := []rune(s)
	at := func(i int) rune {
		if i < 0 || i >= len(runes) {
			return ' '
		}
		return runes[i]
	}
	for i, r := range runes {
		b.WriteRune(r)
		before, after := at(i-1), at(i+1)
		breaks := false
		switch r {
		case '@', '#', '$', '/', '＠', '＃', '＄', '／', '﹫', '﹟', '﹩', '+', '＋':
			breaks = !unicode.IsSpace(after)
		case ':', '：':
			breaks = word(before) && (after == '/' || word(after)) && (!unicode.IsDigit(before) || !unicode.IsDigit(after))
		default:
			breaks = isDot(r) && inHost(before) && inHost(after) && (!unicode.IsDigit(after) || manyDots(runes, i))
		}
		if breaks {
			b.WriteRune(wordJoiner)
		}
	}
	return b.String()
}

func word(r rune) bool { return unicode.In(r, unicode.L, unicode.M, unicode.N) || r == '-' || r == '_' }

func isDot(r rune) bool { return strings.ContainsRune(dots, r) }

// inHost reports whether a character can stand beside a dot in a host: also an emoji,
// and a joiner, which a service may drop.
func inHost(r rune) bool {
	return word(r) || unicode.Is(unicode.S, r) || r == '\u200c' || r == '\u200d'
}

// manyDots reports whether the word around a dot has three of them, as an address of
// IPv4 has.
func manyDots(runes []rune, i int) bool {
	ends := func(r rune) bool { return !inHost(r) && !isDot(r) }
	from := i
	for from > 0 && !ends(runes[from-1]) {
		from--
	}
	to := i + 1
	if n := slices.IndexFunc(runes[to:], ends); n >= 0 {
		to += n
	} else {
		to = len(runes)
	}
	n := 0
	for _, r := range runes[from:to] {
		if isDot(r) {
			n++
		}
	}
	return n >= 3
}
