"""Welcomes each room that opens: pip install nats-py && python subscribe.py

NATS keeps the place, so that a restart goes on where it was.
"""

import asyncio
import json
import os

import nats
from nats.errors import TimeoutError


async def welcome(event_id: str, room: dict) -> None:
    print(event_id, "welcome,", ascii(room.get("RoomName") or room["RoomId"]), flush=True)  # your work


async def main() -> None:
    nc = await nats.connect(
        os.environ.get("NATS_URL", "nats://127.0.0.1:4222"), max_reconnect_attempts=-1,
        user=os.environ.get("NATS_USER"), password=os.environ.get("NATS_PASSWORD"),
    )
    events = await nc.jetstream().pull_subscribe("live.room.created.>", durable="greeter", stream="LIVE")
    while True:
        try:
            (message,) = await events.fetch(1, timeout=30)
        except TimeoutError:
            continue
        event = json.loads(message.data)
        # The same id comes again if we stop between our work and the acknowledgement.
        if not event["data"].get("baseline"):  # baseline: live before roomwatch first looked
            await welcome(event["id"], event["data"]["room"])
        await message.ack()


asyncio.run(main())
