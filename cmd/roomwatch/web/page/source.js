// The events of the daemon, for a window that somebody sees. A browser has only
// six connections to a daemon, so its windows share one: a worker holds it.

const maxKept = 1000; // events in the worker's memory, for windows that come later
const retryPause = 5000; // milliseconds until a feed that was refused is tried again
const past = 5; // minutes that a feed begins with
const types = ['room.created', 'room.ended', 'viewcount.changed', 'room.updated', 'reset'];

// A worker lives on while a window of an older version is open, so the name changes
// with the messages.
const worker = { name: 'roomwatch-events-1', type: 'module' };

// follow calls tell with each message: { live } says whether the feed is connected,
// { type, data, id } is an event. A window that nobody sees gets none; it goes on
// after its last one when it is seen again.
export function follow(tell) {
  let feed = window.SharedWorker ? new SharedFeed(tell, alone) : new Feed(tell);
  const turn = () => (document.hidden ? feed.stop() : feed.start());
  document.addEventListener('visibilitychange', turn);
  turn();

  // alone is for a worker that does not run.
  function alone() {
    feed = new Feed(tell);
    turn();
  }
}

// A Feed holds a connection from start to stop.
class Feed {
  #tell;
  #source = null;
  #timer;
  #last = ''; // the id of the newest event
  #stopped = 0; // when; 0: it has not been

  constructor(tell) { this.#tell = tell; }

  start() {
    if (this.#last && this.#stopped && Date.now() - this.#stopped > past * 60000) {
      this.#tell({ type: 'reset', data: `nobody has looked for ${past} minutes`, id: this.#last });
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
  #tell;
  #broken;
  #port = null;
  #last = '';

  constructor(tell, broken) { [this.#tell, this.#broken] = [tell, broken]; }

  start() {
    const shared = new SharedWorker(new URL('./shared.js', import.meta.url), worker);
    shared.onerror = this.#broken;
    this.#port = shared.port;
    this.#port.onmessage = ({ data }) => {
      for (const message of data) {
        if (message.id) this.#last = message.id;
        this.#tell(message);
      }
    };
    this.#port.postMessage({ after: this.#last });
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
  let live = false;
  let kept = []; // events, oldest first
  const feed = new Feed((message) => {
    if ('live' in message) live = message.live;
    else kept.push(message);
    if (kept.length > 2 * maxKept) kept = kept.slice(-maxKept);
    for (const port of ports) port.postMessage([message]);
  });
  scope.onconnect = ({ ports: [port] }) => {
    port.onmessage = ({ data }) => {
      if (data.leave) {
        ports.delete(port);
        port.close();
        if (!ports.size) feed.stop();
        return;
      }
      if (!ports.size) feed.start();
      ports.add(port);
      const next = kept.findLastIndex((message) => message.id === data.after) + 1; // 0: it has none of them
      port.postMessage([{ live }, ...kept.slice(next).slice(-maxKept)]);
    };
  };
}
