#!/usr/bin/env node
// Rung 2: a conversation, without a library. Every tick is numbered, and the number is stored with
// its event, so that a new start goes on counting where the last one ended.
'use strict';

const readline = require('node:readline');

let lastId = 0;
let tick = 0;
let timer;
let ending = false;
const open = new Map();

const write = (message) => process.stdout.write(JSON.stringify({ jsonrpc: '2.0', ...message }) + '\n');
const notify = (method, params) => write({ method, params });
const request = (method, params, then) => {
  lastId += 1;
  open.set(lastId, then);
  write({ id: lastId, method, params });
};

function start({ state, poll_interval: interval }) {
  tick = state?.tick ?? 0;
  notify('ready');
  timer = setInterval(report, (interval ?? 60) * 1000);
  report();
}

function report() {
  tick += 1;
  const payload = { tick, node: process.version };
  const params = { payload, trigger: 'examples.node_tick', state: { tick } };
  request('dispatch', params, () => notify('status', { text: `${payload.tick} ticks on disk` }));
}

// No new event, but the answers that are open are waited for.
function end() {
  ending = true;
  clearInterval(timer);
  if (open.size === 0) process.exit(0);
}

function answered({ id, result, error }) {
  // An answer without an id is meant for the oldest open request.
  const key = id ?? open.keys().next().value;
  const then = open.get(key);
  open.delete(key);
  if (error) notify('log', { level: 'error', message: `${error.message} (${error.code})` });
  else then?.(result);
  if (ending) end();
}

const methods = {
  ping: () => null,
  shutdown: end,
};

function heard(message) {
  if (!message.method) return answered(message);
  const method = methods[message.method];
  const result = method?.(message.params);
  if (message.id === undefined) return undefined;
  if (method) return write({ id: message.id, result: result ?? null });
  return write({ id: message.id, error: { code: -32601, message: `unknown method ${message.method}` } });
}

readline
  .createInterface({ input: process.stdin })
  .on('line', (line) => heard(JSON.parse(line)))
  .on('close', () => process.exit(0));

request('hello', { protocol: 1, sdk: 'node-clock/1.0', capabilities: [] }, start);
