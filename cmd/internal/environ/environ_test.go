package environ

import (
	"log/slog"
	"testing"
	"time"
)

type inner struct {
	Key Secret `envconfig:"TOOL_KEY" desc:"a key"`
}

type sample struct {
	Every time.Duration `envconfig:"TOOL_EVERY" default:"10s" desc:"how often"`
	Count int           `envconfig:"TOOL_COUNT" desc:"how many"`
	Rate  float64       `envconfig:"TOOL_RATE" default:"9.5" desc:"how fast"`
	Open  bool          `envconfig:"TOOL_OPEN" default:"false" desc:"for all"`
	Names []string      `envconfig:"TOOL_NAMES" default:"a,b" desc:"which"`
	Level slog.Level    `envconfig:"TOOL_LEVEL" default:"warn" desc:"how loud"`

	inner
}

// What cannot be read is reported with its fix and keeps its default, so that a
// check of the values has nothing false to say about it.
func TestUnreadableVariables(t *testing.T) {
	for name, value := range map[string]string{
		"TOOL_EVERY": "5", "TOOL_COUNT": "many", "TOOL_RATE": "fast", "TOOL_OPEN": "perhaps", "TOOL_LEVEL": "loud", "TOOL_NAMES": "", "TOOL_KEY": "hush",
	} {
		t.Setenv(name, value)
	}
	var c sample
	err := Load(&c)
	if c.Every != 10*time.Second || c.Count != 0 || c.Rate != 9.5 || c.Open || c.Level != slog.LevelWarn || len(c.Names) != 2 || c.Key != "hush" {
		t.Errorf("read %+v", c)
	}
	if err == nil {
		t.Fatal("no error")
	}
	want := `TOOL_EVERY is "5": write a duration with its unit, such as 10s, 5m or 24h
TOOL_COUNT is "many": write a whole number
TOOL_RATE is "fast": write a number, such as 9.5
TOOL_OPEN is "perhaps": write true or false
TOOL_LEVEL is "loud": write debug, info, warn or error`
	if err.Error() != want {
		t.Errorf("the error is\n%v\nwant\n%s", err, want)
	}
}
