package environ

import (
	"bytes"
	"testing"
)

// The table speaks to a person who knows no Go.
func TestPrintHelp(t *testing.T) {
	var b bytes.Buffer
	if err := PrintHelp(&b, &sample{}); err != nil {
		t.Fatal(err)
	}
	want := `VARIABLE    VALUE          DEFAULT  MEANING
TOOL_EVERY  duration       10s      how often
TOOL_COUNT  number                  how many
TOOL_RATE   number         9.5      how fast
TOOL_OPEN   true or false  false    for all
TOOL_NAMES  list           a,b      which
TOOL_LEVEL  level          warn     how loud
TOOL_KEY    secret                  a key
`
	if b.String() != want {
		t.Errorf("printed\n%s\nwant\n%s", &b, want)
	}
}
