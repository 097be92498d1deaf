import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { checks, CONDITIONS, status } from '../api/mock/data';
import type { HealthItem } from '../api/protocol';
import { en } from '../i18n/english';
import { absence, asked, checklist, questions, QUESTIONS, verdict, withoutService } from './checks';

const item = (code: string, severity: HealthItem['severity']): HealthItem => ({
  code,
  severity,
  title: `title of ${code}`,
  text: `text of ${code}`,
  action: null,
  affects_connectivity: false,
  since: null,
});

describe('the codes of docs/ipc.md', () => {
  const document = readFileSync('../node-core/docs/ipc.md', 'utf8');
  const health = document.slice(document.indexOf('## Health'), document.indexOf('## Reports'));
  const codes = [...health.matchAll(/^\| `([a-z_]+)` \|/gm)].map(([, code = '']) => code);
  const texts: Partial<Record<string, string>> = en;

  it('belong to one question each, and no other does', () => {
    const known = questions.flatMap((question) => [...QUESTIONS[question]] as string[]);
    expect(codes.length).toBeGreaterThan(60);
    expect([...known].sort()).toEqual([...codes].sort());
  });

  it('all have a title and a reason in the catalogue, and what is wrong has advice', () => {
    const good = codes.slice(codes.indexOf('service'), codes.indexOf('names') + 1);
    const missing = codes.filter((code) => {
      const advised = code !== 'control_socket' && (code === 'down' || !good.includes(code));
      const parts = ['', '.text', ...(advised ? ['.action'] : [])];
      return parts.some((part) => !texts[`condition.${code}${part}`]);
    });
    expect(good).toHaveLength(17);
    expect(missing).toEqual([]);
  });
});

describe('checklist', () => {
  it('has a line for each question in its order when all is well', () => {
    const lines = checklist(checks(status('normal')));
    expect(lines.map(({ question }) => question)).toEqual(asked);
    expect(lines.every(({ state }) => state === 'ok')).toBe(true);
    expect(verdict(lines)).toBeNull();
  });

  it('names a good line by its first code and keeps the others as details', () => {
    const [line] = checklist([item('rights', 'ok'), item('tun', 'ok')]);
    expect(line?.code).toBe('tun');
    expect(line?.items.map(({ code }) => code)).toEqual(['tun', 'rights']);
  });

  it('gives each problem a line of its own, without what is good about the same question', () => {
    const lines = checklist([
      item('tun', 'ok'),
      item('tun_lost', 'error'),
      item('rights_missing', 'warning'),
    ]);
    expect(lines.map(({ code }) => code)).toEqual(['tun_lost', 'rights_missing']);
    expect(new Set(lines.map(({ id }) => id)).size).toBe(2);
  });

  it('shows a condition that it does not know, at the end', () => {
    const lines = checklist([item('from_the_future', 'error'), item('clock', 'ok')]);
    expect(lines.map(({ question }) => question)).toEqual(['clock', 'other']);
    expect(verdict(lines)?.code).toBe('from_the_future');
  });

  it('tells apart what is not known because the node is off', () => {
    const lines = checklist(checks(status('down')));
    const unknown = lines.filter(({ state }) => state === 'unknown');
    expect(unknown.map(({ question }) => question)).toContain('proof');
    expect(unknown.every((line) => line.unknown === 'down')).toBe(true);
    expect(verdict(lines)?.code).toBe('down');
  });

  it('does not know about the network while no peer is connected', () => {
    const lines = checklist(checks(status('offline')));
    const unknown = lines.filter((line) => line.unknown === 'peers');
    expect(unknown.map(({ question }) => question)).toEqual(['tree', 'proof']);
    expect(verdict(lines)?.code).toBe('no_peer_connected');
  });

  it('puts the worst first in the verdict, and then the first from the top', () => {
    const lines = checklist([
      item('identity_exposed', 'warning'),
      item('config_exposed', 'warning'),
      item('no_peer_connected', 'error'),
      item('disk_scarce', 'error'),
    ]);
    expect(verdict(lines)?.code).toBe('no_peer_connected');
    expect(verdict(lines.filter(({ state }) => state !== 'error'))?.code).toBe('identity_exposed');
    expect(verdict(checklist([{ ...CONDITIONS.peer_down, severity: 'info' }]))).toBeNull();
  });
});

describe('without the service', () => {
  const rest = { retry_in_s: 1, details: '', step: null };
  const away = { since: 0, message: 'nobody listens', place: '/run/socket', can_supervise: true };

  it('says what keeps it and what is unknown because of it', () => {
    const reason = absence({ state: 'stopped', ...away, command: 'start it', ...rest });
    const lines = withoutService(reason!);
    expect(lines.map(({ question }) => question)).toEqual(asked);
    expect(lines[0]).toMatchObject({ code: 'stopped', state: 'error' });
    expect(lines[0]?.items[0]).toMatchObject({ text: 'nobody listens (/run/socket)' });
    expect(lines.slice(1).every((line) => line.unknown === 'service')).toBe(true);
  });

  it('takes a failure that no question knows for silence', () => {
    const lines = withoutService({ code: 'shutting_down', text: 'it ends', action: null });
    expect(lines[0]?.code).toBe('unreachable');
  });

  it('knows no absence while the service is there or looked for', () => {
    expect(absence({ state: 'connecting', since: 0 })).toBeNull();
  });
});
