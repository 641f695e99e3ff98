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

// linesOf returns the lines of targets and rules, by targets.<name> and rules.<name>.
func linesOf(n *yaml.Node) map[string]int {
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		section := n.Content[i+1]
		for j := 0; j+1 < len(section.Content); j += 2 {
			lines[fmt.Sprintf("%s.%s", n.Content[i].Value, section.Content[j].Value)] = section.Content[j].Line
		}
	}
	return lines
}
