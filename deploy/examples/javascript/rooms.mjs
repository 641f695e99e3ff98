// Lists the rooms that are live, then prints each change. With Node.js 22 or newer:
// npm ci && node rooms.mjs. It reads the key-value bucket of ROOMWATCH_KV_BUCKET.
import { Kvm } from "@nats-io/kv";
import { connect } from "@nats-io/transport-node";

const { NATS_URL: servers = "127.0.0.1:4222", NATS_USER: user, NATS_PASSWORD: pass, ROOMWATCH_KV_BUCKET: bucket = "live_rooms" } = process.env;
const nc = await connect({ servers, user, pass, maxReconnectAttempts: -1 });
const rooms = await new Kvm(nc, { checkAPI: false }).open(bucket); // the check needs a permission of its own
const watch = await rooms.watch(); // of all rooms: first what is there, then each change
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => watch.stop());

for await (const entry of watch) {
  const { type, data } = entry.json(); // the newest event of the room
  const what = type === "room.ended" ? "ended" : "live"; // an ended room stays until it is as old as the bucket keeps
  console.log(entry.key, what, data.room.ViewCount, JSON.stringify(data.room.RoomName));
}
await nc.close();
