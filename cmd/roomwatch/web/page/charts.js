// How has it been? Three charts of the last hour, each with its words.

import { ask, repeat } from './api.js';
import { number, put, span } from './format.js';

/* global uPlot */

const height = 150;
const charts = {};

// watchCharts draws the history and keeps it true.
export function watchCharts() {
  let points = [];
  const draw = () => {
    if (points.length) drawAll(points);
  };
  repeat(async () => {
    const history = await ask('api/v1/history');
    points = history.points.map((p) => ({ ...p, minute: perMinute(p.events, history.step_seconds) }));
    if (points.length) draw();
    else put('sweep-text', 'the first point comes in a few seconds');
  }, 10000);
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    for (const id of Object.keys(charts)) {
      charts[id].destroy();
      delete charts[id];
    }
    draw();
  });
  new ResizeObserver(() => {
    for (const [id, chart] of Object.entries(charts)) chart.setSize({ width: document.getElementById(id).clientWidth, height });
  }).observe(document.querySelector('.charts'));
}

function perMinute(events, step) {
  const of = (type) => (events[type] ?? 0) * 60 / step;
  return { created: of('room.created'), ended: of('room.ended'), views: of('viewcount.changed') };
}

function drawAll(points) {
  const x = points.map((p) => new Date(p.at) / 1000);
  const sweeps = points.map((p) => p.sweep_seconds);
  const rooms = points.map((p) => p.rooms);
  chart('sweep-chart', [x, sweeps], [line('seconds', '--blue')]);
  chart('rooms-chart', [x, rooms], [line('rooms', '--blue')]);
  chart('events-chart', [x, ...['views', 'created', 'ended'].map((k) => points.map((p) => p.minute[k]))],
    [line('views', '--blue'), line('created', '--green'), line('ended', '--red')]);
  put('sweep-text', words(sweeps.filter((v) => v !== null), span, 'no complete sweep yet'));
  put('rooms-text', words(rooms, number));
  const sums = points.map((p) => p.minute.views + p.minute.created + p.minute.ended);
  put('events-text', words(sums, (v) => number(Math.round(v))));
}

function words(values, write, none) {
  if (!values.length) return none;
  const least = values.reduce((a, b) => Math.min(a, b));
  const most = values.reduce((a, b) => Math.max(a, b));
  return `now ${write(values.at(-1))}, between ${write(least)} and ${write(most)}`;
}

function line(label, colour) {
  return { label, stroke: css(colour), width: 1.6, points: { show: false }, spanGaps: true, value: (_, v) => (v == null ? '–' : number(Math.round(v * 10) / 10)) };
}

function css(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

function chart(id, data, series) {
  if (charts[id]) {
    charts[id].setData(data);
    return;
  }
  const axis = { stroke: css('--muted'), grid: { stroke: css('--line'), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' };
  const box = document.getElementById(id);
  charts[id] = new uPlot({
    width: box.clientWidth, height,
    series: [{ value: '{HH}:{mm}:{ss}' }, ...series],
    axes: [
      { ...axis, space: 70, values: [[60, '{HH}:{mm}', null, null, null, null, null, null, 1], [1, '{HH}:{mm}:{ss}', null, null, null, null, null, null, 1]] },
      { ...axis, size: 52, values: (_, ticks) => ticks.map((v) => number(v)) },
    ],
    scales: { y: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] } },
    cursor: { drag: { x: false, y: false } },
  }, data, box);
}
