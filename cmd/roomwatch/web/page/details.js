// What is known of one room, and why does its end wait? The sentences are the daemon's.

import { ask } from './api.js';
import { element, exactly, plural, printable, put, text } from './format.js';

const again = 2000; // milliseconds between two questions while the details are open

const dialog = document.getElementById('details');
const sentences = document.getElementById('details-sentences');
let shown = ''; // the RoomId
let timer = 0;

// explain opens the details of a room, or of an event of it.
export function explain(id, name, event) {
  shown = id;
  put('details-event', event ? printable(`The event ${event.type} of ${exactly(event.time)} (${event.id}): ${proof(event.data.evidence)}.`) : '').hidden = !event;
  text(document.getElementById('details-name'), name);
  text(document.getElementById('details-id'), id);
  say(['Asking the daemon …']);
  dialog.showModal();
  refresh(id);
}

// proof says what proves an event.
function proof(evidence) {
  if (!evidence) return 'it does not say what proves it';
  const { by, requests, missed } = evidence;
  const ways = { list: 'a page of the list showed it', info: 'point reads prove it', sweeps: `${plural(missed ?? 0, 'complete sweep')} in a row did not show the room` };
  const asked = requests?.length ? `; ${requests.length === 1 ? 'RequestId' : 'RequestIds'} ${requests.join(', ')}` : '';
  return `${Object.hasOwn(ways, by) ? ways[by] : `proved by ${by}`}${asked}`;
}

async function refresh(id) {
  clearTimeout(timer);
  let words;
  try {
    words = (await ask(`api/v1/explain?${new URLSearchParams({ room: id })}`)).sentences;
  } catch (err) {
    words = [`This cannot be shown: ${err.message}`];
  }
  if (!dialog.open || shown !== id) return;
  say(words);
  timer = setTimeout(() => refresh(id), again);
}

function say(words) {
  const old = [...sentences.children].map((e) => e.textContent);
  const fresh = words.map(printable);
  if (old.join('\n') !== fresh.join('\n')) sentences.replaceChildren(...fresh.map((w) => element('li', '', w)));
}

// watchDetails makes the control work.
export function watchDetails() {
  document.getElementById('details-close').addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => clearTimeout(timer));
}
