package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	gotypes "go/types"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A file has one subject, and a function fits on a screen.
const (
	maxFileLines     = 300
	maxFunctionLines = 60
)

// eachFile calls f with each file of the programs that is no test.
func eachFile(t *testing.T, do func(path string, files *token.FileSet, f *ast.File)) {
	t.Helper()
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
		do(path, files, f)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Outside tests no file and no function is longer than a reader takes in at once.
func TestSizes(t *testing.T) {
	eachFile(t, func(path string, files *token.FileSet, f *ast.File) {
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
	})
}

// A message of the log is a text that can be searched for, not the name of a part.
func TestLogMessages(t *testing.T) {
	methods := regexp.MustCompile(`^(Debug|Info|Warn|Error)(Context)?$`)
	found := 0
	eachFile(t, func(_ string, files *token.FileSet, f *ast.File) {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !methods.MatchString(method.Sel.Name) {
				return true
			}
			args := call.Args
			if strings.HasSuffix(method.Sel.Name, "Context") {
				args = args[1:]
			} else if receiver := gotypes.ExprString(method.X); !strings.HasSuffix(strings.ToLower(receiver), "log") {
				return true // of a checklist
			}
			found++
			if message, ok := args[0].(*ast.BasicLit); ok && !strings.Contains(message.Value, " ") {
				t.Errorf("%s: the message %s is one word", files.Position(call.Pos()), message.Value)
			}
			return true
		})
	})
	if found < 100 {
		t.Errorf("%d calls of a logger were found, want at least 100", found)
	}
}
