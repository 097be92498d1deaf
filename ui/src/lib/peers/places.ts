// Names of countries and regions. The public list writes them in English (`united-states`); the
// browser knows the countries in the person's language.

import { currentLanguage, tCode } from '../i18n/index.svelte';
import { placeName } from '../format';

/** Countries that the list, or people, call otherwise than the browser does in English. */
const OTHERWISE: Record<string, string> = {
  'bosnia-and-herzegovina': 'BA',
  'czech-republic': 'CZ',
  'hong-kong': 'HK',
  macau: 'MO',
  macedonia: 'MK',
  'russian-federation': 'RU',
  turkey: 'TR',
  uk: 'GB',
  usa: 'US',
};

/** Those whose full name is a title of law: “Sonderverwaltungsregion Hongkong”. */
const LONG = ['HK', 'MO'];

const slugOf = (name: string) =>
  name
    .normalize('NFD')
    .replace(/\p{M}/gu, '')
    .toLowerCase()
    .replace(/[^a-z]+/g, '-');

let codes: Map<string, string> | null = null;

/** The code of two letters for a country of the list, if there is one. */
function countryCode(slug: string): string | undefined {
  if (!codes) {
    codes = new Map(Object.entries(OTHERWISE));
    const english = new Intl.DisplayNames('en', { type: 'region', fallback: 'none' });
    const letters = Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZ');
    for (const code of letters.flatMap((first) => letters.map((second) => first + second))) {
      // Codes that were withdrawn stand for their successors.
      if (new Intl.Locale(`und-${code}`).region !== code) continue;
      const name = english.of(code);
      if (name !== undefined) codes.set(slugOf(name), code);
    }
  }
  return codes.get(slug);
}

const names = new Map<string, string>();

export function countryName(slug: string): string {
  const key = `${currentLanguage()} ${slug}`;
  let name = names.get(key);
  if (name === undefined) {
    const code = countryCode(slug);
    const style = code !== undefined && LONG.includes(code) ? 'short' : 'long';
    const display = new Intl.DisplayNames(currentLanguage(), { type: 'region', style });
    name = (code === undefined ? undefined : display.of(code)) ?? placeName(slug);
    names.set(key, name);
  }
  return name;
}

export function regionName(slug: string): string {
  return tCode('region', slug, placeName(slug));
}
