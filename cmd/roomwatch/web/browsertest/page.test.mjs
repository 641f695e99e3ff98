// The status page in a real browser, on a real daemon. The Go test beside the
// daemon starts both and this; CONTROL lets the test kill the daemon and start
// it again.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { chromium } from 'playwright-core';

const { PAGE, CONTROL, ARTEFACTS, CHROMIUM } = process.env;
const patience = 60000; // milliseconds, for a busy machine
const hostile = '<img src=x onerror=alert(1)>';
let browser;

before(async () => {
  browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
  });
});
after(() => browser.close());

// open opens the page and notes everything that must not be: errors, refusals of
// the Content-Security-Policy, dialogs, requests to any other host.
async function open(t, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1360, height: 1000 }, ...options });
  t.after(() => context.close());
  const page = await context.newPage();
  const faults = [];
  page.on('console', (m) => { if (m.type() === 'error' || m.type() === 'warning') faults.push(`console: ${m.text()}`); });
  page.on('pageerror', (e) => faults.push(`error: ${e.message}`));
  page.on('dialog', (d) => { faults.push(`dialog: ${d.message()}`); d.dismiss(); });
  page.on('request', (r) => { if (new URL(r.url()).origin !== new URL(PAGE).origin) faults.push(`request: ${r.url()}`); });
  page.faults = faults;
  await page.goto(PAGE);
  return page;
}

const control = (what) => fetch(`${CONTROL}/${what}`, { method: 'POST' }).then((r) => {
  assert.equal(r.status, 200);
  return r.text();
});
const eventually = (page, f, arg) => page.waitForFunction(f, arg, { timeout: patience, polling: 100 });
const working = (page) => eventually(page, () => document.querySelector('.banner.ok #headline')?.textContent === 'Working');
const live = (page) => eventually(page, () => document.getElementById('feed-state').textContent === 'live' && document.querySelector('#events li'));

test('shows rooms, events and the last hour, and asks nobody else for anything', async (t) => {
  const page = await open(t);
  await working(page);
  await eventually(page, () => document.querySelectorAll('#room-rows tr').length === 20);
  await eventually(page, () => document.querySelectorAll('#events li').length > 5);
  const views = await page.$$eval('#room-rows .views', (cells) => cells.map((c) => Number(c.textContent.replaceAll(',', ''))));
  assert.deepEqual(views, [...views].sort((a, b) => b - a));
  await eventually(page, () => document.querySelectorAll('.uplot canvas').length === 3);
  assert.match(await page.textContent('#rooms-text'), /now \d+, between \d+ and \d+/);
  await page.screenshot({ path: `${ARTEFACTS}/light.png`, fullPage: true });
  assert.deepEqual(page.faults, []);
});

test('a name from a stranger stays text', async (t) => {
  await control('strangers');
  const page = await open(t);
  await page.fill('#q', 'onerror');
  await eventually(page, (name) => document.querySelector('#room-rows .name bdi')?.textContent === name, hostile);
  await eventually(page, (name) => [...document.querySelectorAll('#events .who')].some((e) => e.textContent === name), hostile);
  assert.equal(await page.$$eval('img', (all) => all.length), 1, 'images: only the sign of the page itself');
  await page.fill('#q', 'bidi');
  await eventually(page, () => document.querySelector('#room-rows .name bdi')?.textContent === 'bidi \ufffdgpj.exe \ufffd\ufffd\ufffd');
  await page.fill('#q', 'joiner');
  await eventually(page, () => document.querySelector('#room-rows .name bdi')?.textContent
    === 'joiner می\u200cخواهم 👩\u200d🎤 🏴\u{e0067}\u{e0062}\u{e0065}\u{e006e}\u{e0067}\u{e007f} ❤\ufe0f');
  assert.deepEqual(page.faults, []);
});

test('searches, sorts, filters and pages', async (t) => {
  const page = await open(t);
  await eventually(page, () => document.querySelectorAll('#room-rows tr').length === 20);
  const first = await page.textContent('#room-rows .id');
  await page.click('#next');
  await eventually(page, () => document.getElementById('page-number').textContent === 'page 2');
  assert.ok(!(await page.$$eval('#room-rows .id', (all) => all.map((e) => e.textContent))).includes(first));
  await page.click('#previous');
  await eventually(page, () => document.getElementById('page-number').textContent === 'page 1');
  await page.click('th[data-sort=name] button');
  await eventually(page, () => document.querySelector('th[data-sort=name]').getAttribute('aria-sort') === 'ascending');
  await eventually(page, () => {
    const names = [...document.querySelectorAll('#room-rows .name bdi:first-child')].map((e) => e.textContent.toLowerCase());
    return names.length === 20 && names.every((n, i) => i === 0 || names[i - 1] <= n);
  });
  const owner = await page.textContent('#room-rows .owner bdi');
  await page.click('#room-rows .owner button');
  await eventually(page, (o) => [...document.querySelectorAll('#room-rows .owner bdi')].every((e) => e.textContent === o), owner);
  assert.equal(await page.inputValue('#owner'), owner);
  await page.click('#search button[type=reset]');
  await eventually(page, () => document.querySelectorAll('#room-rows tr').length === 20);
  await page.fill('#q', 'no room is called this');
  await eventually(page, () => document.getElementById('rooms-note').textContent === 'No matching rooms.');
  assert.deepEqual(page.faults, []);
});

test('the details of a room say what is known of it', async (t) => {
  await control('strangers');
  const page = await open(t);
  await page.fill('#q', 'onerror');
  await eventually(page, (name) => document.querySelector('#room-rows .name bdi')?.textContent === name, hostile);
  await page.click('#room-rows .name button');
  await eventually(page, () => document.querySelector('#details[open] #details-sentences')?.textContent.includes('It is live. It began at'));
  assert.equal(await page.textContent('#details-name'), hostile);
  assert.equal(await page.textContent('#details-id'), 'onerror');
  await page.screenshot({ path: `${ARTEFACTS}/details.png` });
  await page.route('**/api/v1/explain?*', (route) => route.fulfill({ status: 404, contentType: 'application/json', body: '{"error":"nothing is known of it"}' }));
  await eventually(page, () => document.getElementById('details-sentences').textContent === 'This cannot be shown: nothing is known of it');
  await page.click('#details-close');
  await eventually(page, () => !document.getElementById('details').open);
  page.faults.splice(0, page.faults.length, ...page.faults.filter((f) => !f.includes('404')));
  assert.deepEqual(page.faults, []);
});

test('a hidden room is shown as such, and the details of an event say what proves it', async (t) => {
  await control('open/veiled?name=veiled+room');
  const page = await open(t);
  await page.uncheck('input[value="viewcount.changed"]'); // or a room soon leaves the feed
  await page.fill('#q', 'veiled');
  await eventually(page, () => document.querySelector('#room-rows .name .id')?.textContent === 'veiled');
  await eventually(page, () => document.querySelector('#room-rows .name .missing')?.textContent === '');
  await control('flip/veiled');
  await eventually(page, () => document.querySelector('#room-rows .name .missing')?.textContent === 'hidden from the list');
  await page.click('#room-rows .name button');
  await eventually(page, () => document.querySelector('#details[open] #details-sentences')?.textContent.includes('It is live and hidden: point reads show it, the list does not.'));
  assert.ok(await page.isHidden('#details-event'), 'the details of a room tell of an event');
  await page.screenshot({ path: `${ARTEFACTS}/hidden.png` });
  await page.click('#details-close');
  await page.click('#pause'); // what is clicked stays where it is
  const details = async (tag) => {
    await page.click('#pause');
    await eventually(page, (tag) => [...document.querySelectorAll('#events li')].some((e) => e.querySelector('.who')?.textContent === 'veiled room' && e.querySelector(tag)), tag);
    await page.click('#pause');
    await page.locator('#events li').filter({ has: page.locator(tag) }).getByRole('button', { name: 'veiled room' }).click();
    await eventually(page, () => document.querySelector('#details[open] #details-sentences')?.textContent.includes('CreateTime'));
    const told = await page.textContent('#details-event');
    await page.click('#details-close');
    return told;
  };
  // Where a probe is the first to show it, a point read proves it.
  assert.match(await details('.created'), /^The event room\.created of \d{4}-.+ \(\w+-\d{16}\): (a page of the list showed it|point reads prove it); RequestId \S+\.$/);
  await control('flip/veiled');
  await eventually(page, () => document.querySelector('#room-rows .name .missing')?.textContent === '');
  await control('close/veiled');
  assert.match(await details('.ended'), /^The event room\.ended of .+: point reads prove it; RequestIds \S+, \S+\.$/);
  assert.deepEqual(page.faults, []);
});

test('a click while a page is on its way does not turn twice', async (t) => {
  const page = await open(t);
  await eventually(page, () => document.querySelectorAll('#room-rows tr').length === 20);
  await page.route('**/api/v1/rooms?*', async (route) => {
    await new Promise((done) => { setTimeout(done, 300); });
    await route.continue();
  });
  for (const [button, number] of [['next', 'page 2'], ['previous', 'page 1']]) {
    const [old, first] = await page.evaluate((id) => {
      const state = [document.getElementById('page-number').textContent, document.querySelector('#room-rows .id').textContent];
      document.getElementById(id).click();
      document.getElementById(id).click();
      return state;
    }, button);
    assert.notEqual(old, number);
    await eventually(page, (id) => document.querySelector('#room-rows .id').textContent !== id, first);
    assert.equal(await page.textContent('#page-number'), number);
  }
  await page.unrouteAll({ behavior: 'wait' });
  assert.deepEqual(page.faults, []);
});

for (const width of [1360, 320]) {
  test(`full names, exact times and their zone are in sight at a width of ${width}`, async (t) => {
    const name = await control(`open/${`${width}`.padStart(48, 'i')}?name=${`long ${width} `.padEnd(100, 'n')}`);
    const page = await open(t, { viewport: { width, height: 1000 }, timezoneId: 'Asia/Tokyo' });
    await eventually(page, () => document.getElementById('zone').textContent.includes('Asia/Tokyo (GMT+09:00)'));
    await page.fill('#q', `long ${width}`);
    await eventually(page, (name) => document.querySelector('#room-rows .name bdi')?.textContent === name, name);
    await eventually(page, (name) => [...document.querySelectorAll('#events .who')].some((e) => e.textContent === name), name);
    const cut = await page.$$eval('#room-rows bdi, #room-rows time, #events .who, #events .what, #events time', (all) => all
      .filter((e) => e.clientWidth && e.scrollWidth > e.clientWidth).map((e) => e.textContent));
    assert.deepEqual(cut, []);
    const start = await page.$eval('#room-rows time', (e) => [e.dateTime, e.innerText]);
    assert.equal(Date.parse(`${start[1].replace(' ', 'T')}+09:00`), Date.parse(start[0]));
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width);
    assert.deepEqual(page.faults, []);
  });
}

test('the guard tells how many sweeps agree, and that more may be needed', async (t) => {
  const page = await open(t);
  await page.route('**/api/v1/status', async (route) => {
    const response = await route.fetch();
    const status = await response.json();
    Object.assign(status.absence.guard, { active: true, agree: 12, needed: 5 });
    await route.fulfill({ response, json: status });
  });
  await eventually(page, () => document.getElementById('facts').textContent.includes('12 sweeps agree, at least 5 needed'));
  await page.unrouteAll({ behavior: 'wait' });
});

test('the page says how fresh news is', async (t) => {
  const page = await open(t);
  await page.route('**/api/v1/status', async (route) => {
    const response = await route.fetch();
    const status = await response.json();
    status.news = { created: { events: 12, median_seconds: 1.26, p95_seconds: 4 }, ended: { events: 0, median_seconds: 0, p95_seconds: 0 } };
    await route.fulfill({ response, json: status });
  });
  await eventually(page, () => document.getElementById('facts').textContent.includes(
    '1.3 s oldlast hour: 12 rooms created, seen 1.3 s after their CreateTime in the median, 95 % within 4.0 s; no room ended'));
  await page.unrouteAll({ behavior: 'wait' });
});

test('the page says what probes have found', async (t) => {
  const page = await open(t);
  await page.route('**/api/v1/status', async (route) => {
    const response = await route.fetch();
    const status = await response.json();
    status.probes = { places: 51, made: 1234, found: 1 };
    await route.fulfill({ response, json: status });
  });
  await eventually(page, () => document.getElementById('facts').textContent.includes('Probes1,234last hour; 1 new room found; 51 places of the list known'));
  await page.unrouteAll({ behavior: 'wait' });
});

test('the feed is filtered and paused', async (t) => {
  const page = await open(t);
  await eventually(page, () => document.querySelector('#events .tag.views'));
  await page.uncheck('input[value="viewcount.changed"]');
  assert.equal(await page.$$eval('#events .tag.views', (all) => all.length), 0);
  await page.check('input[value="viewcount.changed"]');
  await page.click('#pause');
  const newest = await page.$('#events li');
  await eventually(page, () => /^Resume \([1-9]/.test(document.getElementById('pause').textContent));
  assert.ok(await newest.evaluate((e) => e === document.querySelector('#events li')), 'the feed went on');
  await page.click('#pause');
  await eventually(page, (e) => e !== document.querySelector('#events li'), newest);
  assert.equal(await page.textContent('#pause'), 'Pause');
  assert.deepEqual(page.faults, []);
});

test('rooms are shown though an answer takes longer than the pause between two questions', async (t) => {
  const page = await open(t);
  await eventually(page, () => document.querySelectorAll('#room-rows tr').length === 20);
  const gone = [];
  page.on('requestfailed', (r) => gone.push(`${r.url()}: ${r.failure()?.errorText}`));
  const slow = new Promise((done) => {
    page.route('**/api/v1/rooms?*', async (route) => {
      await new Promise((passed) => { setTimeout(passed, 7000); });
      await route.continue().catch(() => {}); // the page has given it up
      done();
    });
  });
  await page.evaluate(() => { window.before = document.getElementById('room-rows').textContent; });
  await slow;
  await eventually(page, () => document.getElementById('room-rows').textContent !== window.before);
  await page.unrouteAll({ behavior: 'ignoreErrors' });
  assert.deepEqual(gone, []);
});

test('focus and place are kept while the rooms change', async (t) => {
  const page = await open(t);
  await eventually(page, () => document.querySelectorAll('#room-rows tr').length === 20);
  let listed = false; // a room that leaves the list takes the focus with it, and says nothing
  for (let tries = 0; !listed && tries < 5; tries += 1) {
    await page.focus('#room-rows tr:nth-child(2) .owner button');
    await page.evaluate(() => {
      window.mine = document.activeElement;
      window.before = [...document.querySelectorAll('#room-rows .views')].map((e) => e.textContent).join();
    });
    await eventually(page, () => [...document.querySelectorAll('#room-rows .views')].map((e) => e.textContent).join() !== window.before);
    let focused;
    [listed, focused] = await page.evaluate(() => [window.mine.isConnected, document.activeElement === window.mine]);
    assert.equal(focused, listed);
  }
  assert.ok(listed, 'no row was kept');
});

test('an answer that is cut is no answer', async (t) => {
  const page = await open(t);
  await working(page);
  await page.route('**/api/v1/status', (route) => route.fulfill({ contentType: 'application/json', body: '{"version":' }));
  await eventually(page, () => document.querySelector('.banner.failing #headline')?.textContent === 'No answer');
  assert.match(await page.textContent('#asof'), /^as of (now|\d+ s ago)$/);
  await page.unrouteAll({ behavior: 'wait' });
  await working(page);
  assert.deepEqual(page.faults, []);
});

test('a daemon that dies is told at once, and the page goes on when it is back', async (t) => {
  const page = await open(t);
  await working(page);
  await control('kill');
  await eventually(page, () => document.querySelector('.banner.failing #headline')?.textContent === 'No answer');
  assert.ok(await page.evaluate(() => document.body.classList.contains('stale')));
  await page.screenshot({ path: `${ARTEFACTS}/failing.png`, fullPage: true });
  await control('start');
  await working(page);
  assert.ok(!(await page.evaluate(() => document.body.classList.contains('stale'))));
  const newest = await page.textContent('#events li time');
  await eventually(page, (old) => document.querySelector('#events li time').textContent !== old, newest);
  // The browser itself notes each request that got no answer; nothing else may be wrong.
  assert.deepEqual(page.faults.filter((f) => !f.includes('ERR_CONNECTION_REFUSED') && !f.includes('ERR_INCOMPLETE_CHUNKED_ENCODING')
    && !f.includes('ERR_CONNECTION_RESET') && !f.includes('ERR_EMPTY_RESPONSE')), []);
});

const small = { viewport: { width: 320, height: 240 } }; // so that eight windows are painted in time

// answered waits until a window has an answer of the daemon, whatever it says.
const answered = (page) => eventually(page, () => document.getElementById('asof').textContent && !document.body.classList.contains('stale'));

test('eight windows of one browser show the events, also when the first is closed and the daemon starts anew', async (t) => {
  const windows = [await open(t, small)];
  while (windows.length < 8) {
    windows.push(await windows[0].context().newPage());
    await windows.at(-1).goto(PAGE);
  }
  const allWork = async () => {
    for (const page of windows) {
      await answered(page);
      await live(page);
      const newest = await page.$('#events li');
      await eventually(page, (e) => e !== document.querySelector('#events li'), newest);
    }
  };
  await allWork();
  await windows.shift().close();
  await allWork();
  await control('kill');
  for (const page of windows) await eventually(page, () => document.getElementById('feed-state').textContent === 'no connection');
  await control('start');
  await allWork();
});

for (const shared of [true, false]) {
  test(`windows that nobody sees hold no connection ${shared ? 'with' : 'without'} a worker, and miss no event`, async (t) => {
    const context = await browser.newContext(small);
    t.after(() => context.close());
    await context.addInitScript((shared) => {
      if (!shared) delete window.SharedWorker;
      let hidden = false;
      Object.defineProperty(document, 'hidden', { get: () => hidden });
      window.see = (yes) => {
        hidden = !yes;
        document.dispatchEvent(new Event('visibilitychange'));
      };
    }, shared);
    const windows = [];
    while (windows.length < 8) {
      await windows.at(-1)?.evaluate(() => window.see(false));
      const page = await context.newPage();
      windows.push(page);
      await page.goto(PAGE);
      await page.uncheck('input[value="viewcount.changed"]'); // or a room soon leaves the list
      await answered(page);
      await live(page);
    }
    const [first, last] = [windows[0], windows[7]];
    const name = await control(`open/meanwhile_${shared}`);
    const begun = (name) => [...document.querySelectorAll('#events li')].filter((e) => e.querySelector('.who')?.textContent === name && e.querySelector('.created')).length;
    await eventually(last, begun, name);
    assert.equal(await first.evaluate(begun, name), 0, 'a window that nobody sees got an event');
    await first.evaluate(() => window.see(true));
    await eventually(first, begun, name);
    const next = await control(`open/next_${shared}`);
    await eventually(first, begun, next);
    assert.deepEqual([await first.evaluate(begun, name), await last.evaluate(begun, name)], [1, 1]);
  });
}

test('a burst of events does not hold the page up', async (t) => {
  const page = await open(t);
  await eventually(page, () => document.querySelector('#events li'));
  await page.evaluate(() => {
    window.longest = 0;
    let last = performance.now();
    const beat = (now) => { window.longest = Math.max(window.longest, now - last); last = now; requestAnimationFrame(beat); };
    requestAnimationFrame(beat);
  });
  await control('burst');
  await eventually(page, () => document.querySelectorAll('#events .tag.created').length > 150);
  await page.click('#pause');
  await control('burst');
  await eventually(page, () => document.getElementById('pause').textContent === 'Resume (1,000 new)');
  await page.click('#pause');
  await eventually(page, () => document.getElementById('feed-note').textContent.includes('of bursts are not shown'));
  assert.ok((await page.$$eval('#events li', (all) => all.length)) <= 200);
  const longest = await page.evaluate(() => window.longest);
  assert.ok(longest < 5000, `the page stood still for ${longest} ms`);
  assert.deepEqual(page.faults, []);
});

test('works on a phone', async (t) => {
  const page = await open(t, { viewport: { width: 320, height: 640 } });
  await eventually(page, () => document.querySelectorAll('#room-rows tr').length === 20);
  await eventually(page, () => document.querySelectorAll('.uplot canvas').length === 3);
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
  await page.screenshot({ path: `${ARTEFACTS}/phone.png`, fullPage: true });
  assert.deepEqual(page.faults, []);
});

test('everything can be reached by keyboard', async (t) => {
  const page = await open(t);
  await eventually(page, () => document.querySelectorAll('#room-rows tr').length === 20);
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
  const reached = new Set();
  for (let i = 0; i < 150; i++) {
    await page.keyboard.press('Tab');
    reached.add(await page.evaluate(() => document.activeElement.id || document.activeElement.value || document.activeElement.textContent));
  }
  for (const what of ['q', 'owner', 'category', 'Views', 'Room', 'Live for', 'next', 'room.created', 'pause', 'events']) {
    assert.ok(reached.has(what), `${what} is not reached: ${[...reached].join(', ')}`);
  }
});

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing in ${colorScheme} colours`, async (t) => {
    const page = await open(t, { colorScheme, bypassCSP: true });
    await working(page);
    await eventually(page, () => document.querySelectorAll('.uplot canvas').length === 3);
    await page.evaluate(readFileSync(new URL('node_modules/axe-core/axe.min.js', import.meta.url), 'utf8'));
    const { violations } = await page.evaluate(() => window.axe.run());
    assert.deepEqual(violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.map((n) => n.target).join(' ')}`), []);
    await page.screenshot({ path: `${ARTEFACTS}/${colorScheme}.png`, fullPage: true });
  });
}

for (const colorScheme of ['light', 'dark']) {
  test(`a stale page can be read in ${colorScheme} colours`, async (t) => {
    const page = await open(t, { colorScheme, bypassCSP: true });
    await working(page);
    await eventually(page, () => document.querySelectorAll('#events li').length > 5);
    await page.route('**/api/v1/status', (route) => route.abort());
    await eventually(page, () => document.body.classList.contains('stale'));
    await page.evaluate(readFileSync(new URL('node_modules/axe-core/axe.min.js', import.meta.url), 'utf8'));
    const { violations } = await page.evaluate(() => window.axe.run({ runOnly: ['color-contrast'] }));
    assert.deepEqual(violations.flatMap((v) => v.nodes.map((n) => n.target.join(' '))), []);
    const veiled = await page.$$eval('main, main > *, .facts', (all) => all
      .filter((e) => getComputedStyle(e).opacity !== '1' || getComputedStyle(e).filter !== 'none').map((e) => e.className));
    assert.deepEqual(veiled, [], 'axe sees no filter');
    await page.screenshot({ path: `${ARTEFACTS}/stale-${colorScheme}.png`, fullPage: true });
    await page.unrouteAll({ behavior: 'wait' });
  });
}

test('who is the writer, who stands by, since when, and how far behind', async (t) => {
  const standby = await fetch(`${CONTROL}/standby`, { method: 'POST' }).then((r) => r.text());
  const role = (page) => page.evaluate(() => [...document.querySelectorAll('#facts > div')].map((d) => d.innerText).find((text) => text.startsWith('Role')) ?? '');
  const page = await open(t);
  await eventually(page, () => /standing by: [^ ]+ \(since [^)]*\d+ messages? behind\)/.test(document.getElementById('facts').innerText));
  assert.match(await role(page), /writer\s+since .*\d.*, term \d+; standing by: /s);
  await page.goto(standby);
  await eventually(page, () => /behind; the writer runs on /.test(document.getElementById('facts').innerText));
  assert.match(await role(page), /standby\s+since .*\d.*, \d+ messages? behind; the writer runs on [^ ]+, .* ago/s);
});

test('the chart library is the one that npm has', () => {
  for (const file of ['dist/uPlot.iife.min.js', 'dist/uPlot.min.css', 'LICENSE']) {
    assert.ok(readFileSync(new URL(`node_modules/uplot/${file}`, import.meta.url))
      .equals(readFileSync(new URL(`../page/vendor/uplot/${file.replace('dist/', '')}`, import.meta.url))), file);
  }
});
