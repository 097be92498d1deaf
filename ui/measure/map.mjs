// Measures the map without a graphics card: first picture and frame rate while it is panned and
// zoomed, in Chromium and in WebKitGTK, and draws its pictures.
//
//   node measure/map.mjs              both browsers, printed as a table
//   node measure/map.mjs --pictures   PNG files in pictures/map instead
//
// WebKitGTK needs WebKitWebDriver, its MiniBrowser, and a display or Xvfb.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { build, preview } from 'vite';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
const MINI_BROWSERS = ['x86_64', 'aarch64'].map(
  (machine) => `/usr/lib/${machine}-linux-gnu/webkit2gtk-4.1/MiniBrowser`,
);
const SIZE = { width: 1100, height: 760 };
const SECONDS = 4;
const RUNS = [
  // What the browser makes of an empty sky here: more than that cannot be had.
  { count: 1, layout: 'radial' },
  { count: 2_000, layout: 'radial' },
  { count: 2_000, layout: 'tree' },
  { count: 2_000, layout: 'force' },
  { count: 10_000, layout: 'radial' },
  { count: 10_000, layout: 'radial', all: true },
  { count: 10_000, layout: 'tree', all: true },
];

async function serve() {
  const outDir = mkdtempSync(join(tmpdir(), 'map-measure-'));
  const config = {
    configFile: false,
    root: here('map'),
    logLevel: 'error',
    worker: { format: 'es' },
    build: { outDir, emptyOutDir: true, target: 'es2022' },
    preview: { host: '127.0.0.1', port: 0 },
  };
  await build(config);
  const server = await preview(config);
  const close = async () => {
    await server.close();
    rmSync(outDir, { recursive: true });
  };
  return { url: `http://127.0.0.1:${server.httpServer.address().port}/`, close };
}

/** A page in Chromium: `call` runs a function of the page. */
async function inChromium(url) {
  const args = ['--no-sandbox', '--disable-gpu'];
  const browser = await chromium.launch({ executablePath: CHROMIUM, args });
  const page = await browser.newPage({ viewport: SIZE });
  page.on('pageerror', (error) => console.error(error));
  await page.goto(url);
  const call = (name, ...values) =>
    page.evaluate(([n, v]) => globalThis.map[n](...v), [name, values]);
  return { call, page, close: () => browser.close() };
}

/** Starts a program and waits until `ready` holds. */
async function start(command, args, env, ready) {
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: 'ignore' });
  for (let tries = 0; tries < 100; tries += 1) {
    if (await ready()) return child;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  child.kill();
  throw new Error(`${command} does not start`);
}

/** A page in WebKitGTK, by the WebDriver protocol. */
async function inWebKit(url) {
  const binary = MINI_BROWSERS.find(existsSync);
  if (!binary) throw new Error('WebKitGTK has no MiniBrowser here');
  const children = [];
  const env = { LANG: 'en_US.UTF-8' };
  if (!process.env.DISPLAY) {
    env.DISPLAY = ':97';
    const screen = [':97', '-screen', '0', '1400x1000x24'];
    children.push(await start('Xvfb', screen, {}, () => existsSync('/tmp/.X11-unix/X97')));
  }
  const driver = 'http://127.0.0.1:4497';
  const ask = async (method, path, body) => {
    const options = { method, ...(body ? { body: JSON.stringify(body) } : {}) };
    const { value } = await (await fetch(driver + path, options)).json();
    if (value?.error) throw new Error(`${value.error}: ${value.message}`);
    return value;
  };
  const ready = () =>
    ask('GET', '/status').then(
      (s) => s.ready,
      () => false,
    );
  children.push(await start('WebKitWebDriver', ['--port=4497'], env, ready));
  const options = { binary, args: ['--automation'] };
  const always = { browserName: 'MiniBrowser', 'webkitgtk:browserOptions': options };
  const { sessionId } = await ask('POST', '/session', { capabilities: { alwaysMatch: always } });
  const session = `/session/${sessionId}`;
  await ask('POST', `${session}/timeouts`, { script: 180_000 });
  await ask('POST', `${session}/window/rect`, { ...SIZE, x: 0, y: 0 });
  await ask('POST', `${session}/url`, { url });
  const script = `const [name, values, done] = arguments;
    Promise.resolve(map[name](...values)).then((value) => done({ value }), (e) => done({ e: String(e) }));`;
  const call = async (name, ...values) => {
    const answer = await ask('POST', `${session}/execute/async`, { script, args: [name, values] });
    if (answer.e) throw new Error(answer.e);
    return answer.value;
  };
  const close = async () => {
    await ask('DELETE', session).catch(() => undefined);
    for (const child of children.reverse()) child.kill();
  };
  return { call, close };
}

async function measure(url) {
  const rows = [];
  for (const [browser, open] of [
    ['Chromium', inChromium],
    ['WebKitGTK', inWebKit],
  ]) {
    let page;
    try {
      page = await open(url);
    } catch (error) {
      console.error(`${browser}: ${error.message}`);
      continue;
    }
    await page.call('show', { count: 60, layout: 'radial' });
    for (const run of RUNS) {
      const first = await page.call('show', run);
      await page.call('settle');
      await page.call('busy');
      const { fps, draw, worst } = await page.call('measure', SECONDS);
      rows.push({
        browser,
        nodes: run.count,
        layout: run.layout,
        shown: run.all || run.count <= 2_000 ? 'all' : '2000',
        'first picture, ms': Math.round(first),
        fps: Math.round(fps),
        'draw, ms': Number(draw.toFixed(1)),
        'worst frame, ms': Math.round(worst),
      });
    }
    await page.close();
  }
  console.table(rows);
  const [load] = loadavg();
  const busy = load > cpus().length ? ': too busy for the numbers to mean much' : '';
  console.log(`load ${load.toFixed(1)} on ${cpus().length} processors${busy}`);
}

async function pictures(url) {
  const folder = here('../pictures/map');
  mkdirSync(folder, { recursive: true });
  const { call, page, close } = await inChromium(url);
  for (const appearance of ['light', 'dark']) {
    await call('appearance', appearance);
    for (const [count, layout] of [
      [1, 'radial'],
      [5, 'radial'],
      [60, 'radial'],
      [60, 'tree'],
      [60, 'force'],
      [2_000, 'radial'],
      [2_000, 'tree'],
      [2_000, 'force'],
      [10_000, 'radial'],
    ]) {
      await call('show', { count, layout });
      await call('settle');
      await call('busy');
      await call('settle');
      const name = `${count}-${layout}-${appearance}`;
      await page.screenshot({ path: join(folder, `${name}.png`) });
      if (layout !== 'radial' || count < 60) continue;
      await call('route');
      await call('settle');
      await page.screenshot({ path: join(folder, `${name}-route.png`) });
    }
    await call('show', { count: 10_000, layout: 'radial', all: true });
    await call('settle');
    await page.screenshot({ path: join(folder, `10000-all-${appearance}.png`) });
    await call('zoom', 8);
    await call('settle');
    await page.screenshot({ path: join(folder, `10000-near-${appearance}.png`) });
  }
  await close();
  console.log(`pictures are in ${folder}`);
}

const server = await serve();
try {
  await (process.argv.includes('--pictures') ? pictures : measure)(server.url);
} finally {
  await server.close();
}
