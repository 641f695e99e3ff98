package natstest

import (
	"os"
	"path/filepath"
)

// Keep copies the files of the server; [Server.Restore] brings them back. Those
// of a server that is up are what it has written by then.
func (s *Server) Keep() {
	s.t.Helper()
	s.copyFiles(s.dir, s.kept())
}

// Restore gives a stopped server the files that [Server.Keep] has copied, as
// a power cut or a backup would.
func (s *Server) Restore() {
	s.t.Helper()
	if s.srv.Load() != nil {
		s.t.Fatal("natstest: the server is up and writes to its files")
	}
	s.copyFiles(s.kept(), s.dir)
}

func (s *Server) kept() string { return filepath.Clean(s.dir) + ".kept" }

func (s *Server) copyFiles(from, to string) {
	s.t.Helper()
	if err := os.RemoveAll(to); err != nil {
		s.t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		s.t.Fatal(err)
	}
}
