// The console in front of a large store: a million keys, a document of 5 MB, many commands a second.
// node console_large.mjs 'http://127.0.0.1:3030/#token=TOKEN' REST_URL REST_TOKEN REDIS_URL [PROCESS ID of restis]
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { withPage } from "./browser.mjs";
import { steps } from "./console_page.mjs";

const [address, restUrl, token, redisUrl, pid] = process.argv.slice(2);
const KEYS = Number(process.env.RESTIS_KEYS ?? 1_000_000);
/** A page that stands still for longer is frozen; the machine may be busy. */
const FROZEN_MS = 4000;

const post = async (path, body) => {
  const response = await fetch(`${restUrl}${path}`, { method: "POST", headers: { authorization: `Bearer ${token}` }, body: JSON.stringify(body) });
  const answer = await response.json();
  if (answer.error) throw new Error(answer.error);
  return answer;
};
const store = async (...args) => (await post("/", args)).result;

/** Keys of two levels; one of them is large, one expires first, both far behind. */
async function fill() {
  await store("FLUSHALL");
  const at = (n) => (n % 2 ? `user:${n}:name` : `n:${n}`);
  for (let from = 0; from < KEYS; from += 20_000) {
    const commands = [];
    for (let begin = from; begin < Math.min(KEYS, from + 20_000); begin += 1000) {
      commands.push(["MSET", ...Array.from({ length: Math.min(1000, KEYS - begin) }, (_, n) => [at(begin + n), "v"]).flat()]);
    }
    await post("/pipeline", commands);
  }
  await store("SET", "n:zz-large", "x".repeat(100_000));
  await store("SET", "n:zz-brief", "v", "EX", "3000");
  return KEYS + 2;
}

/** Sends SET by the Redis protocol as fast as they are answered; how many were. */
async function storm(ms) {
  const { hostname, port, password } = new URL(redisUrl);
  const socket = connect({ host: hostname, port });
  const auth = `*2\r\n$4\r\nAUTH\r\n$${Buffer.byteLength(password)}\r\n${password}\r\n`;
  const one = (n) => `*3\r\n$3\r\nSET\r\n$11\r\nstorm:${String(n % 100_000).padStart(5, "0")}\r\n$5\r\nvalue\r\n`;
  const batch = Buffer.from(Array.from({ length: 500 }, (_, n) => one(n * 199)).join(""));
  const until = performance.now() + ms;
  let bytes = 0;
  let sent = 1;
  socket.write(auth);
  await new Promise((resolve, reject) => {
    socket.on("error", reject).on("data", (data) => {
      bytes += data.length;
      // Each reply is +OK and the end of a line.
      if (bytes < 5 * sent) return;
      if (performance.now() > until) return resolve(socket.destroy());
      for (let n = 0; n < 4; n++) socket.write(batch);
      sent += 2000;
    });
  });
  return sent - 1;
}

/** Milliseconds of a processor that a process has used. */
const used = () => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
  return 10 * (Number(fields[11]) + Number(fields[12]));
};

/** Commands a second, and microseconds of a processor that each cost the server. */
async function cost(ms) {
  const [at, before] = [performance.now(), pid ? used() : 0];
  const commands = await storm(ms);
  const seconds = (performance.now() - at) / 1000;
  return { rate: commands / seconds, each: pid ? (1000 * (used() - before)) / commands : 0 };
}

await withPage(async (page) => {
  const { go, press, says } = steps(page);
  await page.goto(address);
  await page.wait(() => document.querySelector("nav") !== null);
  await page.run(() => {
    globalThis.longest = { ms: 0, sum: 0 };
    new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => (Object.assign(longest, { ms: Math.max(longest.ms, duration), sum: longest.sum + duration })))).observe({ type: "longtask" });
  });
  /** What stood still longest since the last time. */
  const measured = async (name) => {
    const { ms, sum } = await page.run(() => { const was = { ...longest }; Object.assign(longest, { ms: 0, sum: 0 }); return was; });
    console.log(`${name}: longest task ${ms.toFixed(0)} ms, all long tasks ${sum.toFixed(0)} ms`);
    assert.ok(ms < FROZEN_MS, `${name} froze the page for ${ms} ms`);
  };
  const number = (n) => n.toLocaleString("en");

  // Live while commands come as fast as they can: the page is drawn, counts all and says what it left out.
  await go("#/live", () => document.querySelector(".live") !== null);
  await measured("opening Live");
  await page.run(() => { globalThis.frames = 0; const next = () => { frames++; requestAnimationFrame(next); }; next(); });
  const { rate } = await cost(5000);
  await measured(`Live at ${number(Math.round(rate))} commands a second`);
  assert.ok(await page.run(() => frames) > 5, "Live is not drawn");
  await says('"SET" "storm:');
  // However slow the machine is, these are more at once than are shown.
  await store("EVAL", "for n = 1, 5000 do redis.call('SET', 'burst', n) end", "0");
  await says("were too many to be shown");
  await page.run(() => { const field = document.querySelector("main input"); field.value = "get Wanted"; field.dispatchEvent(new Event("input", { bubbles: true })); });
  await page.wait(() => location.hash.includes("filter=get"));
  const storming = storm(3000);
  const again = setInterval(() => store("GET", "it:is:wanted"), 200);
  await page.wait(() => document.querySelector(".live tbody")?.textContent.includes('"GET" "it:is:wanted"'));
  clearInterval(again);
  await storming;
  assert.ok(await page.run(() => !document.querySelector("main").textContent.includes("storm:")), "the filter let another command through");
  await measured("Live with a filter");
  if (pid) {
    const rounds = [];
    for (let round = 0; round < 5; round++) {
      await go("#/start", () => document.querySelector("main h1")?.textContent === "Start");
      const without = await cost(2000);
      await go("#/live", () => document.querySelector(".live") !== null);
      const open = await cost(2000);
      rounds.push({ without, open, more: open.each / without.each - 1 });
    }
    rounds.sort((one, other) => one.more - other.more);
    for (const { without, open, more } of rounds) console.log(`${number(Math.round(without.rate))}/s at ${without.each.toFixed(2)} µs; with Live ${number(Math.round(open.rate))}/s at ${open.each.toFixed(2)} µs: ${(100 * more).toFixed(1)} % more`);
    console.log(`median: ${(100 * rounds[2].more).toFixed(1)} % more`);
  }
  await go("#/start", () => document.querySelector("main h1")?.textContent === "Start");

  const count = await fill();
  await go("#/data", () => document.querySelector(".keys") !== null);
  while (!(await page.run((text) => document.querySelector(".keys [role=status]").textContent.includes(text), `${number(count)} keys found`))) {
    await page.wait(() => !document.querySelector(".keys [role=status]").textContent.includes("reading"));
    if (await page.run(() => [...document.querySelectorAll(".keys button")].some((one) => one.textContent === "Read on"))) await press("Read on");
  }
  await page.wait(() => !document.querySelector(".keys [role=status]").textContent.includes("reading"));
  await measured(`reading ${number(count)} keys`);
  await page.run(() => [...document.querySelectorAll(".tree .branch .leaf")].find((one) => one.textContent.includes("▸ n")).click());
  await page.wait(() => document.querySelectorAll(".tree [role=group] .leaf").length >= 300 && document.querySelectorAll(".facts").length >= 300);
  await measured("opening a branch of half of them");

  // By size and by expiry the first are the first of all.
  await go("#/data?form=tree&sort=bytes", () => document.querySelector(".tree [role=group] .leaf")?.textContent === "zz-large");
  await page.wait(() => document.querySelector(".tree [role=status]") === null);
  await measured("sorting a level by size");
  await go("#/data?form=list&sort=ttl", () => document.querySelector(".keys tbody .leaf")?.textContent === "n:zz-brief" && document.querySelector(".keys table").ariaBusy === "false");
  await measured("sorting all by expiry");
  await go("#/data?form=list&sort=bytes", () => document.querySelector(".keys tbody .leaf")?.textContent === "n:zz-large" && document.querySelector(".keys table").ariaBusy === "false");
  await measured("sorting all by size");

  // A document of 5 MB: as a tree, opened, as text; a string of it by pages.
  const large = JSON.stringify({ rows: Array.from({ length: 40_000 }, (_, n) => ({ id: n, exact: 12345678901234567890n.toString(), name: `name ${n}`, text: "x".repeat(60), list: [1, 2, { deep: true }] })), last: 1 });
  assert.ok(large.length > 5_000_000);
  await store("JSON.SET", "document", "$", large.replaceAll('"12345678901234567890"', "12345678901234567890"));
  await store("SET", "text", large);
  await store("HSET", "hash", "field", large);
  await go("#/data?key=document", () => [...document.querySelectorAll(".value-pane .json .leaf")].some((one) => one.textContent.includes("rows")));
  await page.run(() => [...document.querySelectorAll(".value-pane .json .leaf")].find((one) => one.textContent.includes("rows")).click());
  await says("[40000]", ".value-pane");
  await page.wait(() => document.querySelectorAll(".value-pane .json .leaf").length > 200);
  await page.run(() => [...document.querySelectorAll(".value-pane .json .leaf")].find((one) => one.textContent.startsWith("▸ 0")).click());
  await says("12345678901234567890", ".value-pane");
  await measured("a document of 5 MB as a tree");
  await press("Text");
  await page.wait(() => document.querySelector(".value-pane pre")?.textContent.includes('"rows"'));
  await measured("a document of 5 MB as text");
  await go("#/data?key=text", () => document.querySelector(".value-pane pre")?.textContent.includes("rows"));
  await press("After");
  await says("bytes 65,536 to", ".value-pane");
  await measured("a string of 5 MB");
  await go("#/data?key=hash", () => document.querySelector(".value-pane tbody .value") !== null);
  await measured("a field of 5 MB");
  assert.deepEqual(page.problems, []);
}, 1_200_000);
