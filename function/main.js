// What Code Engine starts when latchkey is a function. The program itself is
// the static binary beside this file; it stays up as a child for as long as the
// instance does, and takes each call as one line of JSON on stdin.
//
// Only the __ce_* arguments are read. The platform unfolds query parameters and
// the fields of a JSON body beside them: those are the caller's.
'use strict';

const { spawn } = require('child_process');
const fs = require('fs');
const path = require('path');

// A call that outlasts the platform's 120 s is answered 299 by it, which a
// sender takes for success. The program answers within 100 s; this is for a
// program that does not.
const DEADLINE_MS = Number(process.env.LATCHKEY_DEADLINE_MS || 110000);

// The longest body is the platform's 5 MB, the longest answer a sweep's.
const BINARY = 'latchkey';

let child = null; // the program, when it is up
let lastId = 0;

// start brings the program up. Its stderr is the platform's log.
function start() {
  const calls = new Map(); // id -> { resolve, timer }
  const proc = spawn(executable(), ['invoke'], {
    cwd: __dirname, env: environment(), stdio: ['pipe', 'pipe', 'inherit'],
  });
  const self = { proc, calls, up: true };
  const end = (why) => {
    if (!self.up) return;
    self.up = false;
    if (child === self) child = null;
    for (const [id, call] of calls) finish(self, id, call, unavailable(why));
    proc.kill('SIGKILL');
  };
  proc.on('error', (err) => end(err.code || 'error'));
  proc.on('exit', (code, signal) => end(signal || `exit ${code}`));
  proc.stdin.on('error', () => end('stdin'));
  lines(proc.stdout, (line) => {
    let answer;
    try {
      answer = JSON.parse(line);
    } catch {
      return end('an answer that is no JSON');
    }
    const call = calls.get(answer.id);
    if (call) finish(self, answer.id, call, answer);
  });
  child = self;
  return self;
}

// lines calls back with each whole line of a stream.
function lines(stream, each) {
  let parts = [];
  stream.on('data', (data) => {
    let from = 0;
    for (let to; (to = data.indexOf(10, from)) >= 0; from = to + 1) {
      parts.push(data.subarray(from, to));
      const line = Buffer.concat(parts).toString('utf8');
      parts = [];
      each(line);
    }
    if (from < data.length) parts.push(data.subarray(from));
  });
}

function finish(self, id, call, answer) {
  self.calls.delete(id);
  clearTimeout(call.timer);
  if (self.calls.size === 0) idle(self);
  call.resolve(answer);
}

// idle lets the process end although the child is up: the platform decides how
// long an instance lives, not the child.
function idle(self) {
  for (const handle of [self.proc, self.proc.stdin, self.proc.stdout]) if (handle.unref) handle.unref();
}

function busy(self) {
  for (const handle of [self.proc, self.proc.stdin, self.proc.stdout]) if (handle.ref) handle.ref();
}

// executable is the program's path. A bundle build may lose the bit that makes
// a file executable, and the bundle may be read-only.
function executable() {
  const bundled = path.join(__dirname, BINARY);
  if (canExecute(bundled)) return bundled;
  try {
    fs.chmodSync(bundled, 0o755);
    if (canExecute(bundled)) return bundled;
  } catch { /* read-only: a copy will do */ }
  const copy = path.join(fs.mkdtempSync(path.join(require('os').tmpdir(), 'latchkey-')), BINARY);
  fs.copyFileSync(bundled, copy);
  fs.chmodSync(copy, 0o755);
  return copy;
}

function canExecute(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

// environment is ours without what is meant for Node and the platform's shim.
function environment() {
  const env = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (!/^(NODE_|npm_|__OW_|LD_)/.test(name)) env[name] = value;
  }
  return env;
}

// headers are lists of values per name. How the platform hands over a repeated
// header is not documented: both forms are read.
function headers(given) {
  const out = {};
  for (const [name, value] of Object.entries(given || {})) {
    out[name] = (Array.isArray(value) ? value : [value]).map(String);
  }
  return out;
}

// body is what was sent, as base64. The platform gives some content types as
// text and others as base64, and its documents do not cover ours; but { and [
// are not in base64's alphabet, so for JSON the first character tells.
function body(args) {
  // Timers have been documented with body in place of __ce_body.
  const given = args.__ce_body !== undefined ? args.__ce_body : tick(args) ? args.body : undefined;
  if (given === undefined || given === null || given === '') return '';
  if (typeof given !== 'string') return Buffer.from(JSON.stringify(given)).toString('base64');
  if (/^\s*[[{]/.test(given)) return Buffer.from(given, 'utf8').toString('base64');
  const compact = given.replace(/\s+/g, '');
  if (/^[A-Za-z0-9+/]+={0,2}$/.test(compact) && compact.length % 4 === 0) return compact;
  return Buffer.from(given, 'utf8').toString('base64');
}

function tick(args) {
  return headers(args.__ce_headers)['Ce-Type']?.[0] === 'dev.knative.sources.ping';
}

function unavailable(why) {
  console.error(JSON.stringify({ level: 'ERROR', msg: 'no answer from the program', why }));
  return { status: 503, headers: { 'Retry-After': ['5'] }, body: '' };
}

async function main(args) {
  const self = child || start();
  const id = String(++lastId);
  const line = JSON.stringify({
    id,
    method: args.__ce_method || 'POST',
    path: args.__ce_path || '/',
    query: args.__ce_query || '',
    headers: headers(args.__ce_headers),
    body: body(args),
  });
  const answer = await new Promise((resolve) => {
    const call = { resolve, timer: null };
    call.timer = setTimeout(() => finish(self, id, call, unavailable('deadline')), DEADLINE_MS);
    self.calls.set(id, call);
    busy(self);
    self.proc.stdin.write(line + '\n');
  });
  const out = { statusCode: answer.status, headers: {}, body: '' };
  for (const [name, values] of Object.entries(answer.headers || {})) out.headers[name] = values.length === 1 ? values[0] : values;
  // Every answer of the program is text.
  if (answer.body) out.body = Buffer.from(answer.body, 'base64').toString('utf8');
  return out;
}

// The platform loads the bundle before the first call: the program comes up
// meanwhile.
idle(start());

module.exports.main = main;
