package main

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"roomwatch/publisher/events"
	"roomwatch/publisher/schema"
)

// schemas returns the published schema of each type of events.
func schemas(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	all := map[string]*jsonschema.Schema{}
	for _, typ := range append(events.Types(), "writer.claimed", events.WatchAlive, events.WatchResumed) {
		b, err := schema.Files.ReadFile(string(typ) + ".v1.json")
		if err != nil {
			t.Fatal(err)
		}
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		c.AssertFormat()
		if err := c.AddResource("file:///schema.json", doc); err != nil {
			t.Fatal(err)
		}
		if all[string(typ)], err = c.Compile("file:///schema.json"); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// invalid returns the events that the published schemas do not take, or that
// the package for subscribers reads otherwise.
func invalid(t *testing.T, list []wireEvent) []string {
	t.Helper()
	all := schemas(t)
	var faults []string
	for _, e := range list {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(e.raw))
		if err == nil {
			err = all[e.Type].Validate(doc)
		}
		if err != nil {
			faults = append(faults, fmt.Sprintf("%s: %v", e.ID, err))
		}
		got, err := events.Decode(e.raw)
		if err != nil {
			faults = append(faults, err.Error())
			continue
		}
		if again, err := events.Encode(got); err != nil || !bytes.Equal(again, e.raw) {
			faults = append(faults, fmt.Sprintf("%s: subscribers read %s, %v; published is %s", e.ID, again, err, e.raw))
		}
	}
	return faults
}
