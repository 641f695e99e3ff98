// Package schema holds the contract of the events for machines: a JSON Schema
// (2020-12) of each event and of its data, and an AsyncAPI 3 document.
//
// They are strict about what roomwatch writes and open for what a later version
// adds. A file whose name has v1 changes only so that what was valid stays
// valid. Each file stands alone.
//
// An event names the schema of its data in dataschema, and CloudEvents wants an
// absolute URI there. roomwatch has no host of its own, so it is a URN, the
// schema's $id: a validator that knows the schema finds it under that, and
// whoever does not asks any running roomwatch for what follows the prefix,
// urn:roomwatch:schema:room.created.data.v1 at /schema/room.created.data.v1.json.
// A URI with a path and no host would be nearer to that, but URI libraries do
// not agree on how to write one.
package schema

import "embed"

// Files are the schemas and asyncapi.json.
//
//go:embed *.json
var Files embed.FS
