// The events of the daemon, for a window that somebody sees. A browser has only
// six connections to a daemon, so its windows share one: a worker holds it.

const maxKept = 1000; // events in the worker's memory, for windows that come later
const retryPause = 5000; // milliseconds until a feed that was refused is retried
const past = 5; // minutes that a feed begins with
const types = ['room.created', 'room.ended', 'viewcount.changed', 'room.updated', 'room.hidden', 'room.shown', 'reset'];

// A worker lives on while a window of an older version is open, so the name changes
// with the messages.
const worker = { name: 'roomwatch-events-2', type: 'module' };

// follow calls tell with each message: { live } says whether the feed is connected,
// { type, data, id } is an event. A window that nobody sees gets none; it goes on
// after its last one when it is seen again.
export function follow(tell) {
  let feed = window.SharedWorker ? new SharedFeed(tell, alone) : new Feed(tell);
  const turn = () => (document.hidden ? feed.stop() : feed.start());
  document.addEventListener('visibilitychange', turn);
  turn();

  // alone is for a worker that does not run. Each start of the shared feed may say so.
  function alone() {
    if (feed instanceof Feed) return;
    feed.stop();
    feed = new Feed(tell, feed.last);
    turn();
  }
}

// A Feed holds a connection from start to stop.
class Feed {
  #tell;
  #source = null;
  #timer;
  #last; // the id of the newest event
  #stopped = 0; // when; 0: it has not been

  constructor(tell, last = '') { [this.#tell, this.#last] = [tell, last]; }

  start() {
    if (this.#last && this.#stopped && Date.now() - this.#stopped > past * 60000) {
      this.#tell({ type: 'reset', data: `nobody has looked for ${past} minutes` });
      this.#last = '';
    }
    this.#stopped = 0;
    this.#connect();
  }

  stop() {
    this.#stopped ||= Date.now();
    clearTimeout(this.#timer);
    this.#source?.close();
  }

  #connect() {
    const url = new URL('../api/v1/events', import.meta.url);
    url.searchParams.set('since', `${past}m`);
    if (this.#last) url.searchParams.set('last_event_id', this.#last);
    const source = new EventSource(url);
    this.#source = source;
    source.onopen = () => this.#tell({ live: true });
    source.onerror = () => {
      this.#tell({ live: false });
      if (source.readyState === EventSource.CLOSED) this.#timer = setTimeout(() => this.#connect(), retryPause); // else the browser retries
    };
    for (const type of types) {
      source.addEventListener(type, (e) => {
        this.#last = e.lastEventId;
        this.#tell({ type, data: e.data, id: e.lastEventId });
      });
    }
  }
}

// A SharedFeed gets the messages of the worker's feed from start to stop.
class SharedFeed {
  last = ''; // the id of the newest event
  #tell;
  #broken;
  #port = null;
  #place; // of the newest event in the worker's memory

  constructor(tell, broken) { [this.#tell, this.#broken] = [tell, broken]; }

  start() {
    const shared = new SharedWorker(new URL('./shared.js', import.meta.url), worker);
    shared.onerror = this.#broken;
    this.#port = shared.port;
    this.#port.onmessage = ({ data: { messages, place } }) => {
      this.#place = place;
      for (const message of messages) {
        if (message.id) this.last = message.id;
        this.#tell(message);
      }
    };
    this.#port.postMessage({ place: this.#place });
  }

  stop() {
    if (!this.#port) return;
    this.#port.onmessage = null; // the worker tells again what is on its way
    this.#port.postMessage({ leave: true });
    this.#port = null;
  }
}

// share lets the windows that connect to this worker share one feed. It stops
// while none is there.
export function share(scope) {
  const ports = new Set();
  const memory = new Memory();
  let live; // undefined: not known yet
  let waiting = []; // messages of this moment: a burst is one message to a window
  const feed = new Feed((message) => {
    if ('live' in message) live = message.live;
    else memory.add(message);
    if (waiting.push(message) === 1) setTimeout(pass);
  });
  function pass() {
    if (!waiting.length) return;
    for (const port of ports) port.postMessage({ messages: waiting, place: memory.place() });
    waiting = [];
  }
  function leave(port) {
    if (!ports.delete(port)) return;
    port.close();
    if (ports.size) return;
    feed.stop();
    live = undefined;
  }
  scope.onconnect = ({ ports: [port] }) => {
    port.onclose = () => leave(port); // of a window that has crashed, where the browser tells of it
    port.onmessage = ({ data }) => {
      if (data.leave) {
        leave(port);
        return;
      }
      if (!ports.size) feed.start();
      pass();
      ports.add(port);
      const state = live === undefined ? [] : [{ live }];
      port.postMessage({ messages: [...state, ...memory.after(data.place)], place: memory.place() });
    };
  };
}

// A Memory keeps the newest events for windows that come later or come back.
class Memory {
  #made = `${Date.now()}-${Math.random()}`; // this memory: a place in another one says nothing
  #kept = []; // oldest first
  #count = 0; // all that were ever added

  add(message) {
    this.#count++;
    this.#kept.push(message);
    if (this.#kept.length > 2 * maxKept) this.#kept = this.#kept.slice(-maxKept);
  }

  place() { return { made: this.#made, count: this.#count }; }

  // after returns what came after a place. A window that has missed some of it is told so.
  after(place) {
    const newest = this.#kept.slice(-maxKept);
    if (!place) return newest;
    const missed = this.#count - place.count;
    if (place.made === this.#made && missed <= newest.length) return newest.slice(newest.length - missed);
    return [{ type: 'reset', data: 'this window was away for too many events' }, ...newest];
  }
}
