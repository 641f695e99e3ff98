// What is known of one room, and why does its end wait? The sentences are the daemon's.

import { ask } from './api.js';
import { element, printable, text } from './format.js';

const again = 2000; // milliseconds between two questions while the details are open

const dialog = document.getElementById('details');
const sentences = document.getElementById('details-sentences');
let shown = ''; // the RoomId
let timer = 0;

// explain opens the details of a room.
export function explain(id, name) {
  shown = id;
  text(document.getElementById('details-name'), name);
  text(document.getElementById('details-id'), id);
  say(['Asking the daemon …']);
  dialog.showModal();
  refresh(id);
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
