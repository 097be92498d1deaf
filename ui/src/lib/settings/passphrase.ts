// How hard a passphrase is to guess for somebody who has the file, roughly, and one that is hard.
//
// It is an estimate from above: a line of a song looks stronger than it is. Each try costs the
// guesser a tenth of a second of a fast computer (Argon2id with 64 MiB), which the grades count on.

export type Strength = 'short' | 'long' | 'weak' | 'fair' | 'good' | 'strong';

/** As the service has it: characters, and bytes of UTF-8. */
export const CHARS_MIN = 8;
export const BYTES_MAX = 1024;

/** From so many bits on: ten thousand tries a second for a day, a year, and as long as one likes. */
const BITS: readonly [number, Strength][] = [
  [72, 'strong'],
  [54, 'good'],
  [36, 'fair'],
];

/** What people take first. */
const COMMON = /pass(word|wort|phrase)?|qwert[yz]|asdf|letmein|welcome|admin|planetary|12345+/gi;

export function strengthOf(passphrase: string): Strength {
  if (Array.from(passphrase).length < CHARS_MIN) return 'short';
  if (new TextEncoder().encode(passphrase).length > BYTES_MAX) return 'long';
  const bits = bitsOf(passphrase);
  return BITS.find(([least]) => bits >= least)?.[1] ?? 'weak';
}

/** Whether a backup can be made with it. */
export function isUsable(strength: Strength): boolean {
  return strength !== 'short' && strength !== 'long';
}

function bitsOf(passphrase: string): number {
  // What is common, and what goes on as it began, adds one character and no more.
  const rest = Array.from(passphrase.replace(COMMON, '*')).filter((char, at, all) => {
    const step = (code(char) ?? 0) - (code(all[at - 1]) ?? -9);
    const before = (code(all[at - 1]) ?? 0) - (code(all[at - 2]) ?? -99);
    return !(step === before && Math.abs(step) <= 1) && char !== all[at - 1];
  });
  const text = rest.join('');
  const alphabet =
    (/\p{Ll}/u.test(text) ? 26 : 0) +
    (/\p{Lu}/u.test(text) ? 26 : 0) +
    (/\d/.test(text) ? 10 : 0) +
    (/[^\p{L}\d\s]/u.test(text) ? 20 : 0) +
    (/\p{L}/u.test(text.replace(/[a-z]/gi, '')) ? 26 : 0);
  // Letters of a language follow from those before them; mixed signs do so less.
  const words = /^[\p{L}\s'-]+$/u.test(text);
  const each = words ? 2.6 : Math.log2(Math.max(2, alphabet)) * 0.85;
  const distinct = new Set(rest).size;
  return Math.min(rest.length, distinct * 3) * each;
}

const code = (char: string | undefined) => char?.codePointAt(0);

const CONSONANTS = 'bdfghjklmnprstvz';
const VOWELS = 'aeiou';
const WORDS = 4;
const SYLLABLES = 3;

/** Four made-up words that can be read aloud, about 75 bits: 12 syllables, 80 each. */
export function suggestion(random: (below: number) => number = below): string {
  const syllable = () =>
    `${CONSONANTS[random(CONSONANTS.length)] ?? ''}${VOWELS[random(VOWELS.length)] ?? ''}`;
  const word = () => Array.from({ length: SYLLABLES }, syllable).join('');
  return Array.from({ length: WORDS }, word).join('-');
}

/** An even choice among `count`, 256 at most. */
function below(count: number): number {
  const limit = 256 - (256 % count);
  for (;;) {
    const [byte = 255] = crypto.getRandomValues(new Uint8Array(1));
    if (byte < limit) return byte % count;
  }
}
