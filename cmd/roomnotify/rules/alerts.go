package rules

import (
	"cmp"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"roomwatch/cmd/roomnotify/form"
)

// Alerts are what only alertmanager has.
type Alerts struct {
	Labels       map[string]string `yaml:"labels"`
	GeneratorURL string            `yaml:"generator_url"`
	EndsAfter    Duration          `yaml:"ends_after"` // 0 means a week
}

const (
	maxLabels      = 20
	maxLabelLength = 200 // bytes of a value
)

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// Alert returns how a room is an alert.
func (a Alerts) Alert() form.Alert {
	return form.Alert{Labels: a.Labels, GeneratorURL: a.GeneratorURL, EndsAfter: cmp.Or(time.Duration(a.EndsAfter), 7*24*time.Hour)}
}

func (t *Target) checkAlerts(p *problems) {
	if t.Kind != "alertmanager" {
		p.add(len(t.Labels) == 0 && t.GeneratorURL == "" && t.EndsAfter == 0, t.at(), "target %s: labels, generator_url and ends_after are for alertmanager alone", t.Name)
		return
	}
	p.add(len(t.Labels) <= maxLabels, t.at("labels"), "target %s: there are %d labels: write at most %d", t.Name, len(t.Labels), maxLabels)
	for _, name := range slices.Sorted(maps.Keys(t.Labels)) {
		line, value := t.at("labels", name), t.Labels[name]
		p.add(labelName.MatchString(name) && !strings.HasPrefix(name, "__"), line, "target %s: labels: %q is no name of a label: write letters, digits and _", t.Name, name)
		p.add(!slices.Contains(form.AlertLabels(), name), line, "target %s: labels: %s is set by roomnotify: choose another name", t.Name, name)
		p.add(value != "" && len(value) <= maxLabelLength && !control(value), line, "target %s: labels: %s has a value that is empty, longer than %d bytes, or of several lines", t.Name, name, maxLabelLength)
		p.add(!strings.Contains(value, "{{"), line, "target %s: labels: %s is a template, and labels have none: with other labels the end of a room would not resolve its alert", t.Name, name)
	}
	if t.GeneratorURL != "" {
		u, err := url.Parse(t.GeneratorURL)
		p.add(err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http"), t.at("generator_url"), "target %s: generator_url is %q: write https://host/path", t.Name, t.GeneratorURL)
	}
}

// generic reports whether its URL is no secret, and it may have headers and a way to
// authenticate.
func (t *Target) generic() bool { return t.Kind == "webhook" || t.Kind == "alertmanager" }
