// Sends events with the CloudEvents SDK for JavaScript. For each event it prints a
// line of JSON: the answer, and what the SDK reads from it.
//
//   node sender.js <the module cloudevents> <URL> <credential>
//
// The bearer token is in EVENTS_TOKEN.
"use strict";
const [, , module_, url, credential] = process.argv;
const { CloudEvent, HTTP } = require(module_);

const at = "2026-11-24T10:00:00.000Z";
const make = (more) => new CloudEvent({ id: "e-1", source: "/sender", time: at, ...more });
const sweep = (more) => make({ type: "dev.latchkey.sweep", data: { credentials: [credential] }, ...more });

const cases = {
  "a sweep of one": sweep(),
  "a sweep without data": make({ type: "dev.latchkey.sweep", datacontenttype: undefined }),
  "extensions of each type": sweep({ word: "eu-de", count: 7, yes: true }),
  "a charset": sweep({ datacontenttype: "application/json; charset=utf-8" }),
  "a subject with a space": sweep({ subject: "a b" }),
  "a subject beyond ASCII": sweep({ subject: "Euro € 😀" }),
  "a subject with a percent sign": sweep({ subject: "100% \"sure\"" }),
  "text": make({ type: "com.acme.note", datacontenttype: "text/plain", data: "hello" }),
  "bytes": make({ type: "com.acme.blob", datacontenttype: "application/octet-stream", data: new Uint8Array([0, 255, 7]) }),
  "an unknown field": make({ type: "dev.latchkey.sweep", data: { colour: "red" } }),
};

async function post(headers, body) {
  const response = await fetch(url, { method: "POST", headers: { ...headers, authorization: `Bearer ${process.env.EVENTS_TOKEN}` }, body });
  const text = await response.text();
  const answer = { status: response.status, text };
  if (response.headers.get("ce-id")) {
    const event = HTTP.toEvent({ headers: Object.fromEntries(response.headers), body: text });
    event.validate();
    answer.type = event.type;
  }
  return answer;
}

(async () => {
  const say = (name, mode, answer) => console.log(JSON.stringify({ name, mode, ...answer }));
  for (const [name, event] of Object.entries(cases)) {
    for (const mode of ["binary", "structured"]) {
      let answer;
      try {
        const { headers, body } = HTTP[mode](event);
        answer = await post(headers, body);
      } catch (err) {
        answer = { status: 0, text: String(err.cause || err) };
      }
      say(name, mode, answer);
    }
  }
  const batch = JSON.stringify([cases["a sweep of one"], cases.text, cases["a subject beyond ASCII"]]);
  say("three events", "batch", await post({ "content-type": "application/cloudevents-batch+json" }, batch));
})().catch((err) => {
  console.error(err);
  process.exit(1);
});
