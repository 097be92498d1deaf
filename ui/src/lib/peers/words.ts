// Sentences about a link that stand in more than one place.

import { t, tCode } from '../i18n/index.svelte';
import type { PeerRow } from './rows';

/** Why a link is not simply up, or `null` when there is nothing to say. */
export function whyOf({ peer, state }: PeerRow): string | null {
  if (state === 'suspect') return t('peers.suspect');
  if (state === 'paused' || state === 'off' || !peer.last_error) return null;
  const { code, message } = peer.last_error;
  return tCode('link_error', code, message);
}
