// Does it work now? The banner and the facts below it.

import { ask, repeat } from './api.js';
import { element, exactly, number, percent, plural, put, serverNow, setServerTime, since, span, time, zone } from './format.js';

const verdicts = {
  ok: ['ok', 'Working'],
  degraded: ['degraded', 'Degraded'],
  failing: ['failing', 'Not working'],
};
const marks = {
  ok: 'M5 12.5l4.5 4.5L19 7.5',
  degraded: 'M12 5v8.5M12 18v.5',
  failing: 'M6.5 6.5l11 11M17.5 6.5l-11 11',
};

let answered = 0; // when the daemon answered last
let unanswered = 0; // since when it does not; 0: it does
let shown = '';

// watchNow keeps the banner true, and calls changed with each new status.
export function watchNow(changed) {
  repeat(async () => {
    try {
      const s = await ask('api/v1/status');
      setServerTime(new Date(s.now));
      answered = Date.now();
      unanswered = 0;
      showVerdict(s.health, s.conditions);
      showFacts(s);
      document.body.classList.remove('stale');
      changed(s);
    } catch (err) {
      unanswered ||= Date.now();
      document.body.classList.add('stale');
      showVerdict('failing', [{
        text: `No answer from the daemon since ${time(answered || unanswered)}; the values below are old.`,
        fix: 'Check that it runs and can be reached. This page reconnects automatically.',
      }], 'No answer');
      throw err;
    } finally {
      showAge();
    }
  }, 2000, 5000);
  setInterval(showAge, 1000);
}

function showAge() {
  put('asof', answered ? `as of ${since(answered + serverNow() - Date.now())}` : '');
}

function showVerdict(health, conditions, headline) {
  const key = JSON.stringify([health, headline, conditions.map((c) => [c.text, c.fix])]);
  if (key === shown) return; // a screen reader need not hear it again
  shown = key;
  const [name, words] = verdicts[health];
  document.getElementById('banner').className = `banner ${name}`;
  document.getElementById('mark').setAttribute('d', marks[name]);
  document.title = `${name === 'ok' ? '' : `${headline || words} – `}roomwatch`;
  put('headline', headline || words);
  document.getElementById('reasons').replaceChildren(...conditions.map((c) => {
    const li = element('li', '', c.text);
    if (c.fix) li.append(' ', element('span', 'fix', c.fix));
    return li;
  }));
}

// news says how fresh the news of the last hour was.
function news(age, what, from) {
  if (!age.events) return `no room ${what}`;
  return `${plural(age.events, 'room')} ${what}, seen ${span(age.median_seconds)} after ${from} in the median, 95 % within ${span(age.p95_seconds)}`;
}

// role says since when the process is what it is, and who else there is.
function role(s) {
  if (s.role === 'writer') {
    const others = s.lease.standbys.map((o) => `${o.host} (since ${exactly(o.since)}, ${plural(o.behind, 'message')} behind)`).join(', ');
    const began = s.lease.held ? `since ${exactly(s.lease.since)}, term ${number(s.lease.term)}` : 'without the lease';
    return `${began}; ${others ? `standing by: ${others}` : 'nobody stands by'}`;
  }
  const writer = s.writer ? `the writer runs on ${s.writer.host}, ${since(s.writer.since)}` : 'who is the writer is not known';
  return s.standby ? `since ${exactly(s.standby.since)}, ${plural(s.standby.behind, 'message')} behind; ${writer}` : writer;
}

function showFacts(s) {
  put('about', `application ${s.application.sdkappid} · ${s.application.endpoint} · ${s.version}`);
  put('zone', `Times are in the zone ${zone()}.`);
  const last = s.last_complete;
  const guard = s.absence.guard;
  const facts = [
    ['Last complete sweep', last ? since(last.ended) : 'none yet',
      last ? `${exactly(last.ended)}; ${span(last.duration_seconds)}, ${plural(last.requests, 'request')}, ${plural(last.retries, 'retry', 'retries')}`
        + (s.absence.recall === null ? '' : `; a sweep shows ${percent(s.absence.recall)} of the live rooms`) : ''],
    ['Sweep in progress', s.sweep ? `no. ${number(s.sweep.number)}` : 'idle',
      s.sweep ? `${plural(s.sweep.pages, 'page')}, ${plural(s.sweep.rooms, 'room')}` : ''],
    ['Rooms', number(s.rooms.known), (s.rooms.missing ? `${number(s.rooms.missing)} missing, end not confirmed yet` : 'none missing')
      + (s.rooms.hidden ? `; ${number(s.rooms.hidden)} hidden` : '')],
    ['News', s.news.created.events ? `${span(s.news.created.median_seconds)} old` : '–',
      `last hour: ${news(s.news.created, 'created', 'their CreateTime')}; ${news(s.news.ended, 'ended', 'they were last seen')}`],
    ['Waiting for the stream', number(s.outbox.depth), s.outbox.oldest ? `oldest from ${since(s.outbox.oldest)}, ${exactly(s.outbox.oldest)}` : 'events; all are stored'],
    ['NATS', s.nats.connected ? 'connected' : 'disconnected', `stream ${s.nats.stream}, ${s.nats.claim ? `claim ${number(s.nats.claim)}` : 'no claim yet'}${s.nats.server ? `, ${s.nats.server}` : ''}`],
    ['Mass-end guard', guard.active ? 'active' : 'inactive', guard.held ? `${plural(guard.held, 'end')} proved by point reads held back` : guard.active ? `${plural(guard.agree, 'sweep')} agree, at least ${guard.needed} needed` : `needs at least ${guard.needed} sweeps that agree`],
  ];
  if (s.probes) {
    facts.push(['Probes', number(s.probes.made), `last hour; ${plural(s.probes.found, 'new room')} found; ${plural(s.probes.places, 'place')} of the list known`]);
  }
  const calls = s.callbacks;
  if (calls) {
    facts.push(['Callbacks', number(calls.taken), `${calls.last ? `newest ${since(calls.last)}, ${exactly(calls.last)}` : 'none received yet'}; ${number(calls.refused)} refused`]);
  }
  if (s.lease) facts.push(['Role', s.role, role(s)]);
  const list = document.getElementById('facts');
  facts.forEach(([name, value, more], i) => {
    let box = list.children[i];
    if (!box) {
      box = element('div', '', element('dt', '', name), element('dd', 'value'), element('dd', 'more'));
      list.append(box);
    }
    for (const [j, words] of [[1, value], [2, more]]) {
      if (box.children[j].textContent !== words) box.children[j].textContent = words;
    }
  });
}
