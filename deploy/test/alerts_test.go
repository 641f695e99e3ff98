package test

import (
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// Each alert that passes a standby over is tried with a standby: the group of the unit tests
// has the same metrics at a writer and at one, and the alert fires at the writer.
func TestAlertsOfTheWriter(t *testing.T) {
	var tests struct {
		Groups []struct {
			Name  string
			Tests []struct {
				Samples []struct{ Labels string } `yaml:"exp_samples"`
			} `yaml:"promql_expr_test"`
		} `yaml:"tests"`
	}
	read(t, "../prometheus/alerts_test.yml", yaml.Unmarshal, &tests)
	var tried string
	for _, g := range tests.Groups {
		if strings.HasPrefix(g.Name, "a standby: ") {
			for _, s := range g.Tests[0].Samples {
				tried += s.Labels + "\n"
			}
		}
	}
	of := 0
	about := []string{"alert RoomwatchTwoWriters", "alert RoomwatchNoWriter"} // of several processes
	for where, expr := range expressions(t) {
		alert, is := strings.CutPrefix(where, "alert ")
		if !is || !strings.Contains(expr, "roomwatch_writer") || slices.Contains(about, where) {
			continue
		}
		of++
		if !strings.Contains(tried, `{alertname="`+alert+`",`) {
			t.Errorf("the group of a standby in alerts_test.yml does not have %s", alert)
		}
	}
	if of < 10 {
		t.Errorf("%d alerts look at the writer alone", of)
	}
}
