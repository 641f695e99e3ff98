package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// mayImport is the whole import graph of the module: what each package may
// import from it.
//
//	cmd/roomwatch ─── daemon ─┬─ bus, web ─┬─ publisher ─┬─ natsconn ── diff/secret
//	    │                │    ├─ poller    │      │      ├─ reader
//	    ├─ roomnotify    │    ├─ tracing   │      │      └─ streams
//	    └─ roomaudit     │    └─ state ────┤      │
//	        │         config               └──── diff ─── diff/retry, diff/spans
//	        └─ events ── reader
//
// poller, state and publisher never see each other; they meet in cmd and speak
// in the types of diff. What each of them needs besides lies below diff: how to wait,
// how spans are linked, and what must not be shown. daemon ties the parts together,
// from the variables that config has read; web shows what state and publisher know, and
// bus tells the same over NATS.
// The simulator stands alone: one that shared code with the decoder would prove
// nothing. Each of the three programs talks to NATS by natsconn, knows from streams what a stream
// must be like, and reads one by reader. So does events, the part of subscribers,
// which shares nothing else with roomwatch.
var mayImport = map[string][]string{
	"roomwatch/diff":                             {},
	"roomwatch/diff/logtest":                     {},
	"roomwatch/diff/retry":                       {},
	"roomwatch/diff/spans":                       {},
	"roomwatch/diff/secret":                      {},
	"roomwatch/poller":                           {"roomwatch/diff/spans", "roomwatch/diff/retry", "roomwatch/diff", "roomwatch/diff/secret"},
	"roomwatch/poller/simulator":                 {},
	"roomwatch/poller/webhook":                   {"roomwatch/diff"},
	"roomwatch/state":                            {"roomwatch/diff/spans", "roomwatch/diff"},
	"roomwatch/publisher":                        {"roomwatch/diff/spans", "roomwatch/diff/retry", "roomwatch/diff", "roomwatch/publisher/natsconn", "roomwatch/publisher/reader", "roomwatch/publisher/streams"},
	"roomwatch/publisher/lease":                  {"roomwatch/diff/retry", "roomwatch/publisher/natsconn", "roomwatch/publisher/streams"},
	"roomwatch/publisher/natsconn":               {"roomwatch/diff/retry", "roomwatch/diff/secret"},
	"roomwatch/publisher/events":                 {"roomwatch/diff/retry", "roomwatch/publisher/reader", "roomwatch/publisher/recent"},
	"roomwatch/publisher/reader":                 {},
	"roomwatch/publisher/recent":                 {},
	"roomwatch/publisher/natstest":               {},
	"roomwatch/publisher/schema":                 {},
	"roomwatch/publisher/streams":                {},
	"roomwatch/cmd/internal/display":             {},
	"roomwatch/cmd/internal/environ":             {"roomwatch/publisher/natsconn", "roomwatch/diff/secret"},
	"roomwatch/cmd/internal/serve":               {"roomwatch/cmd/internal/environ"},
	"roomwatch/cmd/internal/program":             {"roomwatch/cmd/internal/environ"},
	"roomwatch/cmd/internal/program/programtest": {},
	"roomwatch/cmd/roomwatch/web":                {"roomwatch/cmd/internal/serve", "roomwatch/diff", "roomwatch/state", "roomwatch/publisher", "roomwatch/publisher/natsconn", "roomwatch/publisher/reader", "roomwatch/publisher/schema", "roomwatch/publisher/streams"},
	"roomwatch/cmd/roomwatch/bus":                {"roomwatch/cmd/internal/serve", "roomwatch/cmd/roomwatch/web", "roomwatch/diff/retry", "roomwatch/publisher/natsconn"},
	"roomwatch/cmd/roomwatch/tracing":            {"roomwatch/state", "roomwatch/diff/secret", "roomwatch/cmd/internal/program"},
	"roomwatch/cmd/roomwatch/config": {
		"roomwatch/diff", "roomwatch/poller", "roomwatch/publisher", "roomwatch/publisher/lease", "roomwatch/publisher/natsconn", "roomwatch/publisher/streams", "roomwatch/cmd/internal/environ", "roomwatch/cmd/internal/serve", "roomwatch/cmd/roomwatch/tracing",
	},
	"roomwatch/cmd/roomwatch/daemon": {
		"roomwatch/diff", "roomwatch/diff/retry", "roomwatch/poller", "roomwatch/poller/webhook", "roomwatch/state", "roomwatch/publisher", "roomwatch/publisher/lease", "roomwatch/publisher/natsconn",
		"roomwatch/cmd/internal/display", "roomwatch/cmd/internal/program", "roomwatch/cmd/internal/serve", "roomwatch/cmd/roomwatch/bus", "roomwatch/cmd/roomwatch/config", "roomwatch/cmd/roomwatch/tracing", "roomwatch/cmd/roomwatch/web",
	},
	"roomwatch/cmd/roomwatch": {
		"roomwatch/diff", "roomwatch/poller", "roomwatch/poller/webhook", "roomwatch/poller/simulator", "roomwatch/state", "roomwatch/publisher", "roomwatch/publisher/lease", "roomwatch/publisher/natsconn", "roomwatch/publisher/reader",
		"roomwatch/publisher/events", "roomwatch/publisher/streams", "roomwatch/cmd/internal/environ", "roomwatch/cmd/internal/program", "roomwatch/cmd/internal/display",
		"roomwatch/cmd/roomwatch/config", "roomwatch/cmd/roomwatch/daemon", "roomwatch/cmd/roomwatch/web",
	},
	"roomwatch/cmd/roomnotify/rules": {"roomwatch/cmd/roomnotify/form", "roomwatch/publisher/events", "roomwatch/diff/secret"},
	"roomwatch/cmd/roomnotify/form":  {"roomwatch/cmd/internal/display", "roomwatch/publisher/events"},
	"roomwatch/cmd/roomnotify": {
		"roomwatch/diff/retry", "roomwatch/publisher/natsconn", "roomwatch/publisher/events", "roomwatch/publisher/streams", "roomwatch/cmd/internal/environ", "roomwatch/cmd/internal/program",
		"roomwatch/cmd/internal/display", "roomwatch/cmd/internal/serve", "roomwatch/cmd/roomnotify/rules", "roomwatch/cmd/roomnotify/form", "roomwatch/diff/secret", "roomwatch/publisher/reader", "roomwatch/publisher/recent",
	},
	"roomwatch/cmd/roomaudit/trail": {"roomwatch/diff/retry", "roomwatch/publisher/events"},
	"roomwatch/cmd/roomaudit": {
		"roomwatch/diff/retry", "roomwatch/publisher/natsconn", "roomwatch/publisher/reader", "roomwatch/publisher/events", "roomwatch/publisher/streams", "roomwatch/cmd/internal/display", "roomwatch/cmd/internal/environ",
		"roomwatch/cmd/internal/program", "roomwatch/cmd/internal/serve", "roomwatch/cmd/roomaudit/trail",
	},
	"roomwatch/cmd/roombench": {"roomwatch/diff/retry", "roomwatch/diff", "roomwatch/poller", "roomwatch/poller/simulator", "roomwatch/publisher", "roomwatch/publisher/events"},
}

func TestImportGraph(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "roomwatch/...").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		allowed, known := mayImport[fields[0]]
		if !known {
			t.Errorf("%s is not in the graph", fields[0])
		}
		for _, i := range fields[1:] {
			if strings.HasPrefix(i, "roomwatch/") && !slices.Contains(allowed, i) {
				t.Errorf("%s imports %s", fields[0], i)
			}
			if fields[0] == "roomwatch/diff" && strings.Contains(i, ".") {
				t.Errorf("%s imports %s: it may import the standard library alone", fields[0], i)
			}
		}
	}
}

// Who asks JetStream asks that of the domain which is configured.
func TestImportedJetStreamHasADomain(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "grep", "-rnE", "--include=*.go", "--exclude=*_test.go", "--exclude=domain.go", "--exclude-dir=roombench", "--exclude-dir=examples", "--exclude-dir=natstest",
		`jetstream\.New\(|DefaultAPIPrefix|"\$JS\.API`, "../..").CombinedOutput()
	if len(out) > 0 { // grep fails where it finds nothing
		t.Errorf("use natsconn.Conn.JetStream and natsconn.APIPrefix (%v):\n%s", err, out)
	}
}

// What only tests need, or who makes packages, is not compiled by who builds a program.
func TestProgramsNeedNothingOfTests(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", "roomwatch/cmd/roomwatch", "roomwatch/cmd/roomnotify", "roomwatch/cmd/roomaudit", "roomwatch/cmd/roombench").Output()
	if err != nil {
		t.Fatal(err)
	}
	for p := range strings.Lines(string(out)) {
		for _, of := range []string{
			"testing", "roomwatch/publisher/natstest", "roomwatch/diff/logtest", "go.uber.org/goleak", "pgregory.net/rapid", "github.com/cloudevents", "github.com/getkin/kin-openapi",
			"github.com/santhosh-tekuri/jsonschema", "github.com/spf13/cobra/doc", "github.com/emersion",
		} {
			if p := strings.TrimSpace(p); p == of || strings.HasPrefix(p, of+"/") {
				t.Errorf("a program compiles %s", p)
			}
		}
	}
}

// A newcomer finds everything in six folders.
func TestFolders(t *testing.T) {
	entries, err := os.ReadDir(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	known := []string{"cmd", "deploy", "diff", "poller", "publisher", "state"}
	for _, e := range entries {
		if e.IsDir() && !strings.HasPrefix(e.Name(), ".") && !slices.Contains(known, e.Name()) {
			t.Errorf("%s: new packages go inside %v", e.Name(), known)
		}
	}
}
