// Every view can be used by everybody: axe-core finds nothing (contrast AA included), every control
// can be reached with the keyboard, nothing is lost at 200 % text, and nothing breaks the policy.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, describe, test } from 'node:test';
import { browser, serve } from './page.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const VIEWS = ['home', 'friends', 'peers', 'map', 'health', 'settings'];
const SHEETS = [
  'circle',
  'create_circle',
  'join',
  'invite',
  'invite_link',
  'paper_key',
  'share',
  'add_friend',
  'friend',
  'add_peer',
  'peer',
  'choose_peers',
  'report',
  'export_identity',
  'import',
  'add_forward',
  'palette',
];
const SCENES = ['normal', 'empty', 'stopped', 'degraded'];

let site, chromium;
before(async () => {
  [site, chromium] = [await serve(), await browser()];
});
after(async () => {
  await chromium?.close();
  site?.close();
});

async function open(query, options = {}) {
  const context = await chromium.newContext({
    viewport: { width: 960, height: 640 },
    reducedMotion: 'reduce',
    locale: 'en-US',
    // axe-core is put into the page by the test; the policy keeps strangers out, and us.
    bypassCSP: options.axe ?? false,
    ...options.context,
  });
  const page = await context.newPage();
  const errors = [];
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  page.on('pageerror', (error) => errors.push(error.message));
  await page.goto(`${site.origin}/?${new URLSearchParams(query)}`);
  await page.waitForSelector('#app > *');
  await page.waitForTimeout(400);
  return { page, errors, close: () => context.close() };
}

async function violations(page) {
  await page.addScriptTag({ content: axe });
  const { violations: found } = await page.evaluate(() =>
    globalThis.axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'],
    }),
  );
  return found.map(
    ({ id, nodes }) => `${id}: ${nodes.map((node) => node.target.join(' ')).join(' | ')}`,
  );
}

// Each has a page of its own; two at a time, for each waits for pictures as well as for the processor.
const together = { concurrency: 2 };

describe('axe finds nothing', together, () => {
  for (const appearance of ['light', 'dark']) {
    for (const view of [...VIEWS, 'welcome']) {
      test(`${view}, ${appearance}`, async () => {
        for (const scene of view === 'welcome' ? ['welcome'] : SCENES) {
          const { page, close } = await open({ view, scene, appearance }, { axe: true });
          assert.deepEqual(await violations(page), [], scene);
          await close();
        }
      });
    }
    test(`circles in every state, ${appearance}`, async () => {
      const every = { circles: 'every', appearance };
      const queries = [{ view: 'friends', tab: 'circles' }];
      for (const part of ['members', 'reach', 'invites', 'about']) {
        queries.push({ sheet: 'circle', part });
      }
      for (const of of ['Old office', 'Choir', 'Neighbours', 'Robotics lab', 'Sailing']) {
        queries.push({ sheet: 'circle', of });
      }
      for (const query of queries) {
        const { page, close } = await open({ ...every, ...query }, { axe: true });
        assert.deepEqual(await violations(page), [], Object.values(query).join(', '));
        await close();
      }
    });
    test(`what they may reach, and questions, ${appearance}`, async () => {
      const queries = [
        ...['normal', 'empty', 'paused', 'open'].map((scene) => ({ tab: 'reach', scene })),
        ...['knock', 'guest', 'several'].map((questions) => ({ questions })),
        { questions: 'several', sheet: 'friend' },
      ];
      for (const query of queries) {
        const asked = { view: 'friends', appearance, ...query };
        const { page, close } = await open(asked, { axe: true });
        assert.deepEqual(await violations(page), [], Object.values(query).join(', '));
        await close();
      }
    });
    test(`local networks, proxies and links of every kind, ${appearance}`, async () => {
      const queries = [
        { view: 'home', lan: 'asked' },
        { view: 'settings', lan: 'every', saving: 'battery', gateway: 'user_space' },
        { view: 'settings', scene: 'down' },
        { view: 'peers', links: 'every' },
        { view: 'health', lan: 'asked' },
      ];
      for (const query of queries) {
        const { page, close } = await open({ appearance, ...query }, { axe: true });
        assert.deepEqual(await violations(page), [], Object.values(query).join(', '));
        await close();
      }
      const settings = { view: 'settings', names: 'answering', appearance };
      const { page, close } = await open(settings, { axe: true });
      assert.deepEqual(await violations(page), []);
      await close();
    });
    test(`sheets, ${appearance}`, async () => {
      for (const sheet of SHEETS) {
        const { page, close } = await open({ sheet, appearance }, { axe: true });
        assert.ok(await page.locator('dialog[open]').count(), `${sheet} is not there`);
        assert.deepEqual(await violations(page), [], sheet);
        await close();
      }
    });
  }
});

describe('keyboard', () => {
  for (const view of VIEWS) {
    test(`${view}: Tab reaches every control and shows where it is`, async () => {
      const { page, close } = await open({ view });
      const wanted = await page.evaluate(() => {
        const controls = 'button, a[href], input, select, textarea, summary, [tabindex="0"]';
        const usable = [...document.querySelectorAll(controls)].filter(
          (one) => !one.disabled && one.tabIndex >= 0 && one.checkVisibility(),
        );
        usable.forEach((one, at) => (one.dataset.order = String(at)));
        return usable.length;
      });
      // On the map Tab goes from node to node before it goes on.
      const seen = new Set();
      for (let step = 0; step < wanted * 2 + 150 && seen.size < wanted; step += 1) {
        await page.keyboard.press('Tab');
        const focused = await page.evaluate(() => {
          const { activeElement } = document;
          const { outlineStyle, boxShadow } = getComputedStyle(activeElement);
          const marked = outlineStyle !== 'none' || boxShadow !== 'none';
          return { order: activeElement.dataset.order, marked, tag: activeElement.tagName };
        });
        if (focused.order === undefined) continue;
        assert.ok(focused.marked, `a ${focused.tag} does not show that it has the focus`);
        seen.add(focused.order);
      }
      // One of a group of radios or tabs stands for the group; long lists draw what is in sight.
      assert.ok(seen.size >= wanted * 0.8, `${seen.size} of ${wanted}`);
      await close();
    });
  }

  test('Escape closes every sheet', async () => {
    for (const sheet of SHEETS) {
      const { page, close } = await open({ sheet });
      await page.keyboard.press('Escape');
      await page.locator('dialog[open]').waitFor({ state: 'detached' });
      await close();
    }
  });

  test('digits with Control switch views', async () => {
    const { page, close } = await open({ view: 'home' });
    for (const [at, view] of VIEWS.entries()) {
      await page.keyboard.press(`Control+${at + 1}`);
      await page.waitForSelector(`[data-testid="view-${view}"]`);
    }
    await close();
  });
});

describe('policy', together, () => {
  for (const view of [...VIEWS, 'welcome']) {
    test(`${view} keeps it`, async () => {
      const scene = view === 'welcome' ? 'welcome' : 'normal';
      const { errors, close } = await open({ view, scene });
      assert.deepEqual(errors, []);
      await close();
    });
  }
});

describe('200 % text', together, () => {
  const queries = [
    ...VIEWS.map((view) => ({ view, scene: 'normal' })),
    { view: 'home', scene: 'welcome' },
    ...SHEETS.map((sheet) => ({ sheet })),
    { view: 'friends', tab: 'circles', circles: 'every' },
    { view: 'friends', tab: 'reach' },
    { view: 'friends', questions: 'several' },
    ...['reach', 'invites', 'about'].map((part) => ({ sheet: 'circle', part })),
    { sheet: 'circle', of: 'Robotics lab' },
  ];
  for (const query of queries) {
    test(`${Object.values(query).join(', ')}: nothing is lost to the sides`, async () => {
      for (const language of ['en', 'de']) {
        const { page, close } = await open(
          { ...query, language },
          { context: { viewport: { width: 480, height: 320 } } },
        );
        const over = await page.evaluate(() => {
          const inside = (one) => {
            for (let up = one.parentElement; up; up = up.parentElement) {
              const { overflowX, clipPath } = getComputedStyle(up);
              if (clipPath !== 'none') return true;
              if (overflowX === 'auto' || overflowX === 'scroll') return true;
            }
            return false;
          };
          return [...document.querySelectorAll('#app *')]
            .filter((one) => one.checkVisibility() && !one.closest('svg, canvas'))
            .filter((one) => getComputedStyle(one).clipPath === 'none' && !inside(one))
            .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
            .map((one) => `${one.tagName} ${one.className} ${one.textContent?.slice(0, 40)}`);
        });
        assert.deepEqual(over, [], language);
        await close();
      }
    });
  }
});
