// Welcomes each room that opens: npm ci && node subscribe.mjs
// NATS keeps the place, so that a restart goes on where it was.
import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const { NATS_URL: servers = "127.0.0.1:4222", NATS_USER: user, NATS_PASSWORD: pass } = process.env;
const nc = await connect({ servers, user, pass, maxReconnectAttempts: -1 });

await (await jetstreamManager(nc)).consumers.add("LIVE", {
  durable_name: "welcome-js",
  filter_subject: "live.room.created.>",
  ack_policy: AckPolicy.Explicit,
  max_ack_pending: 1, // one after the other; take more if their order does not matter to you
});
const consumer = await jetstream(nc).consumers.get("LIVE", "welcome-js");
const messages = await consumer.consume();
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => messages.close());

for await (const message of messages) {
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
await nc.close();

async function welcome(id, room) {
  console.log(id, "welcome,", JSON.stringify(room.RoomName ?? room.RoomId)); // your work
}
