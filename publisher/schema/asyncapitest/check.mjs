// asyncapi.json under AsyncAPI's own parser: it has to be valid, with each
// schema that it refers to, and tell of each message that has a schema.
import { readdirSync } from "node:fs";
import { Parser, fromFile } from "@asyncapi/parser";

const parser = new Parser();
const { document, diagnostics } = await fromFile(parser, new URL("../asyncapi.json", import.meta.url).pathname).parse();
for (const d of diagnostics) {
  console.log(`${["error", "warning", "info", "hint"][d.severity]}: ${d.path.join("/")}: ${d.message}`);
}
const messages = document?.allMessages().all().map((m) => m.name()).sort() ?? [];
console.log(`asyncapi.json: ${messages.join(", ")}`);
const wrong = diagnostics.filter((d) => d.severity < 2);
const schemas = readdirSync(new URL("..", import.meta.url)).filter((f) => f.endsWith(".v1.json") && !f.endsWith(".data.v1.json"))
  .map((f) => f.slice(0, -".v1.json".length)).sort();
if (schemas.length === 0 || messages.join() !== schemas.join()) {
  console.log(`there are schemas of ${schemas.join(", ")}`);
  process.exit(1);
}
if (document.allMessages().all().some((m) => !m.payload()) || wrong.length > 0) {
  process.exit(1);
}
