package rules

import (
	"errors"
	"slices"
	"strings"

	"roomwatch/cmd/roomnotify/form"
)

// texts reads the texts of messages, and gives each target those of its rules.
func (f *File) texts(p *problems) {
	own := map[string]*form.Text{}
	for _, r := range f.Rules {
		own[r.Name] = parseText(p, "rule "+r.Name, r.Text, r.at)
		chat := slices.ContainsFunc(f.Targets, func(t Target) bool { return t.Kind != "webhook" && slices.Contains(r.Targets, t.Name) })
		p.add(r.Text == "" || chat, r.at("text"), "rule %s: text is for chats, and none of its targets is one: a webhook gets JSON", r.Name)
	}
	for i := range f.Targets {
		t := &f.Targets[i]
		p.add(t.Text == "" || t.Kind != "webhook", t.at("text"), "target %s: text is for chats: a webhook gets JSON", t.Name)
		general := parseText(p, "target "+t.Name, t.Text, t.at)
		t.Texts = map[string]*form.Text{}
		for _, r := range f.Of(t.Name) {
			if t.Texts[r.Name] = own[r.Name]; r.Text == "" {
				t.Texts[r.Name] = general
			}
		}
	}
}

// parseText reads one text; nil if there is none, or if it is wrong.
func parseText(p *problems, what, text string, at func(field ...any) int) *form.Text {
	if strings.TrimSpace(text) == "" {
		return nil
	}
	t, err := form.ParseText(text)
	var wrong *form.TextError
	if errors.As(err, &wrong) {
		p.add(false, at("text"), "%s: text, in its line %d: %s", what, wrong.Line, wrong.Reason)
	}
	return t
}
