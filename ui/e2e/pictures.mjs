// Pictures of every view in every state, light and dark, in two sizes, laid side by side:
// `npm run pictures [-- --view home,map --tab circles --scene normal --sheet share --quick]`.
// Single pictures go to pictures/, the contact sheets to pictures/sheets/.

import { copyFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { browser, serve } from './page.mjs';

const out = fileURLToPath(new URL(`../${process.env.PICTURES ?? 'pictures'}`, import.meta.url));
const option = (name) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? null : (process.argv[at + 1] ?? '').split(',');
};
const quick = process.argv.includes('--quick');

const VIEWS = ['home', 'friends', 'peers', 'map', 'health', 'settings'];
const SIZES = { small: [960, 640], large: [1600, 1000] };
/** Sheets, and the view that each lies over. */
const SHEETS = {
  share: 'home',
  add_friend: 'friends',
  friend: 'friends',
  circle: 'friends',
  create_circle: 'friends',
  join: 'friends',
  invite: 'friends',
  invite_link: 'friends',
  paper_key: 'friends',
  add_peer: 'peers',
  peer: 'peers',
  choose_peers: 'peers',
  report: 'health',
  export_identity: 'settings',
  import: 'settings',
  add_forward: 'settings',
  palette: 'home',
};
/** Pictures that the README shows; `--keep` replaces them. */
const KEPT = [
  ['home', 'light'],
  ['friends', 'dark'],
  ['friends_circles', 'light'],
  ['friends_reach', 'dark'],
  ['peers', 'light'],
  ['map', 'dark'],
  ['health', 'light'],
  ['settings_lan', 'light'],
  ['settings_forwards', 'dark'],
];
const LONGEST = 'de';
const AT_ONCE = 4;

/** What is taken: the view, its scene, and what is done before the picture. */
function shots() {
  const views = option('view') ?? (option('sheet') ? [] : VIEWS);
  const scenes = option('scene');
  const tabs = option('tab');
  const list = [];
  for (const view of views) {
    const usual = scenes ?? ['normal', 'empty', 'loading', 'degraded', 'stopped'];
    for (const scene of usual) {
      if (tabs) for (const tab of tabs) list.push({ view, tab, scene });
      else list.push({ view, scene });
    }
  }
  for (const [sheet, view] of Object.entries(SHEETS)) {
    if (option('sheet')?.includes(sheet) ?? !option('view')) {
      list.push({ view, sheet, scene: 'normal' });
    }
  }
  if (tabs) return list;
  if (!scenes && views.includes('friends')) {
    list.push({ view: 'friends', tab: 'circles', scene: 'normal' });
    list.push({ view: 'friends', tab: 'circles', scene: 'normal', circles: 'every' });
    list.push({ view: 'friends', tab: 'reach', scene: 'normal' });
    list.push({ view: 'friends', scene: 'normal', questions: 'several' });
  }
  if (!scenes && views.includes('peers')) {
    list.push({ view: 'peers', tab: 'public', scene: 'normal' });
    list.push({ view: 'peers', scene: 'normal', links: 'every' });
  }
  if (!scenes && views.includes('settings')) {
    const scene = 'normal';
    list.push({ view: 'settings', scene, focus: 'lan' });
    list.push({ view: 'settings', scene, focus: 'lan', lan: 'every' });
    list.push({ view: 'settings', scene, focus: 'transit', saving: 'battery' });
    list.push({ view: 'settings', scene, focus: 'proxies', gateway: 'user_space' });
    list.push({ view: 'settings', scene, focus: 'forwards' });
    list.push({ view: 'settings', scene, focus: 'about', releases: 'newer' });
  }
  if (!scenes && views.includes('health'))
    list.push({ view: 'health', tab: 'log', scene: 'normal' });
  if (!scenes && views.includes('home')) {
    const phases = ['down', 'connecting', 'offline', 'not_installed', 'no_permission'];
    const more = ['version_mismatch', 'untrusted', 'unreachable', 'welcome', 'paused', 'open'];
    for (const scene of [...phases, ...more]) list.push({ view: 'home', scene });
    list.push({ view: 'home', scene: 'normal', lan: 'asked' });
    list.push({ view: 'home', scene: 'normal', releases: 'newer' });
  }
  return list;
}

function variants({ scene }) {
  if (quick)
    return [
      { appearance: 'light', size: 'small' },
      { appearance: 'dark', size: 'small' },
    ];
  const all = [];
  for (const appearance of ['light', 'dark']) {
    for (const size of Object.keys(SIZES)) all.push({ appearance, size });
  }
  if (scene === 'normal') {
    all.push({ appearance: 'light', size: 'small', language: LONGEST });
    all.push({ appearance: 'dark', size: 'small', zoom: 2 });
  }
  return all;
}

const { origin, close } = await serve();
const chromium = await browser();
rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, 'sheets'), { recursive: true });
const contact = new Map();
let problems = 0;
async function take(shot, variant) {
  const { appearance, size, language = 'en', zoom = 1 } = variant;
  const [width, height] = SIZES[size];
  // Twice the text on the same screen: half as many pixels of CSS, each twice as large.
  const context = await chromium.newContext({
    viewport: { width: width / zoom, height: height / zoom },
    deviceScaleFactor: zoom,
    reducedMotion: 'reduce',
    colorScheme: appearance,
    locale: 'en-US',
  });
  const page = await context.newPage();
  const complain = (text) => {
    problems += 1;
    console.error(`${Object.values(shot).join('/')}: ${text}`);
  };
  page.on('console', (message) => message.type() === 'error' && complain(message.text()));
  page.on('pageerror', (error) => complain(error.message));
  const query = new URLSearchParams({ ...shot, appearance, language });
  await page.goto(`${origin}/?${query}`);
  await page.waitForSelector('#app > *');
  // A tick of the mock's clock brings traffic and a settled map.
  await page.waitForTimeout(1500);
  // The page is shown, not where the search led.
  if (shot.focus) await page.evaluate(() => document.activeElement?.blur());
  const what = shot.sheet ?? (shot.tab ? `${shot.view}_${shot.tab}` : shot.view);
  const more = [shot.circles, shot.questions, shot.focus, shot.lan, shot.links, shot.releases];
  const shown = [what, ...more].filter(Boolean).join('_');
  const name = `${shown}-${shot.scene}-${appearance}-${size}-${language}-${zoom}x.png`;
  await page.screenshot({ path: join(out, name) });
  await context.close();
  const board = `${shot.sheet ? 'sheets' : shot.view}-${appearance}`;
  contact.set(board, [...(contact.get(board) ?? []), { name, width, height }]);
}

const jobs = shots().flatMap((shot) => variants(shot).map((variant) => [shot, variant]));
const worker = async () => {
  for (let job = jobs.shift(); job; job = jobs.shift()) await take(...job);
};
await Promise.all(Array.from({ length: AT_ONCE }, worker));

for (const [sheet, pictures] of contact) {
  pictures.sort((a, b) => a.name.localeCompare(b.name));
  const cells = pictures.map(
    ({ name, width }) =>
      `<figure><img src="${name}" width="${width / 2}"><figcaption>${name}</figcaption></figure>`,
  );
  const style =
    'body{display:flex;flex-wrap:wrap;gap:16px;margin:16px;background:#777;font:12px sans-serif}' +
    'figure{margin:0}img{display:block}';
  const html = `<!doctype html><style>${style}</style>${cells.join('')}`;
  const file = join(out, `${sheet}.html`);
  writeFileSync(file, html);
  const page = await chromium.newPage({ viewport: { width: 1700, height: 900 } });
  await page.goto(`file://${file}`);
  await page.screenshot({ path: join(out, 'sheets', `${sheet}.png`), fullPage: true });
  await page.close();
}
await chromium.close();
close();
if (process.argv.includes('--keep')) {
  const kept = fileURLToPath(new URL('../screenshots', import.meta.url));
  mkdirSync(kept, { recursive: true });
  for (const [view, appearance] of KEPT) {
    const taken = join(out, `${view}-normal-${appearance}-small-en-1x.png`);
    copyFileSync(taken, join(kept, `${view}-${appearance}.png`));
  }
}
console.log(`${contact.size} sheets in ${join(out, 'sheets')}, ${problems} problems`);
process.exit(problems > 0 ? 1 : 0);
