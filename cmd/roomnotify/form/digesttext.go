package form

import (
	"fmt"
	"io"
	"maps"
	"text/template"
	"time"
)

// A DigestText is the text of a digest as a rule file writes it: its first line is
// the title.
type DigestText struct{ t *template.Template }

// A ShownDigest is what the text of a digest can show.
type ShownDigest struct {
	Rule         string
	Since, Until time.Time      // when the first and the last were held back
	Total        int            // notifications
	Counts       map[string]int // by type; 0 for a type that it has none of
	Titles       []string       // of the first [MostItems]
	More         int            // how many others there are; roomnotify adds where they are
}

// ParseDigestText reads the text of a digest, and tries it on an example. The error
// is a [TextError].
func ParseDigestText(text string) (*DigestText, error) {
	parsed, err := template.New("text").Option("missingkey=error").Funcs(functions).Parse(text)
	if err != nil {
		return nil, textError(err)
	}
	now := time.Unix(1700003600, 0)
	example := Digest{Since: now, Until: now, Total: 2, Counts: map[string]int{Milestone: 2}}
	if err := parsed.Execute(io.Discard, shownDigest("rule", example, []string{"one", "two"}, Target{}.voice())); err != nil {
		return nil, textError(err)
	}
	return &DigestText{parsed}, nil
}

func shownDigest(rule string, d Digest, titles []string, v voice) ShownDigest {
	counts := map[string]int{}
	for _, kind := range types() {
		counts[kind] = 0
	}
	maps.Copy(counts, d.Counts)
	return ShownDigest{Rule: rule, Since: d.Since.In(v.zone), Until: d.Until.In(v.zone), Total: d.Total, Counts: counts, Titles: titles, More: d.Total - len(titles)}
}

// message is the text of a digest. One that fails, or shows nothing, is the built-in one.
func (t *DigestText) message(n Notification, titles []string, builtIn message, v voice) message {
	b := &bounded{left: maxText}
	if err := t.t.Execute(b, shownDigest(n.Rule, *n.Digest, titles, v)); err != nil {
		builtIn.lines = append(builtIn.lines, fmt.Sprintf(v.fails, Clean(err.Error(), 200)))
		return builtIn
	}
	lines := linesIn(b.String())
	if lines[0] == "" {
		return builtIn
	}
	return message{title: Clean(lines[0], maxTitle), lines: lines[1:], more: builtIn.more, where: builtIn.where}
}
