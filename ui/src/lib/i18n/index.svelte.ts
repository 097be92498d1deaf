// Words. Every text of the app is in the catalogue, a folder a language and a file a domain, in
// the syntax of ICU messages. English is the source: its keys are the keys, and it stands in for
// what a language lacks (a test sees to it that none does).

import { IntlMessageFormat } from 'intl-messageformat';
import { en, type Key } from './english';

export type { Key };
export const LANGUAGES = ['en', 'de', 'fr', 'es', 'ru'] as const;
export type Language = (typeof LANGUAGES)[number];
type Catalogue = Partial<Record<string, string>>;
export type Arguments = Record<string, string | number>;

const files = import.meta.glob<{ default: Catalogue }>(['./*/*.json', '!./en/*.json']);

let language = $state<Language>('en');
let catalogue = $state.raw<Catalogue>(en);
let parsed = new Map<string, IntlMessageFormat>();

/** The language the texts are in; the locale of numbers and dates too. */
export function currentLanguage(): Language {
  return language;
}

/** The language nearest to what the system says; English when it says nothing that is known. */
export function languageOf(tags: readonly string[]): Language {
  for (const tag of tags) {
    const primary = tag.toLowerCase().split(/[-_.]/)[0];
    const known = LANGUAGES.find((one) => one === primary);
    if (known) return known;
  }
  return 'en';
}

let changes = 0;

export async function changeLanguage(wish: Language | 'system'): Promise<void> {
  const change = ++changes;
  const next = wish === 'system' ? languageOf(navigator.languages) : wish;
  const words: Catalogue = {};
  if (next !== 'en') {
    const own = Object.entries(files).filter(([path]) => path.startsWith(`./${next}/`));
    const loaded = await Promise.all(own.map(([, load]) => load()));
    for (const file of loaded) Object.assign(words, file.default);
  }
  // The latest wish holds, whichever is loaded last.
  if (change !== changes) return;
  parsed = new Map();
  language = next;
  catalogue = { ...en, ...words };
  document.documentElement.lang = next;
}

/** The text for `key` in the person's language. */
export function t(key: Key, values?: Arguments): string {
  const message = catalogue[key] ?? en[key];
  if (!message.includes('{') && !message.includes("'")) return message;
  let format = parsed.get(key);
  if (!format) {
    format = new IntlMessageFormat(message, language, undefined, { ignoreTag: true });
    parsed.set(key, format);
  }
  const text: unknown = format.format(values ?? {});
  return typeof text === 'string' ? text : String(text);
}

/** The text for a key that is made of a code from outside, or `otherwise` when there is none. */
export function tCode(prefix: string, code: string, otherwise: string): string {
  const key = `${prefix}.${code}`;
  return Object.hasOwn(en, key) ? t(key as Key) : otherwise;
}
