package rules

import (
	"errors"
	"slices"
	"strings"

	"roomwatch/cmd/roomnotify/form"
)

// texts reads the texts of messages and digests, and gives each target those of its
// rules.
func (f *File) texts(p *problems) {
	own, digests := map[string]*form.Text{}, map[string]*form.DigestText{}
	for _, r := range f.Rules {
		own[r.Name] = parseText(p, "rule "+r.Name, "text", r.Text, r.at, form.ParseText)
		digests[r.Name] = parseText(p, "rule "+r.Name, "digest", r.Digest, r.at, form.ParseDigestText)
		chat := slices.ContainsFunc(f.Targets, func(t Target) bool { return t.hasText() && slices.Contains(r.Targets, t.Name) })
		for _, x := range []struct{ field, text string }{{"text", r.Text}, {"digest", r.Digest}} {
			p.add(x.text == "" || chat, r.at(x.field), "rule %s: %s is for chats, and none of its targets is one: a webhook gets JSON, and has text only in a body", r.Name, x.field)
		}
	}
	for i := range f.Targets {
		t := &f.Targets[i]
		for _, x := range []struct{ field, text string }{{"text", t.Text}, {"digest", t.Digest}} {
			p.add(x.text == "" || t.hasText(), t.at(x.field), "target %s: %s is for chats: a webhook gets JSON, and has text only in a body", t.Name, x.field)
		}
		t.JSON = parseText(p, "target "+t.Name, "body", t.Body, t.at, func(text string) (*form.Body, error) { return form.ParseBody(text, t.Values) })
		t.Leads = parseText(p, "target "+t.Name, "link", t.Link, t.at, form.ParseLink)
		general := parseText(p, "target "+t.Name, "text", t.Text, t.at, form.ParseText)
		digest := parseText(p, "target "+t.Name, "digest", t.Digest, t.at, form.ParseDigestText)
		t.Texts, t.Digests = map[string]*form.Text{}, map[string]*form.DigestText{}
		for _, r := range f.Of(t.Name) {
			if t.Texts[r.Name] = own[r.Name]; r.Text == "" {
				t.Texts[r.Name] = general
			}
			if t.Digests[r.Name] = digests[r.Name]; r.Digest == "" {
				t.Digests[r.Name] = digest
			}
		}
	}
}

// parseText reads one text; nil if there is none, or if it is wrong.
func parseText[T any](p *problems, what, field, text string, at func(field ...any) int, parse func(string) (*T, error)) *T {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	t, err := parse(text)
	var wrong *form.TextError
	if errors.As(err, &wrong) {
		p.add(false, at(field), "%s: %s, in its line %d: %s", what, field, wrong.Line, wrong.Reason)
	}
	return t
}
