package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// codesOf returns the codes that a kind's lists in form have, as they are written there.
func codesOf(t *testing.T) map[string][]string {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("form", "codes.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string][]string{}
	for _, d := range file.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			name := v.Names[0].Name
			kind := name[:strings.IndexFunc(name, func(r rune) bool { return r < 'a' })]
			list, ok := v.Values[0].(*ast.CompositeLit)
			if !ok {
				t.Fatalf("%s is no list of codes", name)
			}
			for _, e := range list.Elts {
				if pair, ok := e.(*ast.KeyValueExpr); ok {
					e = pair.Key
				}
				sign := ""
				if minus, ok := e.(*ast.UnaryExpr); ok {
					sign, e = "-", minus.X
				}
				text := e.(*ast.BasicLit).Value
				if word, err := strconv.Unquote(text); err == nil {
					text = word
				}
				codes[kind] = append(codes[kind], sign+text)
			}
		}
	}
	return codes
}

// Each code that form tells from others has a cell in the matrix, whose answer has it: what
// becomes of a notification is seen for each, and a list can neither lose one nor get one
// that nobody has tried.
func TestEachCodeHasACell(t *testing.T) {
	codes := codesOf(t)
	for kind, n := range map[string]int{"feishu": 40, "wecom": 5, "dingtalk": 8, "discord": 10, "slack": 25} {
		if len(codes[kind]) < n {
			t.Errorf("only %d codes of %s are found", len(codes[kind]), kind)
		}
	}
	for kind, list := range codes {
		for i, code := range list {
			if slices.Contains(list[:i], code) {
				t.Errorf("%s has code %s twice", kind, code)
			}
			body := regexp.MustCompile(fmt.Sprintf(`"(code|errcode|sub_code)":"?%s\b`, code))
			if kind == "slack" {
				body = regexp.MustCompile("^" + code + "$")
			}
			if !slices.ContainsFunc(matrix[kind], func(c cell) bool { return body.MatchString(c.body) }) {
				t.Errorf("code %s of %s has no cell: write the answer that the service documents into the matrix", code, kind)
			}
		}
	}
}
