import { describe, expect, it } from 'vitest';
import { loopback, portOf } from './local';
import { EMPTY, ends, problems, ruleOf, type Draft } from './rule';

const SUFFIX = 'pln.internal';
const draft = (more: Partial<Draft>): Draft => ({ ...EMPTY, ...more });
const rule = (more: Partial<Draft>) => ruleOf(draft(more), SUFFIX);
const wrong = (more: Partial<Draft>) => problems(draft(more), SUFFIX);

describe('addresses of this computer', () => {
  it.each([
    ['8080', '127.0.0.1:8080'],
    [' 127.0.0.2:1 ', '127.0.0.2:1'],
    ['localhost:65535', '127.0.0.1:65535'],
    ['[::1]:080', '[::1]:80'],
  ])('%s is %s', (typed, full) => expect(loopback(typed)).toBe(full));

  it.each(['', '0', '65536', '0.0.0.0:80', '192.0.2.1:80', '127.0.0.256:80', '[::]:80', '::1:80'])(
    '%s is none',
    (typed) => expect(loopback(typed)).toBeNull(),
  );

  it('are ports by themselves', () => {
    expect(['1', ' 22 ', '65535'].map(portOf)).toEqual([1, 22, 65_535]);
    expect(['', '0', '+1', '1e3', '65536', '8 0'].map(portOf)).toEqual(Array(6).fill(null));
  });
});

describe('a forwarded port that is typed', () => {
  it('leads to a node by name or by address', () => {
    expect(rule({ here: '8080', host: ' Ada.pln.internal', port: '80' })).toEqual({
      way: 'out',
      protocol: 'tcp',
      listen: '127.0.0.1:8080',
      target: 'ada.pln.internal:80',
    });
    for (const host of ['200::1', '[200::1]']) {
      expect(rule({ here: '[::1]:53', host, port: '53', protocol: 'udp' })).toMatchObject({
        protocol: 'udp',
        listen: '[::1]:53',
        target: '[200::1]:53',
      });
    }
  });

  it('leads from the network to a program here', () => {
    const made = rule({ way: 'in', here: '3000', port: '80', host: 'left over' });
    expect(made).toMatchObject({ way: 'in', listen: '80', target: '127.0.0.1:3000' });
    expect(ends(made!)).toEqual({ from: ':80', to: '127.0.0.1:3000' });
  });

  it('is none while something is missing, and that is no mistake', () => {
    for (const more of [
      {},
      { here: '1' },
      { here: '1', port: '2' },
      { host: '200::1', port: '2' },
    ]) {
      expect(rule(more)).toBeNull();
      expect(wrong(more)).toEqual({});
    }
  });

  it.each([
    [{ here: '70000' }, { here: 'bad_port' }],
    [{ here: '0.0.0.0:80' }, { here: 'not_here' }],
    [{ here: 'eth0:80' }, { here: 'not_here' }],
    [{ port: 'http' }, { port: 'bad_port' }],
    [{ host: 'a b' }, { host: 'bad_host' }],
    [{ host: '200::1::2' }, { host: 'bad_host' }],
    [{ host: '2001:db8::1' }, { host: 'not_there' }],
    [{ host: '192.0.2.1' }, { host: 'not_there' }],
    [{ host: 'www.example.org' }, { host: 'not_there' }],
    [{ host: 'notpln.internal' }, { host: 'not_there' }],
  ] as const)('%o is wrong', (more, expected) => {
    expect(wrong(more)).toEqual(expected);
    expect(rule({ here: '1', host: '200::1', port: '2', ...more })).toBeNull();
  });

  it('may have anything in the field that its way does not show', () => {
    expect(wrong({ way: 'in', host: 'www.example.org' })).toEqual({});
  });
});
