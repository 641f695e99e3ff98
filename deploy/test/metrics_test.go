package test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"gopkg.in/yaml.v3"
)

// A scrape is what a running roomwatch, roomnotify and roomaudit expose: the labels of each sample, by
// the name under which a query finds it.
type scrape map[string][]map[string]string

func scraped(t *testing.T) scrape {
	t.Helper()
	s := scrape{"up": {{}}} // Prometheus's own
	ofRoomwatch, ofRoomnotify, ofRoomaudit := demo(t)
	for _, text := range []string{ofRoomwatch, ofRoomnotify, ofRoomaudit} {
		s.add(t, text)
	}
	return s
}

func (s scrape) add(t *testing.T, text string) {
	t.Helper()
	p := expfmt.NewTextParser(model.UTF8Validation)
	families, err := p.TextToMetricFamilies(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range families {
		for _, m := range f.GetMetric() {
			set := map[string]string{}
			for _, l := range m.GetLabel() {
				set[l.GetName()] = l.GetValue()
			}
			names := []string{name}
			if h := m.GetHistogram(); h != nil {
				names = []string{name + "_sum", name + "_count", name + "_bucket"}
				set["le"] = "+Inf"
			}
			for _, n := range names {
				s[n] = append(s[n], set)
			}
		}
	}
}

// has returns why a selector finds nothing in the scrape. Labels that
// Prometheus adds, and values that a variable or roomwatch's fate decides, are
// not looked at.
func (s scrape) has(matchers []*labels.Matcher) error {
	var name string
	for _, m := range matchers {
		if m.Name == model.MetricNameLabel {
			name = m.Value
		}
	}
	samples, ok := s[name]
	if !ok {
		return fmt.Errorf("no program exposes %s", name)
	}
	for _, m := range matchers {
		if slices.Contains([]string{model.MetricNameLabel, "job", "instance"}, m.Name) || m.Name == "made" {
			continue
		}
		if !slices.ContainsFunc(samples, func(set map[string]string) bool { return m.Matches(set[m.Name]) }) {
			return fmt.Errorf("no %s has %s", name, m)
		}
	}
	return nil
}

// expressions returns the queries of the alerts and of the dashboard, by where they stand.
func expressions(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr         string
				Annotations, Labels map[string]string
			}
		}
	}
	read(t, "../prometheus/alerts.yml", yaml.Unmarshal, &rules)
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			found["alert "+r.Alert] = r.Expr
			for _, a := range []string{"summary", "description", "action"} {
				if r.Annotations[a] == "" {
					t.Errorf("alert %s has no %s", r.Alert, a)
				}
			}
			if s := r.Labels["severity"]; s != "critical" && s != "warning" {
				t.Errorf("alert %s has severity %q", r.Alert, s)
			}
		}
	}
	for where, e := range dashboard(t) {
		found[where] = e
	}
	return found
}

// dashboard checks the form of the dashboard and returns its queries.
func dashboard(t *testing.T) map[string]string {
	t.Helper()
	var d struct {
		UID, Title string
		Templating struct{ List []struct{ Name string } }
		Panels     []struct {
			ID         int
			Type       string
			Title      string
			GridPos    struct{ H, W, X, Y int }
			Datasource struct{ UID string }
			Targets    []struct {
				Expr       string
				Datasource struct{ UID string }
			}
		}
	}
	read(t, "../grafana/roomwatch.json", json.Unmarshal, &d)
	var variables []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
	}
	if !slices.Contains(variables, "datasource") || !slices.Contains(variables, "instance") {
		t.Errorf("the dashboard's variables are %q", variables)
	}
	found := map[string]string{}
	ids, taken := map[int]bool{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("panel %q has the id %d of another one", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Errorf("panel %q lies on %q", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %q is wider than the page", p.Title)
		}
		for i, target := range p.Targets {
			if p.Datasource.UID != "${datasource}" || target.Datasource.UID != "${datasource}" {
				t.Errorf("panel %q does not ask the data source that was chosen", p.Title)
			}
			found[fmt.Sprintf("panel %s, query %d", p.Title, i+1)] = target.Expr
		}
		if p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q asks nothing", p.Title)
		}
	}
	return found
}

// A person reads on the dashboard how fresh news is: a sentence for each kind, with the
// usual and the bad case.
func TestDashboardTellsHowFreshNewsIs(t *testing.T) {
	all := expressions(t)
	for i, want := range [][2]string{{"0.5", "room.created"}, {"0.95", "room.created"}, {"0.5", "room.ended"}, {"0.95", "room.ended"}} {
		expr := all[fmt.Sprintf("panel How fresh news is, over the last hour, query %d", i+1)]
		if !strings.HasPrefix(expr, "histogram_quantile("+want[0]+",") || !strings.Contains(expr, `roomwatch_state_news_age_seconds_bucket{type="`+want[1]+`"`) {
			t.Errorf("query %d asks for %q, want the %s quantile of %s", i+1, expr, want[0], want[1])
		}
	}
}

// variables stand in dashboards where Grafana puts values in.
var variables = strings.NewReplacer("$__rate_interval", "1m", "$job", ".*", "$instance", ".*")

// Every query is one, and asks for metrics that a running program exposes,
// with label values that it gives them.
func TestQueriesAskForWhatThereIs(t *testing.T) {
	have := scraped(t)
	used := map[string]bool{}
	for where, text := range expressions(t) {
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(variables.Replace(text))
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		for _, selector := range parser.ExtractSelectors(expr) {
			if err := have.has(selector); err != nil {
				t.Errorf("%s: %v", where, err)
			}
			for _, m := range selector {
				if m.Name == model.MetricNameLabel {
					used[strings.TrimSuffix(m.Value, "_bucket")] = true
				}
			}
		}
	}
	for name := range have {
		if base := strings.TrimSuffix(strings.TrimSuffix(name, "_sum"), "_count"); slices.Contains(programs, prefix(name)) && !used[strings.TrimSuffix(base, "_bucket")] {
			t.Errorf("no panel and no alert shows %s", name)
		}
	}
}

func prefix(name string) string {
	before, _, _ := strings.Cut(name, "_")
	return before
}

func read(t *testing.T, path string, unmarshal func([]byte, any) error, v any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
