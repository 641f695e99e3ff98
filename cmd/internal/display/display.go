// Package display writes for people: it decides which characters of a text from
// outside may be shown as they are, and counts things. The status page has the same rule in page/format.js.
package display

import (
	"iter"
	"unicode"
	"unicode/utf8"
)

const (
	nonJoiner   = '\u200c' // Persian and other languages write words with it
	joiner      = '\u200d' // emoji of several parts have it
	blackFlag   = '\U0001f3f4'
	cancelTag   = '\U000e007f'
	braillePad  = '\u2800' // a symbol to Unicode, a blank to the eye
	maxFlagTags = 6        // such as gbsct, Scotland
)

// Runes yields each character of s, and whether it is safe to show. Unsafe are
// control characters, line separators, what changes the direction of the
// text, what shows nothing, and private use. What emoji and
// words are made of is safe: the joiner, the non-joiner, and tags in a flag.
// Bytes that are not UTF-8 are yielded as U+FFFD.
func Runes(s string) iter.Seq2[rune, bool] {
	return func(yield func(rune, bool) bool) {
		flag := 0 // where the newest flag ends
		for i, r := range s {
			if r == blackFlag {
				flag = i + flagLen(s[i:])
			}
			if !yield(r, i < flag || safe(r)) {
				return
			}
		}
	}
}

func safe(r rune) bool {
	switch r {
	case joiner, nonJoiner:
		return true
	case braillePad:
		return false
	}
	// Characters that are not assigned are safe: an emoji may be newer than the table.
	return !unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}

// flagLen returns how many bytes the flag has with which s begins. The flag of a
// part of a country is a black flag, its code in tags, and the tag that ends it;
// anything else is the black flag alone.
func flagLen(s string) int {
	black := utf8.RuneLen(blackFlag)
	tags := 0
	for i, r := range s[black:] {
		switch {
		case r == cancelTag && tags > 0:
			return black + i + utf8.RuneLen(r)
		case tags < maxFlagTags && ('\U000e0030' <= r && r <= '\U000e0039' || '\U000e0061' <= r && r <= '\U000e007a'):
			tags++
		default:
			return black
		}
	}
	return black
}
