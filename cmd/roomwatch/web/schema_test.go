package web

import (
	"encoding/json"
	"io/fs"
	"strings"
	"testing"

	"roomwatch/publisher/schema"
)

// Each schema is served at the path that its URN says, and nothing else is.
func TestSchemasAreServed(t *testing.T) {
	r := newRig(t, nil).serve()
	names, err := fs.Glob(schema.Files, "*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		status, header, body := r.get("/schema/" + name)
		want, err := schema.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if status != 200 || body != string(want) {
			t.Errorf("/schema/%s: %d %s", name, status, body)
		}
		var doc struct {
			ID string `json:"$id"`
		}
		if err := json.Unmarshal(want, &doc); err != nil {
			t.Fatal(err)
		}
		if name != "asyncapi.json" && (doc.ID != "urn:roomwatch:schema:"+strings.TrimSuffix(name, ".json") || header.Get("Content-Type") != "application/schema+json") {
			t.Errorf("/schema/%s is %s, %s", name, doc.ID, header.Get("Content-Type"))
		}
	}
	for _, path := range []string{"/schema/", "/schema/schema.go", "/schema/..%2fschema.go", "/schema/nothing.v1.json"} {
		if status, _, body := r.get(path); status != 404 {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
}
