// What a wish about privacy takes: which settings change together, and what is asked first.

import type { Audience, SessionsSetting, Settings, SettingsChange } from '$lib/api/protocol';

export type Question = 'inbound' | 'echo' | 'sessions' | 'node_info';

export interface Wish {
  change: SettingsChange;
  /** What has to be confirmed: it opens something to everyone. */
  ask: Question | null;
}

/** Opening something to everyone needs sessions with everyone; a service refuses half of it. */
export function wishReach(values: Settings, setting: 'inbound' | 'echo', audience: Audience): Wish {
  const change: SettingsChange = { [setting]: audience };
  if (audience !== 'everyone') return { change, ask: null };
  if (values.sessions === 'circles') change.sessions = 'auto';
  return { change, ask: setting };
}

export function wishSessions(sessions: SessionsSetting): Wish {
  return { change: { sessions }, ask: sessions === 'everyone' ? 'sessions' : null };
}

export function wishNodeInfo(kept: boolean): Wish {
  return { change: { node_info_privacy: kept }, ask: kept ? null : 'node_info' };
}

/** Whether sessions can be limited to friends: not while strangers may reach something. */
export function mayLimitSessions({ inbound, echo }: Settings): boolean {
  return inbound !== 'everyone' && echo !== 'everyone';
}
