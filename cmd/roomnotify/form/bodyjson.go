package form

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
)

// What a template of a body puts out, before it is assembled: its own text, with the
// number of the line after each lineMark, and values between valueMark and
// valueEnd, as JSON. JSON has no control characters, and the template's text may have
// none, so the marks are nothing else.
const (
	lineMark  = '\x01' // followed by digits and endMark
	valueMark = '\x02'
	endMark   = '\x03'
)

// bodyFunctions are those of bodies, besides those of texts.
var bodyFunctions = template.FuncMap{
	valueFunction: writeValue,
	"markdown":    func(s string) string { return escapeMarkdown(unlink(s)) },
}

// valueFunction is put at the end of each pipeline whose value is written.
const valueFunction = "_value"

// writeValue writes a value as JSON, marked.
func writeValue(v any) (string, error) {
	switch x := v.(type) {
	case time.Duration:
		v = x.Seconds()
	case time.Time:
		if x.IsZero() {
			v = nil
		}
	}
	b, err := encode(v)
	if err != nil {
		return "", fmt.Errorf("JSON has no such value: %w", err)
	}
	return string(valueMark) + string(b) + string(endMark), nil
}

// noteValues puts the line before each piece of the template's text, and
// [writeValue] behind each value that is written.
func noteValues(tree *parse.Tree, n parse.Node, text string) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil {
			return // a branch that is not there
		}
		for _, c := range n.Nodes {
			noteValues(tree, c, text)
		}
	case *parse.ActionNode:
		if len(n.Pipe.Decl) == 0 { // one that sets a variable writes nothing
			call := parse.NewIdentifier(valueFunction).SetTree(tree).SetPos(n.Pos)
			n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: n.Pos, Args: []parse.Node{call}})
		}
	case *parse.TextNode:
		var b strings.Builder
		line := strings.Count(text[:n.Pos], "\n") + 1
		for piece := range strings.Lines(string(n.Text)) {
			fmt.Fprintf(&b, "%c%d%c%s", lineMark, line, endMark, piece)
			line++
		}
		if strings.HasSuffix(string(n.Text), "\n") { // of what follows it
			fmt.Fprintf(&b, "%c%d%c", lineMark, line, endMark)
		}
		n.Text = []byte(b.String())
	case *parse.IfNode:
		noteBranches(tree, &n.BranchNode, text)
	case *parse.RangeNode:
		noteBranches(tree, &n.BranchNode, text)
	case *parse.WithNode:
		noteBranches(tree, &n.BranchNode, text)
	}
}

func noteBranches(tree *parse.Tree, n *parse.BranchNode, text string) {
	noteValues(tree, n.List, text)
	noteValues(tree, n.ElseList, text)
}

// linesOf are the lines of the template from which the bytes of a body come.
type linesOf []struct{ from, line int }

// at returns the line of a byte.
func (l linesOf) at(offset int) int {
	line := 1
	for _, p := range l {
		if p.from > offset {
			break
		}
		line = p.line
	}
	return line
}

var errAfterBackslash = errors.New(`a value follows a backslash: write \\ for one, or remove it`)

// assemble puts the values where they belong: as they are, or, within a text between
// quotes, escaped as a part of it.
func assemble(marked string) (body []byte, lines linesOf, err error) {
	quoted, escaped := false, false
	line := 1
	for i := 0; i < len(marked); i++ {
		switch c := marked[i]; c {
		case lineMark:
			end := i + strings.IndexByte(marked[i:], endMark)
			if line, err = strconv.Atoi(marked[i+1 : end]); err != nil {
				return nil, nil, &TextError{line, err.Error()} // unreachable: these are digits
			}
			lines = append(lines, struct{ from, line int }{len(body), line})
			i = end
		case valueMark:
			end := i + strings.IndexByte(marked[i:], endMark)
			value := marked[i+1 : end]
			if escaped {
				return nil, nil, &TextError{line, errAfterBackslash.Error()}
			}
			if quoted {
				value = within(value)
			}
			body = append(body, value...)
			i = end
		default:
			body = append(body, c)
			switch {
			case escaped:
				escaped = false
			case quoted && c == '\\':
				escaped = true
			case c == '"':
				quoted = !quoted
			}
		}
	}
	return body, lines, nil
}

// within returns a value of JSON as a part of a text: a text without its quotes, and
// anything else as it is written, escaped.
func within(value string) string {
	if inner, ok := strings.CutPrefix(value, `"`); ok {
		return strings.TrimSuffix(inner, `"`)
	}
	if value == "null" {
		return ""
	}
	return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value)
}

func hashOf(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}
