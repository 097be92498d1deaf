import { describe, expect, it } from 'vitest';
import { MockBackend } from '../api/mock/backend';
import { FRIENDS, PEERS, status } from '../api/mock/data';
import { readScenario } from '../api/mock/scenario';
import { reportName, reportText } from './report';

const app = { version: '0.2.0', system: 'Debian GNU/Linux 12' };
async function report(scene: string) {
  return new MockBackend(readScenario(`?scene=${scene}&frozen`)).ask({ type: 'report' });
}

describe('reportText', () => {
  it('says what runs, how the node is and what was checked', async () => {
    const text = reportText(await report('degraded'), app);
    expect(text).toContain('0.1.0, linux x86_64');
    expect(text).toContain('0.2.0, Debian GNU/Linux 12');
    expect(text).toMatch(/^ {2}state +degraded for 40 s$/m);
    expect(text).toMatch(/^ {2}warning +peer_down for 1 min$/m);
    expect(text).toMatch(/^ {2}warning +root_changes for 1 min, traffic suffers$/m);
  });

  it('has every link with its pseudonym, its way and its last failure', async () => {
    const found = await report('normal');
    const text = reportText(found, app);
    expect(found.links).toHaveLength(PEERS.length);
    for (const { host } of found.links) expect(text).toContain(host);
    expect(text).toMatch(/down, next try in 34 s/);
    expect(text).toMatch(/dial_timeout 12 s ago/);
    expect(text).toMatch(/host-mockaaaa +tls, out, chosen, name, port 443/);
  });

  it('says so where there is nothing or nothing is known', async () => {
    const found = await report('down');
    const node = { ...found.node, depth: null, parent: null, proven_ago_s: null };
    const text = reportText({ ...found, node, links: [], interface: null }, app);
    expect(text).toMatch(/^Links\n {2}none$/m);
    expect(text).toMatch(/^ {2}place +unknown$/m);
    expect(text).toMatch(/^ {2}last answer +none yet$/m);
    expect(text).toMatch(/^Interface\n {2}none/m);
  });

  it('tells whether the pseudonyms last', async () => {
    const found = await report('normal');
    expect(reportText(found, app)).toContain('the same in every report');
    const text = reportText({ ...found, pseudonyms_last: false }, app);
    expect(text).toContain('to this report alone');
  });

  it('has nothing in it that tells who somebody is', async () => {
    const text = reportText(await report('normal'), app);
    const { key, address } = status('normal');
    const secrets = [key, address, ...PEERS.map(({ uri }) => uri.replace(/^.*:\/\//, ''))];
    for (const secret of [...secrets, ...FRIENDS.map(({ name }) => name)]) {
      expect(text).not.toContain(secret);
    }
  });

  it('fits into a letter', async () => {
    const longest = Math.max(
      ...reportText(await report('normal'), app)
        .split('\n')
        .map((line) => line.length),
    );
    expect(longest).toBeLessThanOrEqual(100);
  });

  it('is saved under its day', async () => {
    expect(reportName(await report('normal'))).toBe('planetary-report-2026-11-18.txt');
  });
});
