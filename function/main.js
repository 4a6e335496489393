// The entry point of latchkey as a Code Engine function. The program is the static
// binary beside this file. It runs as a child process for the life of the replica
// and receives each call as one line of JSON on stdin.
//
// Only the __ce_* arguments are read. The platform adds query parameters and the
// fields of a JSON body beside them, which the caller controls.
'use strict';

const { spawn } = require('child_process');
const fs = require('fs');
const path = require('path');

// The platform answers 299 to a call that takes more than 120 s, and a sender
// takes that for success. The program answers within 100 s. After this deadline
// the call is answered 503.
const DEADLINE_MS = Number(process.env.LATCHKEY_DEADLINE_MS || 110000);

const BINARY = 'latchkey';

// The longest body in bytes, as for the application, and the longest call in
// characters. The program would end on a line that is far longer, with the calls
// that are under way.
const MAX_BODY = 1 << 20;
const MAX_LINE = 4 << 20;

let child = null; // the running program
let lastId = 0;

// start starts the program. Its stderr is the platform's log.
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
      return end('invalid JSON');
    }
    const call = calls.get(answer.id);
    if (call) finish(self, answer.id, call, answer);
  });
  child = self;
  return self;
}

// lines calls each with every complete line of a stream.
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

// finish resolves a call with its answer.
function finish(self, id, call, answer) {
  self.calls.delete(id);
  clearTimeout(call.timer);
  if (self.calls.size === 0) idle(self);
  call.resolve(answer);
}

// idle lets the process exit while the child runs: the platform decides how long
// a replica lives.
function idle(self) {
  for (const handle of [self.proc, self.proc.stdin, self.proc.stdout]) if (handle.unref) handle.unref();
}

// busy keeps the process alive until the call is answered.
function busy(self) {
  for (const handle of [self.proc, self.proc.stdin, self.proc.stdout]) if (handle.ref) handle.ref();
}

// executable returns the program's path. A bundle build may lose the executable
// bit, and the bundle may be read-only. Then a copy is executed.
function executable() {
  const bundled = path.join(__dirname, BINARY);
  if (canExecute(bundled)) return bundled;
  try {
    fs.chmodSync(bundled, 0o755);
    if (canExecute(bundled)) return bundled;
  } catch { /* the bundle is read-only */ }
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

// environment returns the environment without the variables of Node and of the
// platform's wrapper.
function environment() {
  const env = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (!/^(NODE_|npm_|__OW_|LD_)/.test(name)) env[name] = value;
  }
  return env;
}

// headers returns a list of values for each name. The documentation does not say
// how the platform passes a repeated header, so both forms are read.
function headers(given) {
  const out = {};
  for (const [name, value] of Object.entries(given || {})) {
    out[name] = (Array.isArray(value) ? value : [value]).map(String);
  }
  return out;
}

// body returns the request body in base64. The platform passes some content types
// as text and others as base64, and does not document CloudEvents. The characters
// { and [ are not in base64's alphabet, so they identify JSON text.
function body(args) {
  // One page documents body instead of __ce_body for timers.
  const given = args.__ce_body !== undefined ? args.__ce_body : tick(args) ? args.body : undefined;
  if (given === undefined || given === null || given === '') return '';
  if (typeof given !== 'string') return Buffer.from(JSON.stringify(given)).toString('base64');
  if (/^\s*[[{]/.test(given)) return Buffer.from(given, 'utf8').toString('base64');
  const compact = given.replace(/\s+/g, '');
  if (/^[A-Za-z0-9+/]+={0,2}$/.test(compact) && compact.length % 4 === 0) return compact;
  return Buffer.from(given, 'utf8').toString('base64');
}

// tick reports whether the call is a timer event.
function tick(args) {
  return headers(args.__ce_headers)['Ce-Type']?.[0] === 'dev.knative.sources.ping';
}

// unavailable logs the reason and returns a 503 answer.
function unavailable(why) {
  console.error(JSON.stringify({ level: 'ERROR', msg: 'the program did not answer', why }));
  return { status: 503, headers: { 'Retry-After': ['5'] }, body: '' };
}

async function main(args) {
  const encoded = body(args);
  if (Buffer.byteLength(encoded, 'base64') > MAX_BODY) return { statusCode: 413, headers: {}, body: '' };
  const id = String(++lastId);
  const line = JSON.stringify({
    id,
    method: args.__ce_method || 'POST',
    path: args.__ce_path || '/',
    query: args.__ce_query || '',
    headers: headers(args.__ce_headers),
    body: encoded,
  });
  if (line.length > MAX_LINE) return { statusCode: 431, headers: {}, body: '' };
  const self = child || start();
  const answer = await new Promise((resolve) => {
    const call = { resolve, timer: null };
    call.timer = setTimeout(() => finish(self, id, call, unavailable('deadline')), DEADLINE_MS);
    self.calls.set(id, call);
    busy(self);
    self.proc.stdin.write(line + '\n');
  });
  const out = { statusCode: answer.status, headers: {}, body: '' };
  for (const [name, values] of Object.entries(answer.headers || {})) out.headers[name] = values.length === 1 ? values[0] : values;
  // Every answer is text.
  if (answer.body) out.body = Buffer.from(answer.body, 'base64').toString('utf8');
  return out;
}

// The platform loads the bundle before the first call, so start the program now.
idle(start());

module.exports.main = main;
