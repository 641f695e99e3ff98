// The status page: each part keeps itself true; this file starts them.

import { watchCharts } from './charts.js';
import { watchDetails } from './details.js';
import { watchFeed } from './feed.js';
import { watchNow } from './now.js';
import { update, watchRooms } from './rooms.js';

const roomsEvery = 5000; // milliseconds between two looks at the rooms, at least

watchRooms();
watchDetails();
let looked = 0;
let seen = '';
watchNow((status) => {
  // A walk through all rooms costs the daemon something, so it is asked for
  // only when there can be something new.
  const now = JSON.stringify([status.last_complete, status.rooms, status.events, status.started]);
  if (now === seen || Date.now() - looked < roomsEvery) return;
  if (update()) [seen, looked] = [now, Date.now()];
});
watchFeed();
watchCharts();
