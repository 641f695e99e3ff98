package publisher

import (
	"fmt"
	"strconv"
	"strings"

	"roomwatch/diff"
)

const hexDigits = "0123456789ABCDEF"

// Token returns a RoomId as one token of a subject: every byte outside
// A-Z a-z 0-9 _ - becomes =XX. No two RoomIds have one token.
func Token(roomID string) string {
	var b strings.Builder
	b.Grow(len(roomID))
	for i := range len(roomID) {
		if c := roomID[i]; isPlain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'=', hexDigits[c>>4], hexDigits[c&15]})
		}
	}
	return b.String()
}

// RoomID is the inverse of [Token]. It accepts nothing that Token does not make.
func RoomID(token string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(token); i++ {
		c := token[i]
		if c == '=' && i+2 < len(token) {
			hi, lo := strings.IndexByte(hexDigits, token[i+1]), strings.IndexByte(hexDigits, token[i+2])
			if hi >= 0 && lo >= 0 && !isPlain(byte(hi<<4|lo)) {
				b.WriteByte(byte(hi<<4 | lo))
				i += 2
				continue
			}
		}
		if !isPlain(c) {
			return "", fmt.Errorf("token %q: byte %d is not part of an escaped RoomId", token, i)
		}
		b.WriteByte(c)
	}
	if b.Len() == 0 {
		return "", fmt.Errorf("token %q: empty", token)
	}
	return b.String(), nil
}

func isPlain(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-'
}

// Subject returns the subject of an event of a room.
func Subject(prefix string, t diff.Type, app int, roomID string) string {
	return prefix + "." + string(t) + "." + strconv.Itoa(app) + "." + Token(roomID)
}

// unreleased returns the subject that builds before the first release gave an
// event of a room: there the escape was %.
func unreleased(prefix string, t diff.Type, app int, roomID string) string {
	return prefix + "." + string(t) + "." + strconv.Itoa(app) + "." + strings.ReplaceAll(Token(roomID), "=", "%")
}

// Filter returns a subject filter for events. An empty type or room and an
// application of 0 stand for all.
func Filter(prefix string, t diff.Type, app int, roomID string) string {
	types, apps, rooms := "*.*", "*", "*"
	if t != "" {
		types = string(t)
	}
	if app != 0 {
		apps = strconv.Itoa(app)
	}
	if roomID != "" {
		rooms = Token(roomID)
	}
	return strings.Join([]string{prefix, types, apps, rooms}, ".")
}

// claimSubject is where writers of an application claim to be the one.
func claimSubject(prefix string, app int) string {
	return fmt.Sprintf("%s.writer.claimed.%d", prefix, app)
}
