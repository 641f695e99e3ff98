package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// A file has one subject, and a function fits on a screen.
const (
	maxFileLines     = 300
	maxFunctionLines = 60
)

// Outside tests no file and no function is longer than a reader takes in at once.
func TestSizes(t *testing.T) {
	files := token.NewFileSet()
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() && d.Name() == "node_modules" {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		if n := files.File(f.Pos()).LineCount(); n > maxFileLines {
			t.Errorf("%s has %d lines", path, n)
		}
		for _, decl := range f.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body != nil && len(fn.Body.List) == 1 {
				continue // one statement is a table
			}
			begin, end := files.Position(fn.Pos()), files.Position(fn.End())
			if n := end.Line - begin.Line + 1; n > maxFunctionLines {
				t.Errorf("%s has %d lines", begin, n)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
