// Welcomes each room that opens. With Node.js 22 or newer: npm ci && node subscribe.mjs
// NATS keeps the place, so that a restart goes on where it was.
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const durable = "greeter"; // its place in NATS: one process at a time
const { NATS_URL: servers = "127.0.0.1:4222", NATS_USER: user, NATS_PASSWORD: pass } = process.env;
const nc = await connect({ servers, user, pass, maxReconnectAttempts: -1 });

const manager = await jetstreamManager(nc, { checkAPI: false }); // the check needs a permission of its own
await manager.consumers.add("LIVE", {
  durable_name: durable,
  filter_subject: "live.room.created.>",
  ack_policy: AckPolicy.Explicit,
  ack_wait: 10_000_000_000, // nanoseconds until a message comes again that nobody has acknowledged
  max_ack_pending: 1, // one after the other; take more if their order does not matter to you
});
const consumer = await jetstream(nc, { checkAPI: false }).consumers.get("LIVE", durable);
// Somebody may remove the consumer or the stream: then it ends, rather than to wait for ever.
const messages = await consumer.consume({ abort_on_missing_resource: true });
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => messages.close());

try {
  for await (const message of messages) await handle(message);
} catch (error) {
  console.error(`stream LIVE, consumer ${durable}: ${error.message}; start again to make the consumer anew`);
  process.exitCode = 1;
}
await nc.close();

async function handle(message) {
  try {
    const { id, data } = message.json();
    // The same id comes again if we stop between our work and the acknowledgement.
    if (!data.baseline) await welcome(id, data.room); // baseline: live before roomwatch first looked
    await message.ackAck();
  } catch (error) {
    console.error(`${message.subject}: ${error.message}; it comes again`);
    message.nak(5_000);
  }
}

async function welcome(id, room) {
  console.log(id, "welcome,", JSON.stringify(room.RoomName ?? room.RoomId)); // your work
}
