import { describe, expect, it } from 'vitest';
import { isUsable, strengthOf, suggestion } from './passphrase';

describe('strength of a passphrase', () => {
  it.each([
    ['', 'short'],
    ['kurz', 'short'],
    ['ключ-12', 'short'],
    ['aaaaaaaaaaaaaaaa', 'weak'],
    ['12345678', 'weak'],
    ['password1234', 'weak'],
    ['abcdefghijklmnop', 'weak'],
    ['Passwort2024', 'weak'],
    ['correct horse battery', 'fair'],
    ['correct horse battery staple', 'good'],
    ['correct horse battery staple oxygen', 'strong'],
    ['T7#qv!m2Lw$9zR', 'strong'],
  ] as const)('%s is %s', (passphrase, strength) => {
    expect(strengthOf(passphrase)).toBe(strength);
  });

  it('is too long beyond a kibibyte', () => {
    expect(strengthOf('xy'.repeat(512))).not.toBe('long');
    expect(strengthOf('xy'.repeat(512) + 'x')).toBe('long');
    expect(strengthOf('я'.repeat(513))).toBe('long');
  });

  it('counts characters as the service does, not halves of them', () => {
    expect(strengthOf('🌍🌎🌏🌕')).toBe('short');
  });

  it('grows with what is added', () => {
    const grades = ['short', 'weak', 'fair', 'good', 'strong'];
    const text = 'moon river lantern orchid';
    const reached = Array.from(text, (_, at) => grades.indexOf(strengthOf(text.slice(0, at + 1))));
    expect(reached).toEqual([...reached].sort((a, b) => a - b));
  });

  it('allows a weak one, and none that the service refuses', () => {
    expect(isUsable('weak')).toBe(true);
    expect(isUsable('short')).toBe(false);
    expect(isUsable('long')).toBe(false);
  });
});

describe('a suggestion', () => {
  it('can be read aloud and holds for years', () => {
    const made = suggestion();
    expect(made).toMatch(/^([bdfghjklmnprstvz][aeiou]){3}(-([bdfghjklmnprstvz][aeiou]){3}){3}$/);
    expect(['good', 'strong']).toContain(strengthOf(made));
  });

  it('is another one each time', () => {
    expect(new Set(Array.from({ length: 50 }, () => suggestion())).size).toBe(50);
  });
});
