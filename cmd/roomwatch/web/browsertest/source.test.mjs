// The sharing of one feed by several windows, without a browser: what it does
// after minutes, after thousands of events, and when a window or a worker fails.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { follow, share } from '../page/source.js';

// A Source is the EventSource that was made last.
class Source {
  static CLOSED = 2;
  static newest;
  static made = 0;
  handlers = {};
  constructor(url) { this.url = url; this.open = true; Source.newest = this; Source.made++; }
  addEventListener(type, handle) { this.handlers[type] = handle; }
  close() { this.open = false; }
  send(id) { this.handlers['room.created']({ data: `event ${id}`, lastEventId: `${id}` }); }
}

// world is a browser with one worker; failing: its workers do not run.
function world(t, { failing = false } = {}) {
  t.mock.timers.enable({ apis: ['Date', 'setTimeout'], now: 1 });
  const scope = {};
  const ports = [];
  globalThis.EventSource = Source;
  globalThis.document = { hidden: false, addEventListener(_, turn) { this.turn = turn; } };
  Source.made = 0;
  if (!failing) share(scope);
  const workers = [];
  globalThis.window = {};
  globalThis.SharedWorker = window.SharedWorker = class {
    constructor() {
      const [mine, its] = [{}, {}];
      const connect = (a, b) => { a.postMessage = (data) => b.onmessage?.({ data: structuredClone(data) }); a.close = () => {}; };
      connect(mine, its);
      connect(its, mine);
      this.port = mine;
      ports.push(its);
      workers.push(this);
      if (!failing) scope.onconnect({ ports: [its] });
    }
  };
  // window opens one; its document is seen or hidden by itself.
  const openWindow = () => {
    const page = { hidden: false, addEventListener(_, turn) { this.turn = turn; }, told: [] };
    globalThis.document = page;
    follow((message) => page.told.push(message.type === 'reset' ? 'reset' : message.id ?? `live: ${message.live}`));
    page.see = (yes) => { page.hidden = !yes; globalThis.document = page; page.turn(); };
    page.news = () => { t.mock.timers.tick(0); return page.told.splice(0); };
    return page;
  };
  return { openWindow, ports, workers };
}

test('a window that comes later or comes back gets what it lacks, once', (t) => {
  const { openWindow } = world(t);
  const first = openWindow();
  assert.deepEqual(first.news(), []); // whether it is live is not known yet
  Source.newest.onopen();
  Source.newest.send('a');
  assert.deepEqual(first.news(), ['live: true', 'a']);
  const second = openWindow();
  assert.deepEqual(second.news(), ['live: true', 'a']);
  first.see(false);
  Source.newest.send('b');
  assert.deepEqual(first.news(), []);
  first.see(true);
  Source.newest.send('c');
  assert.deepEqual(first.news(), ['live: true', 'b', 'c']);
  assert.deepEqual(second.news(), ['b', 'c']);
  assert.equal(Source.made, 1);
});

test('a window is told that nobody has looked for minutes', (t) => {
  const { openWindow } = world(t);
  const only = openWindow();
  Source.newest.send('a');
  only.news();
  only.see(false);
  t.mock.timers.tick(6 * 60000);
  only.see(true);
  assert.deepEqual(only.news(), ['reset']);
  Source.newest.send('z');
  assert.deepEqual(only.news(), ['z']);
});

test('a window that was away for too many events is told so', (t) => {
  const { openWindow } = world(t);
  const away = openWindow();
  const stays = openWindow();
  Source.newest.send('first');
  assert.deepEqual([away.news(), stays.news()], [['first'], ['first']]);
  away.see(false);
  for (let i = 0; i < 2500; i++) Source.newest.send(i);
  away.see(true);
  const news = away.news();
  assert.equal(news[0], 'reset');
  assert.deepEqual(news.slice(1), Array.from({ length: 1000 }, (_, i) => `${1500 + i}`));
  assert.equal(stays.news().length, 2500);
});

test('a window that is gone without a word keeps no connection', (t) => {
  const { openWindow, ports } = world(t);
  openWindow();
  assert.ok(Source.newest.open);
  ports[0].onclose();
  assert.ok(!Source.newest.open);
});

test('a burst is one message to a window', (t) => {
  const { openWindow, ports } = world(t);
  const only = openWindow();
  let posted = 0;
  const post = ports[0].postMessage;
  ports[0].postMessage = (data) => { posted++; post(data); };
  for (let i = 0; i < 500; i++) Source.newest.send(i);
  assert.equal(only.news().length, 500);
  assert.equal(posted, 1);
});

test('workers that do not run are told of twice, and one feed begins', (t) => {
  const { openWindow, workers } = world(t, { failing: true });
  const only = openWindow();
  only.see(false);
  only.see(true);
  assert.equal(workers.length, 2);
  for (const worker of workers) worker.onerror();
  assert.equal(Source.made, 1);
  Source.newest.send('a');
  assert.deepEqual(only.news(), ['a']);
});
