// How friends are told about, in short.

import type { Friend } from '$lib/api/protocol';
import { ago, latency } from '$lib/format';
import { t } from '$lib/i18n/index.svelte';
import type { Way } from './ways.svelte';

/** Whether somebody is there, or when it last was. */
export function presence(friend: Friend, now: number): string {
  if (friend.blocked) return t('friends.presence.blocked');
  if (friend.online) return t('friends.presence.online');
  if (friend.last_seen === null) return t('friends.presence.never');
  return t('friends.presence.seen', { ago: ago(now - friend.last_seen) });
}

/** How far away somebody is; `null` while that is not known. */
export function wayWords(way: Way): string | null {
  switch (way.kind) {
    case 'direct':
      if (way.latency_ms === null) return t('friends.way.direct');
      return t('friends.way.direct.latency', { latency: latency(way.latency_ms) });
    case 'hops':
      return t('friends.way.hops', { hops: way.hops });
    case 'unknown':
      return null;
  }
}
