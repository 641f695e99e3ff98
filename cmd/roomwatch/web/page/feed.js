// What just happened? The events of the stream, as they come.

import { explain } from './details.js';
import { element, exactly, number, plural, put, stranger } from './format.js';
import { follow } from './source.js';

const mostRows = 200; // in the document
const mostKept = 1000; // in memory, so that a filter has something to show

const list = document.getElementById('events');
const pauseButton = document.getElementById('pause');
const types = { 'room.created': 'created', 'room.ended': 'ended', 'viewcount.changed': 'views', 'room.updated': 'updated', 'room.hidden': 'hidden', 'room.shown': 'shown' };

let kept = []; // { type, data }, oldest first
let waiting = []; // came since the last frame, or since the pause
let dropped = 0; // came in a burst and were never shown
let paused = false;
let frame = 0;

// watchFeed follows the events, from those of the last minutes on.
export function watchFeed() {
  follow(take);
  pauseButton.addEventListener('click', () => {
    paused = !paused;
    pauseButton.setAttribute('aria-pressed', paused);
    showPause();
    if (!paused) schedule();
  });
  for (const box of document.querySelectorAll('input[name=type]')) {
    box.addEventListener('change', () => {
      list.replaceChildren(...kept.filter(wanted).slice(-mostRows).map(row).reverse());
      note();
    });
  }
}

function take(message) {
  if ('live' in message) {
    state(message.live ? 'live' : 'no connection');
    return;
  }
  waiting.push(message);
  if (waiting.length > mostKept) {
    dropped += waiting.length - mostKept;
    waiting = waiting.slice(-mostKept);
  }
  schedule();
}

function state(words) {
  put('feed-state', words).classList.toggle('bad', words !== 'live');
}

// schedule draws at most once a frame, however many events come.
function schedule() {
  if (paused) showPause();
  else frame ||= requestAnimationFrame(draw);
}

function showPause() {
  const words = paused ? `Resume (${number(waiting.length)} new)` : 'Pause';
  if (pauseButton.textContent !== words) pauseButton.textContent = words;
}

function draw() {
  frame = 0;
  const fresh = waiting;
  waiting = [];
  kept = kept.concat(fresh).slice(-mostKept);
  const shown = fresh.filter(wanted).slice(-mostRows).map(row).reverse();
  const top = list.scrollTop;
  const before = list.scrollHeight;
  list.prepend(...shown);
  while (list.children.length > mostRows) list.lastElementChild.remove();
  if (top > 4) list.scrollTop = top + list.scrollHeight - before; // who reads further down stays there
  note();
}

function note() {
  const skipped = dropped ? `${plural(dropped, 'event')} of bursts are not shown. ` : '';
  const words = list.children.length ? skipped : `${skipped}No event of these types yet.`;
  put('feed-note', words).hidden = !words;
}

function wanted(e) {
  return e.type === 'reset' || document.querySelector(`input[name=type][value="${e.type}"]`).checked;
}

function row(e) {
  if (e.type === 'reset') {
    return element('li', 'reset', `The feed begins anew: ${e.data}. Events before may be missing here.`);
  }
  const event = JSON.parse(e.data);
  const { room, previous, baseline } = event.data;
  const at = element('time', '', exactly(event.time));
  at.dateTime = event.time;
  const details = element('button', 'link', stranger(room.RoomName || room.RoomId, 'who'));
  details.type = 'button';
  details.addEventListener('click', () => explain(room.RoomId, room.RoomName || room.RoomId, event));
  return element('li', '', at, element('span', `tag ${types[e.type]}`, types[e.type]),
    details, element('span', 'what', what(e.type, room, previous, baseline)));
}

function what(type, room, previous, baseline) {
  switch (type) {
    case 'room.created':
      return baseline ? `${plural(room.ViewCount, 'view')}, was live already` : 'went live';
    case 'room.ended':
      return `ended with ${plural(room.ViewCount, 'view')}`;
    case 'viewcount.changed': {
      const by = room.ViewCount - previous.ViewCount;
      return `${plural(room.ViewCount, 'view')} (${by < 0 ? '−' : '+'}${number(Math.abs(by))})`;
    }
    case 'room.hidden':
      return 'left the list';
    case 'room.shown':
      return 'back on the list';
    default:
      return `changed ${Object.keys(previous ?? {}).join(', ') || 'nothing that is told'}`;
  }
}
