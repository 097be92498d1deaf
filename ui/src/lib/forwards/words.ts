// Why something that is served or forwarded does not work, in words.

import type { PeerError } from '../api/protocol';
import { tCode } from '../i18n/index.svelte';

/** The words for a failure; those of links hold for listening too. */
export function whyNot({ code, message }: PeerError): string {
  return tCode('forward_error', code, tCode('link_error', code, message));
}
