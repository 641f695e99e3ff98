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

	RuleLabels map[string]map[string]string `yaml:"-"` // besides, by rule, which has the last word
}

const (
	maxLabels      = 20
	maxLabelLength = 200 // bytes of a value
)

var labelName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// Alert returns how a room is an alert.
func (t *Target) Alert() form.Alert {
	return form.Alert{Labels: t.Labels, RuleLabels: t.RuleLabels, GeneratorURL: t.GeneratorURL, EndsAfter: cmp.Or(time.Duration(t.EndsAfter), 7*24*time.Hour)}
}

func (t *Target) checkAlerts(p *problems) {
	if t.Kind != "alertmanager" {
		p.add(len(t.Labels) == 0 && t.GeneratorURL == "" && t.EndsAfter == 0, t.at(), "target %s: labels, generator_url and ends_after are for alertmanager alone", t.Name)
		return
	}
	checkLabels(p, "target "+t.Name, t.at, t.Labels)
	if t.GeneratorURL != "" {
		u, err := url.Parse(t.GeneratorURL)
		p.add(err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http"), t.at("generator_url"), "target %s: generator_url is %q: write https://host/path", t.Name, t.GeneratorURL)
	}
}

// checkLabels looks at the labels of a target or a rule.
func checkLabels(p *problems, what string, at func(field ...any) int, labels map[string]string) {
	p.add(len(labels) <= maxLabels, at("labels"), "%s: there are %d labels: write at most %d", what, len(labels), maxLabels)
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		line, value := at("labels", name), labels[name]
		p.add(labelName.MatchString(name) && !strings.HasPrefix(name, "__"), line, "%s: labels: %q is no name of a label: write letters, digits and _", what, name)
		p.add(!slices.Contains(form.AlertLabels(), name), line, "%s: labels: %s is set by roomnotify: choose another name", what, name)
		p.add(value != "" && len(value) <= maxLabelLength && !control(value), line, "%s: labels: %s has a value that is empty, longer than %d bytes, or of several lines", what, name, maxLabelLength)
		p.add(!strings.Contains(value, "{{"), line, "%s: labels: %s is a template, and labels have none: with other labels the end of a room would not resolve its alert", what, name)
	}
}

// labels gives each target of kind alertmanager the labels of its rules.
func (f *File) labels(p *problems) {
	for _, r := range f.Rules {
		if len(r.Labels) == 0 {
			continue
		}
		checkLabels(p, "rule "+r.Name, r.at, r.Labels)
		found := false
		for i := range f.Targets {
			t := &f.Targets[i]
			if t.Kind != "alertmanager" || !slices.Contains(r.Targets, t.Name) {
				continue
			}
			found = true
			if t.RuleLabels == nil {
				t.RuleLabels = map[string]map[string]string{}
			}
			t.RuleLabels[r.Name] = r.Labels
			all := maps.Clone(r.Labels)
			for name := range t.Labels {
				all[name] = ""
			}
			p.add(len(r.Labels) > maxLabels || len(all) <= maxLabels, r.at("labels"), "rule %s: with the labels of target %s there are %d: write at most %d", r.Name, t.Name, len(all), maxLabels)
		}
		p.add(found, r.at("labels"), "rule %s: labels are for alertmanager, and none of its targets is one", r.Name)
	}
}

// generic reports whether its URL is no secret, and it may have headers and a way to
// authenticate.
func (t *Target) generic() bool { return t.Kind == "webhook" || t.Kind == "alertmanager" }
