package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// decode reads the one document of a file.
func decode(text []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var root, more yaml.Node
	err := d.Decode(&root)
	switch {
	case errors.Is(err, io.EOF), err == nil && (len(root.Content) == 0 || root.Content[0].Tag == "!!null"):
		return nil, errors.New("it is empty; `roomnotify help rules` has an example")
	case err != nil:
		return nil, errors.New(yamlText(err))
	}
	if err := d.Decode(&more); err == nil {
		return nil, fmt.Errorf("line %d: a second document begins here, which would be ignored: write one document, without ---", more.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, errors.New(yamlText(err))
	}
	return root.Content[0], nil
}

// yamlText is the text of an error of the YAML library in the words of a file.
func yamlText(err error) string {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	for library, hint := range map[string]string{
		"found character that cannot start any token":           "indent with spaces, not tabs, and quote what begins with %, @ or `",
		"mapping values are not allowed in this context":        "quote a text with a colon in it, and check that the lines above are indented alike",
		"did not find expected key":                             "check that the lines around it are indented alike",
		"did not find expected ',' or ']'":                      "a [ has no ]",
		"did not find expected ',' or '}'":                      "a { has no }",
		"did not find expected node content":                    "a [ or { has no end, or a value is missing",
		"found unexpected end of stream":                        "a quote has no end",
		"could not find expected ':'":                           "a line has no colon",
		"found undefined tag handle":                            "quote what begins with !",
		"did not find expected alphabetic or numeric character": "quote what begins with *: it means an alias in YAML",
	} {
		if strings.Contains(text, library) {
			return text + ": " + hint
		}
	}
	return text
}

var (
	wrongType = regexp.MustCompile(`^line (\d+): cannot unmarshal !!(\w+)(?: ` + "`(.*)`" + `)? into (.+)$`)
	keyTwice  = regexp.MustCompile(`^line (\d+): mapping key "(.+)" already defined at line (\d+)$`)
)

// typeText is one line of the library's error of types without Go's names. A
// value is shown only where no secret can stand.
func typeText(text string) string {
	if m := keyTwice.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("line %s: %q is there already, in line %s", m[1], m[2], m[3])
	}
	m := wrongType.FindStringSubmatch(text)
	if m == nil {
		return text
	}
	is := map[string]string{"seq": "a list", "map": "a group of fields", "str": "a text", "int": "a number", "float": "a number", "bool": "true or false", "null": "nothing"}[m[2]]
	if is == "" {
		is = "something else"
	}
	return fmt.Sprintf("line %s: found %s, expected %s", m[1], is, wanted(m[4]))
}

// wanted says what a Go type takes.
func wanted(t string) string {
	t = strings.TrimPrefix(t, "*")
	switch {
	case t == "string":
		return "a text"
	case t == "bool":
		return "true or false"
	case strings.HasPrefix(t, "int"), strings.HasPrefix(t, "uint"):
		return "a whole number, such as 10"
	case t == "[]string":
		return "a list of texts, such as [a, b]"
	case strings.HasPrefix(t, "[]int"):
		return "a list of numbers, such as [1000, 10000]"
	}
	return "a group of fields, each on a line of its own"
}

// lineOf is the line that a text begins with; 0 if it begins with none.
func lineOf(text string) int {
	rest, ok := strings.CutPrefix(text, "line ")
	if !ok {
		return 0
	}
	number, _, _ := strings.Cut(rest, ":")
	n, err := strconv.Atoi(number)
	if err != nil {
		return 0
	}
	return n
}
