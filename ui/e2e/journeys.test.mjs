// What people do with the app, from the first click to the last, against the service in the page.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { browser, serve } from './page.mjs';

let site, chromium;
before(async () => {
  [site, chromium] = [await serve(), await browser()];
});
after(async () => {
  await chromium?.close();
  site?.close();
});

/** Opens the app, lets `journey` go through it, and holds it to a silent console. */
function journey(title, query, walk) {
  test(title, async () => {
    const context = await chromium.newContext({
      viewport: { width: 1100, height: 720 },
      reducedMotion: 'reduce',
      locale: 'en-US',
    });
    const page = await context.newPage();
    page.setDefaultTimeout(8000);
    const errors = [];
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    page.on('pageerror', (error) => errors.push(error.message));
    await page.goto(`${site.origin}/?${new URLSearchParams(query)}`);
    await page.waitForSelector('#app > *');
    await walk(page, (id) => page.getByTestId(id));
    assert.deepEqual(errors, []);
    await context.close();
  });
}

const KEY = 'ab'.repeat(32);
const text = (locator) => locator.textContent();

journey('off and on', {}, async (page, id) => {
  await id('connect-toggle').click();
  await id('state-word').filter({ hasText: 'Off' }).waitFor();
  await id('connect-toggle').click();
  await id('state-word').filter({ hasText: 'Connected' }).waitFor();
});

journey('a stopped service is started', { scene: 'stopped' }, async (page, id) => {
  assert.equal(await id('connect-toggle').isDisabled(), true);
  await id('supervise').click();
  await id('state-word').filter({ hasText: 'Connected' }).waitFor();
});

journey('the address is shared', {}, async (page, id) => {
  const address = await text(id('own-address'));
  assert.match(address, /^2[0-9a-f]{2}:/);
  await id('share').click();
  const link = id('share-link');
  await link.filter({ hasText: 'planetary:friend?k=' }).waitFor();
  await id('share-sheet').getByTestId('qr-code').first().waitFor();
  await id('share-name').fill('Ada Lovelace');
  await link.filter({ hasText: 'n=Ada%20Lovelace' }).waitFor();
  await id('share-save').click();
  await id('toasts').first().filter({ hasText: '.png' }).waitFor();
});

journey('a friend is added from a link, and taken back', { view: 'friends' }, async (page, id) => {
  await id('add-friend').first().click();
  await id('link-input').fill('this is no link');
  await page.getByRole('alert').waitFor();
  await id('link-input').fill(
    `planetary:friend?k=${KEY}&n=Nadia&p=tls%3A%2F%2Fpeers.example%3A443`,
  );
  await id('link-preview').waitFor();
  // Nothing of the link is done before it is wanted.
  assert.equal(await id('link-peer').first().isChecked(), false);
  await id('add-friend-submit').click();
  const row = page.getByTestId('friend-row').filter({ hasText: 'Nadia' });
  await row.waitFor();
  await page.getByRole('button', { name: 'Undo' }).click();
  await row.waitFor({ state: 'detached' });
});

const circles = { view: 'friends', tab: 'circles' };

journey('a circle is created, and a guest invited and removed', circles, async (page, id) => {
  await id('create-circle').click();
  await id('create-name').fill('Robots');
  await id('create-next').click();
  const words = await id('paper-words').locator('.word').allTextContents();
  assert.equal(words.length, 24);
  await id('create-next').click();
  // Nothing is created before the paper was looked at.
  await id('create-next').click();
  await page.getByText('Check it on your paper').first().waitFor();
  for (const field of await id('prove-word').all()) {
    await field.fill(words[(await field.getAttribute('data-number')) - 1]);
  }
  await id('create-next').click();
  await id('invite-make').click();
  assert.match(await text(id('invite-link')), /^planetary:join\?/);
  await id('invite-sheet').getByTestId('qr-code').waitFor();
  // Somebody follows it.
  await id('invite-gone').waitFor();
  await id('invite-back').click();
  await id('invite-row').filter({ hasText: 'Robin' }).waitFor();
  await id('circle-sheet').getByTestId('tab-members').click();
  const guest = id('member-row').filter({ hasText: 'Robin' });
  await guest.getByRole('button').first().click();
  await id('member-remove').click();
  await id('member-remove-confirm-yes').click();
  await guest.waitFor({ state: 'detached' });
  await page.keyboard.press('Escape');
  const row = id('circle-row').filter({ hasText: 'Robots' });
  assert.match(await text(row), /Only you yet/);
});

journey('an invite is followed, looked at and agreed to', circles, async (page, id) => {
  await id('join-circle').click();
  await id('link-input').fill('planetary:join?c=1');
  await page.getByText('This is not an invite').waitFor();
  const parts = new URLSearchParams({ c: '5c'.repeat(32), k: KEY, t: '77', e: '1900000000' });
  parts.set('n', 'Book club');
  await id('link-input').fill(`planetary:join?${parts}`);
  await id('join-preview').filter({ hasText: 'Book club' }).waitFor();
  await id('join-label').fill('Zoe');
  await id('join-ask').click();
  await id('join-steps').locator('[aria-current]').filter({ hasText: 'let in' }).waitFor();
  await id('join-members').filter({ hasText: 'Workshop' }).waitFor();
  await id('join-agree').click();
  await id('circle-sheet').getByTestId('tab-reach').click();
  await id('circle-enabled').waitFor();
  await page.keyboard.press('Escape');
  await id('circle-row')
    .filter({ hasText: 'Book club' })
    .filter({ hasText: '3 members' })
    .waitFor();
});

const knock = { view: 'friends', tab: 'reach', questions: 'soon' };

journey('a question comes and is answered by the keyboard', knock, async (page, id) => {
  await id('tab-circles').focus();
  const card = id('question');
  await card.filter({ hasText: 'Ada wants to reach port 5900' }).waitFor();
  // It takes the focus when the person wants it, and gives it back.
  assert.equal(await page.evaluate(() => document.activeElement?.dataset.testid), 'tab-circles');
  await page.keyboard.press('F6');
  await page.keyboard.press('Escape');
  assert.equal(await page.evaluate(() => document.activeElement?.dataset.testid), 'tab-circles');
  await page.keyboard.press('F6');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  const row = id('access-row').filter({ hasText: 'Ada' });
  await row.filter({ hasText: 'screen sharing' }).waitFor();
  await id('visit').first().filter({ hasText: 'port 5900' }).waitFor();
  await page.getByRole('button', { name: 'Undo' }).click();
  await row.filter({ hasNotText: 'screen sharing' }).waitFor();
});

const guest = { view: 'friends', tab: 'circles', questions: 'several' };

journey('questions are refused by Enter, and a guest waits aside', guest, async (page, id) => {
  await id('question').nth(2).waitFor();
  await page.keyboard.press('F6');
  await page.keyboard.press('Enter');
  await id('question').nth(2).waitFor({ state: 'detached' });
  await id('question').filter({ hasText: 'Robin' }).getByRole('button').first().click();
  await id('questions-aside').click();
  await id('question').filter({ hasText: 'Robin' }).getByTestId('answer-yes').click();
  await id('circle-row').filter({ hasText: 'Family' }).first().click();
  await id('member-row').filter({ hasText: 'Robin' }).waitFor();
});

journey('a peer is added, paused and removed', { view: 'peers' }, async (page, id) => {
  await id('add-peer').click();
  await id('peer-uris').fill('nonsense');
  assert.equal(await id('add-peers').isDisabled(), true);
  await id('peer-uris').fill('tls://new.peer.example:443');
  await id('add-peers').click();
  const row = id('peer-table').getByText('new.peer.example');
  await row.click();
  await id('pause-peer').click();
  await page.getByRole('button', { name: 'Resume' }).waitFor();
  await id('remove-peer').click();
  await row.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Undo' }).last().click();
  await row.waitFor();
});

journey('public peers are measured', { view: 'peers', tab: 'public' }, async (page, id) => {
  await id('public-search').fill('germany');
  await id('select-shown').click();
  await id('test-selected').click();
  await page
    .getByText(/\d+\sms/)
    .first()
    .waitFor();
});

journey('anything is found by its name', {}, async (page, id) => {
  await page.keyboard.press('Control+k');
  await id('palette-input').fill('setting');
  await page.keyboard.press('Enter');
  await id('view-settings').waitFor();
});

journey('language and appearance change at once', { view: 'settings' }, async (page, id) => {
  await id('language').selectOption('de');
  await page.locator('html[lang="de"]').waitFor();
  await page.getByText('Einstellungen').first().waitFor();
});

journey('a report is shown before it is saved', { view: 'health' }, async (page, id) => {
  await id('verdict').waitFor();
  await id('make-report').click();
  const report = await text(id('report-text'));
  assert.ok(report.length > 200);
  assert.doesNotMatch(report, /2[0-9a-f]{2}:[0-9a-f]+:/);
  await id('report-save').click();
  await id('toasts').first().filter({ hasText: 'Saved' }).waitFor();
});

journey('the log is filtered', { view: 'health', tab: 'log' }, async (page, id) => {
  await id('log-lines').waitFor();
  await id('log-filter').fill('no such words anywhere');
  await page.getByText('established').first().waitFor({ state: 'detached' });
});

journey('the map is looked at', { view: 'map' }, async (page, id) => {
  const canvas = id('map-canvas');
  await canvas.waitFor();
  await page.waitForTimeout(500);
  const colours = await canvas.evaluate((element) => {
    const drawn = element instanceof HTMLCanvasElement ? element : element.querySelector('canvas');
    const { data } = drawn.getContext('2d').getImageData(0, 0, drawn.width, drawn.height);
    return new Set(new Uint32Array(data.buffer)).size;
  });
  assert.ok(colours > 20, `${colours} colours`);
});

journey('a Wi-Fi is trusted, and no longer', { lan: 'asked' }, async (page, id) => {
  await id('lan-question').filter({ hasText: 'Harbour Cafe' }).waitFor();
  await id('lan-yes').click();
  await id('lan-question').waitFor({ state: 'detached' });
  await page.getByTestId('toasts').first().getByRole('button', { name: 'Settings' }).click();
  const cafe = id('lan-interface').filter({ hasText: 'Harbour Cafe' });
  await cafe.getByTestId('lan-stop').click();
  await cafe.filter({ hasText: 'you said no' }).waitFor();
  await page.getByRole('button', { name: 'Undo' }).click();
  await cafe.getByTestId('lan-stop').waitFor();
});

const settings = { view: 'settings' };

journey('a port is forwarded, and no longer', settings, async (page, id) => {
  const row = id('forward').filter({ hasText: '127.0.0.1:8080' });
  await id('add-forward').click();
  await id('forward-here').fill('8080');
  await id('forward-host').fill('www.example.org');
  await id('forward-port').fill('80');
  assert.equal(await id('forward-submit').isDisabled(), true);
  await id('forward-host').fill('home-server.pln.internal');
  await id('forward-told').filter({ hasText: 'home-server.pln.internal:80' }).waitFor();
  await id('forward-port').press('Enter');
  await row.waitFor();
  await row.getByTestId('forward-remove').click();
  await row.waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Undo' }).last().click();
  await row.waitFor();
});

journey('less is carried for others', settings, async (page, id) => {
  await id('transit-leaf').click();
  await page.getByText('Nobody finds a way through this computer').waitFor();
  assert.equal(await id('switch-save_on_battery').isDisabled(), true);
  await page.getByRole('button', { name: 'Undo' }).click();
  await page.getByText('where they have no better way').waitFor();
});

journey('the SOCKS proxy is switched on and moved', settings, async (page, id) => {
  await id('switch-gateway_socks').click();
  await id('gateway_socks-where').filter({ hasText: 'listening' }).waitFor();
  await id('gateway_socks-copy').click();
  await id('setting-gateway_socks').getByText('Another address').click();
  await id('gateway_socks-address').fill('192.0.2.1:1080');
  await id('gateway_socks-address-save').click();
  await id('setting-gateway_socks').getByRole('alert').waitFor();
  await id('gateway_socks-address').fill('9150');
  await id('gateway_socks-address-save').click();
  await id('gateway_socks-where').filter({ hasText: '127.0.0.1:9150' }).waitFor();
});
