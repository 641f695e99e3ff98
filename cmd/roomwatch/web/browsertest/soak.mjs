// Keeps the status page open until its standard input ends, and then says what
// it had to complain about. Requests that got no answer while the daemon was
// away are no complaint: the browser notes each of them by itself.

import { chromium } from 'playwright-core';

const { PAGE, CHROMIUM } = process.env;
const browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'],
});
const page = await browser.newPage();
const faults = [];
const away = /net::ERR_(CONNECTION_REFUSED|CONNECTION_RESET|EMPTY_RESPONSE|INCOMPLETE_CHUNKED_ENCODING)/;
page.on('console', (m) => { if (m.type() === 'error' && !away.test(m.text())) faults.push(m.text()); });
page.on('pageerror', (e) => faults.push(e.message));
await page.goto(PAGE);
for await (const _ of process.stdin); // until it is closed
const facts = await page.evaluate(() => ({
  headline: document.getElementById('headline').textContent,
  rows: document.querySelectorAll('#room-rows tr').length,
  events: document.querySelectorAll('#events li').length,
  feed: document.getElementById('feed-state').textContent,
}));
await browser.close();
console.log(JSON.stringify({ ...facts, faults }));
