// What is live? The table of rooms: sorted, searched and paged by the daemon.

import { ask } from './api.js';
import { explain } from './details.js';
import { element, exactly, number, plural, put, serverNow, span, stranger, text } from './format.js';

const pageSize = 20;
const typing = 300; // milliseconds after the last key before a search begins

const rows = document.getElementById('room-rows');
const fields = ['q', 'owner', 'category'].map((id) => document.getElementById(id));
const turned = { views: false, created: true, name: false, id: false }; // whether the daemon's own direction is turned

let sort = 'views';
let turn = false;
let cursors = ['']; // of the pages up to the one that is shown
let wanted = cursors; // of the pages up to the one that is asked for
let next = null;
let running = null; // the question that is under way
const byKey = new Map(); // rows that are shown, by life

// update asks for the page that is shown anew, and returns whether it does: a slow
// answer that is on its way is waited for.
export function update() {
  if (running) return false;
  refresh();
  return true;
}

// refresh asks for the page that is wanted, in place of any that is on its way.
async function refresh() {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  const trail = wanted;
  const query = new URLSearchParams({ sort: (turn ? '-' : '') + sort, limit: pageSize });
  for (const f of fields) if (f.value.trim()) query.set(f.id, f.value.trim());
  if (trail.at(-1)) query.set('cursor', trail.at(-1));
  try {
    const list = await ask(`api/v1/rooms?${query}`, mine.signal);
    if (running !== mine) return;
    next = list.next;
    cursors = trail;
    show(list);
  } catch (err) {
    if (running !== mine) return;
    if (trail.length > 1) wanted = cursors; // the page was not turned
    note(`The rooms cannot be shown: ${err.message}`);
  }
  running = null;
}

function show(list) {
  const filtered = fields.some((f) => f.value.trim());
  put('rooms-count', plural(list.known, 'room'));
  note(list.rooms.length ? '' : filtered ? 'No matching rooms.' : 'No live rooms.');
  const focused = document.activeElement;
  const keys = new Set();
  list.rooms.forEach((room, i) => {
    const key = `${room.CreateTime} ${room.RoomId}`;
    keys.add(key);
    let row = byKey.get(key);
    if (!row) byKey.set(key, row = newRow());
    fill(row, room);
    if (rows.children[i] !== row) rows.insertBefore(row, rows.children[i] ?? null);
  });
  for (const [key, row] of byKey) {
    if (!keys.has(key)) {
      row.remove();
      byKey.delete(key);
    }
  }
  if (focused !== document.activeElement && focused?.isConnected) focused.focus({ preventScroll: true });
  document.getElementById('previous').disabled = cursors.length < 2;
  document.getElementById('next').disabled = !next;
  put('page-number', `page ${cursors.length}`);
}

function note(words) { put('rooms-note', words).hidden = !words; }

function newRow() {
  const details = element('button', 'link', stranger(''));
  details.type = 'button';
  details.addEventListener('click', () => explain(details.value, details.textContent));
  const name = element('th', 'name', details, stranger('', 'id'), element('span', 'missing'));
  name.scope = 'row';
  const owner = element('button', 'link', stranger(''));
  owner.type = 'button';
  owner.addEventListener('click', () => filterBy('owner', owner.value));
  return element('tr', '', element('td', 'number views'), name, element('td', 'owner', owner), element('td', 'category'), element('td', 'number age', element('span'), element('time')));
}

function fill(row, room) {
  const [views, name, owner, category, age] = row.children;
  const count = number(room.ViewCount);
  if (views.textContent && views.textContent !== count) flash(views);
  views.textContent = count;
  name.children[0].value = room.RoomId;
  text(name.children[0].firstElementChild, room.RoomName || room.RoomId);
  text(name.children[1], room.RoomId);
  const missing = name.children[2];
  missing.textContent = room.missing ? `not seen by the last ${plural(room.missing.sweeps, 'sweep')}` : room.hidden ? 'hidden from the list' : '';
  const button = owner.firstElementChild;
  if (button.value !== room.Owner_Account) {
    button.value = room.Owner_Account;
    text(button.firstElementChild, room.Owner_Account);
  }
  button.setAttribute('aria-label', `only rooms of ${button.textContent}`);
  if (category.dataset.of !== String(room.Category)) {
    category.dataset.of = String(room.Category);
    category.replaceChildren(...room.Category.map((c) => {
      const b = element('button', 'link', String(c));
      b.type = 'button';
      b.setAttribute('aria-label', `only category ${c}`);
      b.addEventListener('click', () => filterBy('category', String(c)));
      return b;
    }));
  }
  age.dataset.since = room.CreateTime * 1000;
  const start = age.children[1];
  start.dateTime = new Date(room.CreateTime * 1000).toISOString();
  start.textContent = exactly(start.dateTime);
  showAge(age);
}

function flash(e) {
  e.classList.remove('changed');
  void e.offsetWidth; // so that the animation begins anew
  e.classList.add('changed');
}

function showAge(cell) { cell.firstElementChild.textContent = span((serverNow() - cell.dataset.since) / 1000); }

function filterBy(id, value) {
  document.getElementById(id).value = value;
  restart();
}

function restart() {
  wanted = [''];
  showSort();
  refresh();
}

function showSort() {
  for (const th of document.querySelectorAll('th[data-sort]')) {
    if (th.dataset.sort !== sort) {
      th.removeAttribute('aria-sort');
      continue;
    }
    // The daemon begins with the most views, the first name and the newest room.
    th.setAttribute('aria-sort', (sort === 'views') !== turn ? 'descending' : 'ascending');
  }
}

// turnTo asks for another page. While one is on its way the rows, the number and
// the cursors are still those of the page before, so a click then turns nothing.
function turnTo(trail) {
  if (wanted !== cursors) return;
  wanted = trail;
  refresh();
}

// watchRooms makes the controls work.
export function watchRooms() {
  let timer;
  const form = document.getElementById('search');
  form.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(restart, typing);
  });
  form.addEventListener('submit', (e) => {
    e.preventDefault();
    clearTimeout(timer);
    restart();
  });
  form.addEventListener('reset', () => setTimeout(restart));
  for (const th of document.querySelectorAll('th[data-sort]')) {
    th.firstElementChild.addEventListener('click', () => {
      turn = th.dataset.sort === sort ? !turn : turned[th.dataset.sort];
      sort = th.dataset.sort;
      restart();
    });
  }
  document.getElementById('previous').addEventListener('click', () => turnTo(cursors.slice(0, -1)));
  document.getElementById('next').addEventListener('click', () => turnTo([...cursors, next]));
  setInterval(() => rows.querySelectorAll('.age').forEach(showAge), 1000);
  showSort();
}
