package rules

import (
	"slices"

	"roomwatch/cmd/roomnotify/form"
)

// Shows are what messages have besides their text.
type Shows struct {
	Cover bool       `yaml:"cover"` // the service shows the cover of a room
	Link  string     `yaml:"link"`  // what a message leads to, as [form.ParseLink] reads it; empty: nothing
	Leads *form.Link `yaml:"-"`     // the same, read
}

// noCover says why a kind shows no cover; what is not in it does.
var noCover = map[string]string{
	"feishu":       "Feishu shows only pictures that were uploaded to it, and roomnotify uploads none",
	"telegram":     "Telegram makes a preview of any page that the URL leads to, with its texts and a link, and not only of a picture",
	"email":        "a letter with a picture from elsewhere would tell its host who reads it when; roomnotify sends none",
	"webhook":      "the generic form has it in the event, and a body shows it as .Cover",
	"alertmanager": "an alert has no picture",
}

// checkShows refuses what the service cannot do.
func (t *Target) checkShows(p *problems) {
	if reason, none := noCover[t.Kind]; t.Cover && none {
		p.add(false, t.at("cover"), "target %s: cover is not for %s: %s; leave it away", t.Name, t.Kind, reason)
	}
	p.add(!t.Cover || t.Link != "" || !slices.Contains([]string{"wecom", "dingtalk"}, t.Kind), t.at("cover"),
		"target %s: cover needs a link: %s shows a picture only in a message that leads somewhere; write link, such as https://example.com/rooms/{{.Room.ID}}", t.Name, t.Kind)
	p.add(t.Link == "" || t.Kind != "alertmanager", t.at("link"), "target %s: link is for messages: an alert has generator_url", t.Name)
	p.add(t.Link == "" || t.hasText(), t.at("link"), "target %s: link is for messages: a webhook shows it only in a body, as .Link", t.Name)
}
