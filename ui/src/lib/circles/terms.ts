// The terms of an invite that can be chosen, within the limits of the service.

import type { MemberRole } from '$lib/api/protocol';

/** How many guests a link may let in; `INVITE_USES_MAX` of the service is the last. */
export const USES = [1, 2, 5, 10, 50] as const;

/** For how long, in seconds; `INVITE_VALID_S_MAX` of the service is 31 days. */
export const VALID = { hour: 3_600, days: 172_800, week: 604_800, month: 2_592_000 } as const;
export type Validity = keyof typeof VALID;

export interface Terms {
  role: MemberRole;
  uses: number;
  valid: Validity;
  asks: boolean;
}

/** What most want: one guest, who comes soon. */
export const USUAL: Terms = { role: 'member', uses: 1, valid: 'days', asks: false };
