package form

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/mail"
	"strings"
	"time"
)

// Hidden stands where a secret would.
const Hidden = "(secret)"

// Preview returns what n would be for the service, to be read by a person: the JSON
// of the request with indents, or a letter with its address, subject and text. The
// signature in a body is left out; the caller hides what else is secret.
func (t Target) Preview(n Notification, now time.Time) (string, error) {
	if t.Kind == "email" {
		told, title, text := t.letterText(n)
		var to []string
		for _, a := range t.Envelope.To {
			to = append(to, shownAddress(a))
		}
		return fmt.Sprintf("From: %s\nTo: %s\nSubject: %s\n\n%s", shownAddress(t.Envelope.From), strings.Join(to, ", "), title, text+told.linkLine()), nil
	}
	body, err := t.bytes(n, now)
	if t.Kind == "feishu" && t.Secret != "" {
		o := t.feishu(t.message(n), now)
		o["sign"] = Hidden // whoever has it can send as the bot for an hour
		body, err = encode(o)
	}
	if err != nil {
		return "", err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, body, "", "  "); err != nil {
		return "", fmt.Errorf("write notification %s: %w", n.ID, err) // unreachable: it is JSON
	}
	return b.String(), nil
}

// shownAddress is an address as a person reads it.
func shownAddress(a mail.Address) string {
	if a.Name == "" {
		return a.Address
	}
	return a.Name + " <" + a.Address + ">"
}
