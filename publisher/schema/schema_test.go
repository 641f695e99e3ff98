package schema_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"roomwatch/publisher/events"
	"roomwatch/publisher/schema"
)

const golden = "../events/testdata/v1"

func read(t *testing.T, name string) any {
	t.Helper()
	b, err := schema.Files.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return decode(t, b)
}

func decode(t *testing.T, b []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func urn(name string) string { return "urn:roomwatch:schema:" + strings.TrimSuffix(name, ".json") }

// compiled returns the schema in each file, by name.
func compiled(t *testing.T) map[string]*jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	names, err := fs.Glob(schema.Files, "*.v1.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := c.AddResource(urn(name), read(t, name)); err != nil {
			t.Fatal(err)
		}
	}
	all := map[string]*jsonschema.Schema{}
	for _, name := range names {
		s, err := c.Compile(urn(name))
		if err != nil {
			t.Fatal(err)
		}
		if m, ok := read(t, name).(map[string]any); !ok || m["$id"] != urn(name) || m["$schema"] != "https://json-schema.org/draft/2020-12/schema" {
			t.Errorf("%s is not what it says it is", name)
		}
		all[strings.TrimSuffix(name, ".v1.json")] = s
	}
	return all
}

// goldens returns the golden events, by name of the file.
func goldens(t *testing.T) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob(golden + "/*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("golden events: %q, %v", names, err)
	}
	list := map[string][]byte{}
	for _, name := range names {
		if list[filepath.Base(name)], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// The schemas take every event that was ever written, and the data by itself.
func TestGoldenEventsAreValid(t *testing.T) {
	schemas := compiled(t)
	seen := map[string]bool{}
	for name, body := range goldens(t) {
		v := decode(t, body)
		e := v.(map[string]any)
		typ := e["type"].(string)
		seen[typ] = true
		if err := schemas[typ].Validate(v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if want := "urn:roomwatch:schema:" + typ + ".data.v1"; e["dataschema"] != want {
			t.Errorf("%s: dataschema %v, want %s", name, e["dataschema"], want)
		}
		if err := schemas[typ+".data"].Validate(e["data"]); err != nil {
			t.Errorf("%s: data: %v", name, err)
		}
		// What a later version adds is no fault, at any depth.
		add(v)
		if err := schemas[typ].Validate(v); err != nil {
			t.Errorf("%s with more in it: %v", name, err)
		}
	}
	for _, typ := range append(events.Types(), "writer.claimed", events.WatchAlive, events.WatchResumed) {
		if !seen[string(typ)] {
			t.Errorf("there is no golden %s", typ)
		}
	}
}

func add(v any) {
	if m, ok := v.(map[string]any); ok {
		for _, inner := range m {
			add(inner)
		}
		m["later"] = "addition"
	}
}

// The schemas are strict: an event from which something is taken away, or that
// has another kind of value, is refused.
func TestSchemasAreStrict(t *testing.T) {
	schemas := compiled(t)
	optional := map[string][]string{
		"":            {"/traceparent", "/data/since", "/data/baseline", "/data/gap", "/data/watched_since", "/data/evidence", "/data/evidence/missed"},
		"room.ended":  {"/data/room/IsPublicVisible"},
		"room.hidden": {"/data/previous"},
		"watch.alive": {"/data/watched_until", "/data/sweep", "/data/recall"},
	}
	for name, body := range goldens(t) {
		typ := decode(t, body).(map[string]any)["type"].(string)
		var try func(at string, edit func(root any) map[string]any)
		try = func(at string, get func(root any) map[string]any) {
			for _, key := range slices.Sorted(maps.Keys(get(decode(t, body)))) {
				where := at + "/" + key
				without := decode(t, body)
				delete(get(without), key)
				inPrevious := at == "/data/previous" && (typ == "room.updated")
				if err := schemas[typ].Validate(without); err == nil && !slices.Contains(append(optional[""], optional[typ]...), where) && !inPrevious {
					t.Errorf("%s without %s is valid", name, where)
				}
				wrong := decode(t, body)
				get(wrong)[key] = []any{true}
				if err := schemas[typ].Validate(wrong); err == nil {
					t.Errorf("%s with a wrong %s is valid", name, where)
				}
				if _, ok := get(decode(t, body))[key].(map[string]any); ok {
					try(where, func(root any) map[string]any { return get(root)[key].(map[string]any) })
				}
			}
		}
		try("", func(root any) map[string]any { return root.(map[string]any) })
	}
}

// Every field of the Go types is in the schemas, under its name, and no other.
func TestSchemasHaveTheFieldsOfTheTypes(t *testing.T) {
	defs := read(t, "room.updated.v1.json").(map[string]any)["$defs"].(map[string]any)
	properties := func(names ...string) []string {
		all := map[string]bool{}
		for _, n := range names {
			for k := range defs[n].(map[string]any)["properties"].(map[string]any) {
				all[k] = true
			}
		}
		return slices.Sorted(maps.Keys(all))
	}
	for _, tt := range []struct {
		typ  reflect.Type
		have []string
	}{
		{reflect.TypeFor[events.Event](), append(properties("envelope", "roomEvent"), "data")},
		{reflect.TypeFor[events.Data](), append(properties("data"), "baseline", "previous")},
		{reflect.TypeFor[events.Room](), properties("room")},
		{reflect.TypeFor[events.Previous](), properties("previous")},
	} {
		var want []string
		for i := range tt.typ.NumField() {
			if name, _, _ := strings.Cut(tt.typ.Field(i).Tag.Get("json"), ","); name != "-" {
				want = append(want, name)
			}
		}
		slices.Sort(want)
		slices.Sort(tt.have)
		if !slices.Equal(tt.have, want) {
			t.Errorf("%s has %q, the schemas %q", tt.typ, want, tt.have)
		}
	}
}

// asyncapi.json has a channel and a message for each type, with its schema.
func TestAsyncAPINamesEveryEvent(t *testing.T) {
	var doc struct {
		Channels   map[string]struct{ Address string }
		Components struct {
			Messages map[string]struct {
				Name    string
				Payload struct {
					Schema struct {
						Ref string `json:"$ref"`
					}
				}
			}
		}
	}
	b, err := schema.Files.ReadFile("asyncapi.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for key, m := range doc.Components.Messages {
		got[m.Name] = doc.Channels[key].Address + " " + path.Base(m.Payload.Schema.Ref)
	}
	want := map[string]string{}
	for _, typ := range []events.Type{"writer.claimed", events.WatchAlive, events.WatchResumed} {
		want[string(typ)] = "{prefix}." + string(typ) + ".{sdkappid} " + string(typ) + ".v1.json"
	}
	for _, typ := range events.Types() {
		want[string(typ)] = "{prefix}." + string(typ) + ".{sdkappid}.{room} " + string(typ) + ".v1.json"
	}
	if !maps.Equal(got, want) {
		t.Errorf("asyncapi.json has %v, want %v", got, want)
	}
}
