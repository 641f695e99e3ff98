package poller

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

var errMarkup = errors.New("HTML or XML, not JSON")

// plain says in JSON's words what encoding/json says in Go's: the field,
// what is there, and what may be there instead. Subject and want are those of
// the whole of b.
func plain(b []byte, subject, want string, err error) error {
	if err == nil {
		return nil
	}
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("<")) {
		return fmt.Errorf("%s is %w", subject, errMarkup)
	}
	wrong, ok := errors.AsType[*json.UnmarshalTypeError](err)
	if !ok {
		return err
	}
	if wrong.Field != "" {
		// An embedded struct is named before its field.
		subject = wrong.Field[strings.LastIndexByte(wrong.Field, '.')+1:]
		want = wantOf(subject)
	}
	return fmt.Errorf("%s is %.64s, and must be %s", subject, article(wrong.Value), want)
}

// wantOf says what a field of an answer may be.
func wantOf(field string) string {
	switch field {
	case "RoomId":
		return fmt.Sprintf("a string of 1 to %d bytes", maxRoomID)
	case "CreateTime":
		return "a whole number of seconds from 1 to 9223372036854775807"
	case "ViewCount":
		return "a whole number from 0 to 9223372036854775807"
	case "ErrorCode", "ActivityStatus":
		return "a whole number of 64 bits"
	case "Owner_Account", "ErrorInfo", "RequestId":
		return "a string or a whole number"
	case "Category":
		return "a list of whole numbers of 64 bits"
	}
	return "a string"
}

// article puts a kind, as encoding/json names it, into a sentence.
func article(kind string) string {
	switch kind {
	case "array":
		return "a list"
	case "object":
		return "an object"
	case "bool":
		return "true or false"
	case "string", "number":
		return "a " + kind
	}
	return "the " + kind
}

// kindOf names the kind of a value as encoding/json does; a number with itself.
func kindOf(b []byte) string {
	switch b[0] {
	case '{':
		return "object"
	case '[':
		return "array"
	case 't', 'f':
		return "bool"
	}
	return "number " + string(b)
}
