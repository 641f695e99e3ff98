package form

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/rivo/uniseg"
)

// maxCover bounds the URL of a cover, in bytes: Discord takes 2048.
const maxCover = 2000

// HasCover reports whether the service is asked to show a picture with a notification.
func (t Target) HasCover(n Notification) bool { return t.Cover && n.cover() != "" }

// cover returns the URL of the room's cover; empty if there is none, or one that
// roomnotify gives to nobody. It is written by a stranger, and it is the service or
// the reader's own device that fetches it: so it has a host with a public name.
func (n Notification) cover() string {
	if n.Event == nil {
		return ""
	}
	cover, err := showable(n.Event.Data.Room.CoverURL, maxCover, "https")
	if err != nil {
		return ""
	}
	if u, err := url.Parse(cover); err != nil || !publicName.MatchString(u.Hostname()) || localName.MatchString(u.Hostname()) {
		return ""
	}
	return cover
}

var (
	hostForm   = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)
	publicName = regexp.MustCompile(`\.[A-Za-z][A-Za-z0-9-]*[A-Za-z0-9]$`) // no address, in whatever form
	localName  = regexp.MustCompile(`(?i)\.(local|localhost|localdomain|internal|intranet|lan|home|corp|arpa)$`)
)

// showable returns a URL in ASCII, with nothing in it that a service could take for
// the end of the URL or for markup.
func showable(s string, most int, schemes ...string) (string, error) {
	if control(s) {
		return "", errors.New("has a control character")
	}
	u, err := url.Parse(s)
	if err != nil {
		return "", errors.New("is no URL")
	}
	switch {
	case !slices.Contains(schemes, u.Scheme) || u.Opaque != "":
		return "", fmt.Errorf("does not begin with %s://", strings.Join(schemes, ":// or "))
	case u.User != nil:
		return "", errors.New("has a user in front of its host")
	case !hostForm.MatchString(u.Hostname()):
		return "", errors.New("has no host in letters of ASCII, such as xn--fsq.com")
	}
	var b strings.Builder
	// Its own bytes: u.String() would write an escaped / anew as one that separates.
	for _, c := range []byte(u.Scheme + s[len(u.Scheme):]) {
		if c >= 0x80 || !urlBytes[c] {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	if b.Len() > most {
		return "", fmt.Errorf("is longer than %d bytes", most)
	}
	return b.String(), nil
}

// urlBytes are those of a URL; but for brackets and the like, in which services see
// the end of one.
var urlBytes = func() (is [0x80]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~:/?#@$&*+,;=%") {
		is[c] = true
	}
	return is
}()

// control reports whether a text has a control character.
func control(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// cutBytes returns the beginning of a text in at most n bytes, cut between two characters.
func cutBytes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	var b strings.Builder
	for state := -1; s != ""; {
		var c string
		if c, s, _, state = uniseg.FirstGraphemeClusterInString(s, state); b.Len()+len(c)+len("…") > n {
			break
		}
		b.WriteString(c)
	}
	return b.String() + "…"
}
