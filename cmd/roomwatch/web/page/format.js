// How numbers and times are written, and how elements are made. Texts of
// strangers only ever go into the document through text(), never as markup.

const whole = new Intl.NumberFormat('en');
const exact = new Intl.DateTimeFormat('sv', { dateStyle: 'short', timeStyle: 'medium' }); // 2026-11-29 07:08:09
const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });

let skew = 0; // what the daemon's clock is ahead of the browser's, in milliseconds

export function setServerTime(at) { skew = at - Date.now(); }
export function serverNow() { return Date.now() + skew; }

export function number(n) { return whole.format(n); }
export function plural(n, one, many = one + 's') { return `${number(n)} ${n === 1 ? one : many}`; }
export function time(at) { return clock.format(new Date(at)); }
export function exactly(at) { return exact.format(new Date(at)); }

// percent writes a share, and all of it only where nothing lacks.
export function percent(share) { return `${Math.floor(share * 10000 + 1e-6) / 100} %`; }

// zone names the time zone of all times on the page, and what it is ahead of UTC.
export function zone() {
  const parts = new Intl.DateTimeFormat('en', { timeZoneName: 'longOffset' }).formatToParts(serverNow());
  return `${exact.resolvedOptions().timeZone} (${parts.find((p) => p.type === 'timeZoneName').value})`;
}

// span writes a number of seconds.
export function span(seconds) {
  const s = Math.max(0, seconds);
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.floor(s / 60)} min`;
  if (s < 172800) return `${Math.floor(s / 3600)} h ${Math.floor(s / 60) % 60} min`;
  return `${Math.floor(s / 86400)} days`;
}

// since writes how long ago something was, in whole seconds.
export function since(at) {
  const s = Math.max(0, Math.round((serverNow() - new Date(at)) / 1000));
  return s < 1 ? 'now' : `${s < 120 ? `${s} s` : span(s)} ago`;
}

// element makes an element with classes and children; strings become text.
export function element(tag, classes = '', ...children) {
  const e = document.createElement(tag);
  if (classes) e.className = classes;
  e.append(...children);
  return e;
}

// stranger makes an element for a text from outside: its direction and its
// control characters stay inside.
export function stranger(value, classes = '') {
  const e = element('bdi', classes);
  text(e, value);
  return e;
}

// text sets the text of an element that is a stranger's, if it is another one.
export function text(e, value) {
  const shown = printable(value);
  if (e.textContent === shown) return;
  e.textContent = shown;
}

// printable replaces what is not safe to show, by the rule of the package display:
// control and invisible characters, and what changes the direction of a text.
// The joiner, the non-joiner and the tags in a flag stay: emoji and words have them.
export function printable(value) {
  return String(value).replace(
    /(\u{1f3f4}[\u{e0030}-\u{e0039}\u{e0061}-\u{e007a}]{1,6}\u{e007f}|[\u200c\u200d])|[\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}\u2800]|(?!\p{Variation_Selector})\p{Default_Ignorable_Code_Point}/gu,
    (_, safe) => safe ?? '\ufffd',
  );
}

// put sets the text of one of the page's own elements, if it is another one.
export function put(id, value) {
  const e = document.getElementById(id);
  if (e.textContent !== value) e.textContent = value;
  return e;
}
