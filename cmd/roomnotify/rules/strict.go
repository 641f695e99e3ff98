package rules

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// unknownFields returns an error for each key that no field of the file has. The
// library's own strict mode does not say which keys there are.
func unknownFields(n *yaml.Node) problems {
	var p problems
	walk(n, reflect.TypeFor[wireFile](), "the file", &p)
	return p
}

func walk(n *yaml.Node, t reflect.Type, what string, p *problems) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if n.Kind != yaml.MappingNode {
		return // a value of the wrong kind is told by the decoder
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case t.Kind() == reflect.Map:
			walk(value, t.Elem(), "a "+strings.TrimSuffix(what, "s"), p)
		case t.Kind() == reflect.Struct:
			f, known := fieldsOf(t)[key.Value]
			if !known && key.Value == "<<" {
				walk(value, t, what, p)
				continue
			}
			p.add(known, key.Line, "%q is unknown in %s; known are %s", key.Value, what, strings.Join(names(t), ", "))
			if known {
				walk(value, f, key.Value, p)
			}
		}
	}
}

// fieldsOf returns the types of the fields of a struct by the names they have in YAML.
func fieldsOf(t reflect.Type) map[string]reflect.Type {
	fields := map[string]reflect.Type{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case f.Anonymous:
			for k, v := range fieldsOf(f.Type) {
				fields[k] = v
			}
		case name != "" && name != "-":
			fields[name] = f.Type
		}
	}
	return fields
}

func names(t reflect.Type) []string {
	var list []string
	for k := range fieldsOf(t) {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// lines are where things stand in the file, by their path: rules.news,
// rules.news.events, rules.news.events.0.
type lines map[string]int

func linesOf(n *yaml.Node) lines {
	l := lines{}
	l.note("", n)
	return l
}

func (l lines) note(path string, n *yaml.Node) {
	if n.Kind == yaml.AliasNode {
		return // it stands where its anchor does
	}
	for i, c := range n.Content {
		switch {
		case n.Kind == yaml.SequenceNode:
			at := fmt.Sprintf("%s.%d", path, i)
			l[at] = c.Line
			l.note(at, c)
		case n.Kind == yaml.MappingNode && i%2 == 1:
			at := strings.TrimPrefix(path+"."+n.Content[i-1].Value, ".")
			l[at] = n.Content[i-1].Line
			l.note(at, c)
		}
	}
}

// of returns the line of the longest part of a path that is in the file itself,
// and not in one that it takes over with <<.
func (l lines) of(path ...any) int {
	for n := len(path); n > 0; n-- {
		if line, ok := l[join(path[:n])]; ok {
			return line
		}
	}
	return 1
}

// within reports whether one of some lines is that of something at or below a path.
func (l lines) within(some map[int]bool, path ...any) bool {
	at := join(path)
	for p, line := range l {
		if some[line] && (p == at || strings.HasPrefix(p, at+".")) {
			return true
		}
	}
	return false
}

func join(path []any) string {
	var parts []string
	for _, p := range path {
		parts = append(parts, fmt.Sprint(p))
	}
	return strings.Join(parts, ".")
}
