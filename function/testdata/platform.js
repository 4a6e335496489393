// A Code Engine function platform for tests, as its documentation describes it:
//
//   node platform.js BUNDLE EVENT.json…    calls the function with each event
//   node platform.js BUNDLE --lines        calls it with requests from stdin,
//                                          one JSON line each, and prints answers
//
//   node platform.js BUNDLE --serve        serves HTTP on loopback
//
// Options: --together calls with all requests at once, like a replica with
// concurrency. --freeze stops the function's child after each answer, as a frozen
// container does, and continues it for the next call.
//
// An event file is a structured CloudEvent, or {"headers", "body"} as sent on the
// wire. A request line is {"method","path","query","headers","body"} with
// the body in base64.
'use strict';

const fs = require('fs');
const http = require('http');
const path = require('path');
const { execFileSync } = require('child_process');

const flags = process.argv.slice(2).filter((a) => a.startsWith('--'));
const [bundle, ...files] = process.argv.slice(2).filter((a) => !a.startsWith('--'));

// canonical returns a header name as the platform spells it.
const canonical = (name) => name.toLowerCase().replace(/(^|-)([a-z])/g, (_, dash, c) => dash + c.toUpperCase());

// binary matches the content types whose bodies arrive in base64. Others arrive as text.
const binary = /^(application\/json|application\/octet-stream|(audio|example|font|image|model|multipart|video)\/)/i;

// args returns the argument of main: the request in __ce_*, with the query and the
// fields of a JSON body beside it.
function args(request) {
  const headers = {};
  for (const [name, values] of Object.entries(request.headers || {})) {
    headers[canonical(name)] = Array.isArray(values) && values.length === 1 ? values[0] : values;
  }
  const raw = Buffer.from(request.body || '', 'base64');
  const type = String(headers['Content-Type'] || '');
  const out = {};
  for (const [name, value] of new URLSearchParams(request.query || '')) out[name] = value;
  if (/^application\/json/i.test(type) && raw.length > 0) {
    const parsed = JSON.parse(raw.toString('utf8')); // the platform answers 400 to invalid JSON
    if (parsed && typeof parsed === 'object' && !Array.isArray(parsed)) Object.assign(out, parsed);
  }
  return Object.assign(out, {
    __ce_method: request.method || 'POST',
    __ce_path: request.path || '/',
    __ce_query: request.query || '',
    __ce_headers: headers,
    __ce_body: raw.length === 0 ? '' : binary.test(type) ? raw.toString('base64') : raw.toString('utf8'),
  });
}

function fromFile(file) {
  const event = JSON.parse(fs.readFileSync(file, 'utf8'));
  if (event.headers && event.body !== undefined) {
    const text = typeof event.body === 'string' ? event.body : JSON.stringify(event.body);
    return { headers: event.headers, body: Buffer.from(text).toString('base64') };
  }
  const type = event.notification_id ? 'application/json' : 'application/cloudevents+json';
  const headers = { 'Content-Type': type };
  if (process.env.EVENTS_TOKEN) headers.Authorization = `Bearer ${process.env.EVENTS_TOKEN}`;
  return { headers, body: Buffer.from(JSON.stringify(event)).toString('base64') };
}

// children returns the processes that the function has started.
function children() {
  try {
    return execFileSync('pgrep', ['-P', String(process.pid), '-x', 'latchkey']).toString().trim().split('\n').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

async function call(main, request) {
  let parsed;
  try {
    parsed = args(request);
  } catch {
    return { statusCode: 400, headers: {}, body: 'malformed JSON' };
  }
  if (flags.includes('--freeze')) children().forEach((pid) => process.kill(pid, 'SIGCONT'));
  const answer = await main(parsed);
  if (flags.includes('--freeze')) children().forEach((pid) => process.kill(pid, 'SIGSTOP'));
  return answer;
}

// serve listens on loopback until it is killed. It prints its address in one line
// of JSON on stderr, as latchkey serve does.
function serve(main) {
  const server = http.createServer((req, res) => {
    const parts = [];
    req.on('data', (part) => parts.push(part));
    req.on('end', async () => {
      const url = new URL(req.url, 'http://function');
      const headers = {};
      for (let i = 0; i < req.rawHeaders.length; i += 2) (headers[req.rawHeaders[i]] ||= []).push(req.rawHeaders[i + 1]);
      const answer = await call(main, {
        method: req.method, path: url.pathname, query: url.search.slice(1), headers, body: Buffer.concat(parts).toString('base64'),
      });
      res.writeHead(answer.statusCode || 200, answer.headers);
      res.end(answer.body || '');
    });
  });
  server.listen(0, '127.0.0.1', () => {
    console.error(JSON.stringify({ msg: 'serving', address: `127.0.0.1:${server.address().port}` }));
  });
  process.on('SIGTERM', () => process.exit(0));
  return new Promise(() => {});
}

async function run() {
  const manifest = JSON.parse(fs.readFileSync(path.join(bundle, 'package.json'), 'utf8'));
  process.chdir(bundle);
  const { main } = require(path.resolve('.', manifest.main));
  if (flags.includes('--serve')) {
    await serve(main);
    return;
  }
  if (flags.includes('--lines')) {
    const requests = fs.readFileSync(0, 'utf8').split('\n').filter(Boolean).map((line) => JSON.parse(line));
    const answers = [];
    if (flags.includes('--together')) answers.push(...await Promise.all(requests.map((r) => call(main, r))));
    else for (const r of requests) answers.push(await call(main, r));
    for (const a of answers) console.log(JSON.stringify(a));
    if (flags.includes('--count')) {
      console.log(JSON.stringify({ children: children().length, descriptors: fs.readdirSync('/proc/self/fd').length }));
    }
  } else {
    for (const file of files) console.log(JSON.stringify(await call(main, fromFile(file)), null, 2));
  }
  if (flags.includes('--freeze')) children().forEach((pid) => process.kill(pid, 'SIGCONT'));
}

const here = process.cwd();
files.forEach((f, i) => { files[i] = path.resolve(here, f); });
run().then(() => process.exit(0), (err) => { console.error(err); process.exit(1); });
