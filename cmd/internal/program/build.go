package program

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Set by the release with -ldflags "-X roomwatch/cmd/internal/program.releaseVersion=…
// -X roomwatch/cmd/internal/program.releaseCommit=…", never at run time: a build
// without a checkout beside it knows neither.
var releaseVersion, releaseCommit string

// A Build says which program this is.
type Build struct {
	Version string // such as v1.2.0; "devel" if nobody said
	Commit  string // "unknown" if nobody said
	Go      string // version
}

// ThisBuild takes what the release has set and, failing that, what the go
// command recorded.
func ThisBuild() Build {
	b := Build{Version: releaseVersion, Commit: releaseCommit, Go: runtime.Version()}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{} // unreachable: built with modules
	}
	if v := info.Main.Version; b.Version == "" && v != "(devel)" {
		b.Version = v
	}
	recorded := map[string]string{}
	for _, s := range info.Settings {
		recorded[s.Key] = s.Value
	}
	if b.Commit == "" {
		b.Commit = recorded["vcs.revision"]
		if recorded["vcs.modified"] == "true" {
			b.Commit += " with changes"
		}
	}
	if b.Version == "" {
		b.Version = "devel"
	}
	if b.Commit == "" {
		b.Commit = "unknown"
	}
	return b
}

// Version is what claims and logs call this build.
func Version() string { return ThisBuild().Version }

// about is what `version` prints.
func about(name string) string {
	b := ThisBuild()
	return fmt.Sprintf("%s %s\ncommit %s\n%s %s/%s\n", name, b.Version, b.Commit, b.Go, runtime.GOOS, runtime.GOARCH)
}
