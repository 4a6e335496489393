// Measures what the function's entry point costs, as ratios of one run:
//
//   node bench.js BUNDLE [CLOUDEVENTS]
//
//   warm/spawn    a warm call through main.js, against starting the program for each call
//   first/node    the first answer of a new process, against a JavaScript handler that
//                 reads the event with the CloudEvents SDK (CLOUDEVENTS is its folder)
//   first/empty   the same, against a handler that does nothing
//   true/empty    a handler that starts /bin/true, against one that does nothing
'use strict';

const { spawnSync } = require('child_process'); // the program's log is not read
const path = require('path');

const bundle = path.resolve(process.argv[2]);
const args = {
  __ce_method: 'POST', __ce_path: '/', __ce_query: '', __ce_body: '',
  __ce_headers: { 'Ce-Id': '1', 'Ce-Source': '/bench', 'Ce-Specversion': '1.0', 'Ce-Type': 'com.acme.order' },
};
// latchkey ignores the event's type, so it calls nothing. The token avoids the rate
// limit of unauthenticated calls.
args.__ce_headers.Authorization = 'Bearer bench-0123456789abcdef';
const env = {
  PATH: process.env.PATH, LATCHKEY_ENDPOINT: 'http://127.0.0.1:1', IBMCLOUD_API_KEY: 'none', EVENTS_TOKEN: 'bench-0123456789abcdef',
  LATCHKEY_CONFIG: 'version: 1\nowner: bench\nevents: {auth: {bearerEnv: EVENTS_TOKEN}}\ncredentials:\n- name: a\n  serviceID: {name: a, policies: [{service: logs, roles: [Sender]}]}\n  stores: [{file: {path: a.json}}]\n',
};
Object.assign(process.env, env);

const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
const ms = (from) => Number(process.hrtime.bigint() - from) / 1e6;

async function warm(n) {
  const { main } = require(path.join(bundle, 'main.js'));
  for (let i = 0; i < 50; i++) if ((await main(args)).statusCode !== 204) throw new Error('not 204');
  const times = [];
  for (let i = 0; i < n; i++) {
    const from = process.hrtime.bigint();
    await main(args);
    times.push(ms(from));
  }
  return median(times);
}

function spawned(n) {
  const headers = Object.fromEntries(Object.entries(args.__ce_headers).map(([k, v]) => [k, [v]]));
  const input = JSON.stringify({ id: '1', method: 'POST', path: '/', headers }) + '\n';
  const times = [];
  for (let i = 0; i < n; i++) {
    const from = process.hrtime.bigint();
    const r = spawnSync(path.join(bundle, 'latchkey'), ['invoke'], { env, input });
    times.push(ms(from));
    if (!r.stdout.includes('"status":204')) throw new Error(String(r.stderr));
  }
  return median(times);
}

function first(n, script) {
  const times = [];
  for (let i = 0; i < n; i++) {
    const from = process.hrtime.bigint();
    const r = spawnSync(process.execPath, ['-e', script], { env });
    times.push(ms(from));
    if (r.status !== 0) throw new Error(String(r.stderr));
  }
  return median(times);
}

(async () => {
  const call = `(async () => { const a = await main(${JSON.stringify(args)}); process.exit(a.statusCode === 204 ? 0 : 1); })()`;
  const w = await warm(2000);
  const s = spawned(40);
  const entry = first(40, `const { main } = require(${JSON.stringify(path.join(bundle, 'main.js'))}); ${call}`);
  const pure = first(40, `const main = async (args) => ({ statusCode: JSON.stringify(args).length > 0 ? 204 : 500 }); ${call}`);
  console.log(`warm ${w.toFixed(3)} ms, spawn per call ${s.toFixed(2)} ms: warm/spawn = ${(w / s).toFixed(4)} (goal 0.03)`);
  const child = first(40, `const main = async () => new Promise((r) => require('child_process').spawn('/bin/true', { stdio: ['pipe', 'pipe', 'inherit'] }).on('exit', () => r({ statusCode: 204 }))); ${call}`);
  console.log(`first answer ${entry.toFixed(1)} ms, empty handler ${pure.toFixed(1)} ms: first/empty = ${(entry / pure).toFixed(2)}, true/empty = ${(child / pure).toFixed(2)}`);
  if (process.argv[3]) {
    const reader = first(40, `const { HTTP } = require(${JSON.stringify(path.resolve(process.argv[3]))}); const main = async (args) => ({ statusCode: HTTP.toEvent({ headers: Object.fromEntries(Object.entries(args.__ce_headers).map(([k, v]) => [k.toLowerCase(), v])), body: args.__ce_body }).type === 'com.acme.order' ? 204 : 500 }); ${call}`);
    console.log(`Node that reads the event ${reader.toFixed(1)} ms: first/node = ${(entry / reader).toFixed(2)} (goal 1.2)`);
  }
  process.exit(0);
})();
