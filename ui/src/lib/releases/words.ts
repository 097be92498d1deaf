// What is said of a release, and which one the person wants to hear no more of.

import { date } from '$lib/format';

/** The version whose notice was dismissed, in this window's own storage. */
const DISMISSED = 'releases.dismissed';

/** A day as it stands in the feed, `2026-01-31`, as people write it. */
export const dayOf = (iso: string) => date(Date.parse(`${iso}T12:00:00Z`) / 1000);

export const dismissed = (): string | null => localStorage.getItem(DISMISSED);

export const dismiss = (version: string): void => localStorage.setItem(DISMISSED, version);
