// asyncapi.json under AsyncAPI's own parser: it has to be valid, with each
// schema that it refers to, and tell of five messages.
import { Parser, fromFile } from "@asyncapi/parser";

const parser = new Parser();
const { document, diagnostics } = await fromFile(parser, new URL("../asyncapi.json", import.meta.url).pathname).parse();
for (const d of diagnostics) {
  console.log(`${["error", "warning", "info", "hint"][d.severity]}: ${d.path.join("/")}: ${d.message}`);
}
const messages = document?.allMessages().all().map((m) => m.name()).sort() ?? [];
console.log(`asyncapi.json: ${messages.join(", ")}`);
const wrong = diagnostics.filter((d) => d.severity < 2);
if (messages.length !== 5 || document.allMessages().all().some((m) => !m.payload()) || wrong.length > 0) {
  process.exit(1);
}
