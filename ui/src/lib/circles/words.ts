// How circles, and those who are in them, are told about.

import type { Circle, CircleAccess, Invite, Member, Party } from '$lib/api/protocol';
import { ago, dateTime, shortKey } from '$lib/format';
import { reachWords } from '$lib/friends/services';
import { currentLanguage, t } from '$lib/i18n/index.svelte';

/** What somebody is called: by a name of one's own first, by its own in quotes, by its key. */
export function partyName({ name, label, key }: Party): string {
  return name ?? (label === null ? shortKey(key) : t('party.quoted', { label }));
}

/** What is to be known about a name, or `null`. */
export function partyNote({ name, label }: Party): string | null {
  if (name === null) return label === null ? t('party.nameless') : t('party.unchecked');
  return label === null || label === name ? null : t('party.calls_itself', { label });
}

/** Who a member is; this computer has no name of its own. */
export function memberName({ own, party }: Member): string {
  return own ? t('party.own') : partyName(party);
}

export function memberNote({ own, party }: Member): string | null {
  if (!own) return partyNote(party);
  return party.label === null ? null : t('party.own.label', { label: party.label });
}

/** Several names in the way of the language: `Ada, Jörg and Zoe`. */
export function listed(names: readonly string[]): string {
  return new Intl.ListFormat(currentLanguage(), { type: 'conjunction' }).format(names);
}

/** Whether a member is there, or when it last was. */
export function memberPresence(member: Member, now: number): string {
  if (member.blocked) return t('friends.presence.blocked');
  if (member.state === 'invited') return t('circle.member.invited');
  if (member.online) return t('friends.presence.online');
  if (member.last_seen === null) return t('friends.presence.never');
  return t('friends.presence.seen', { ago: ago(now - member.last_seen) });
}

/** All that members may reach here, in one line. */
export function accessWords({ enabled, services, echo, subnet }: CircleAccess): string {
  if (!enabled) return t('circles.reach.paused');
  if (!subnet) return reachWords(services, echo);
  const behind = t('circles.reach.subnet');
  return services.length === 0 && !echo ? behind : `${reachWords(services, echo)}, ${behind}`;
}

/** How this computer stands to a circle that it is no member of, in a sentence. */
export function standing({ state, inviter }: Circle): string {
  if (state === 'member') return '';
  const who = inviter ? partyName(inviter) : t('circles.somebody');
  return t(`circles.about.${state}`, { who });
}

export function membersWords({ members }: Circle): string {
  return members <= 1 ? t('circles.members.only') : t('circles.members', { members });
}

/** How long no other member has been met before it is worth a warning. */
export const STALE_S = 14 * 86_400;

export function syncedWords({ synced_at }: Circle, now: number): string {
  if (synced_at === null) return t('circle.synced.never');
  return t('circle.synced', { ago: ago(now - synced_at) });
}

/** What members may reach once this computer has agreed, in a sentence. */
export function agreedWords({ access }: Circle): string {
  const nothing = access.services.length === 0 && !access.echo && !access.subnet;
  if (nothing || !access.enabled) return t('join.invited.nothing');
  return t('join.invited.reach', { reach: accessWords(access) });
}

/** On which terms an invite lets guests in, in sentences. */
export function termsOf({ role, uses, used, expires_at, asks }: Invite): string[] {
  const terms = { uses: uses - used, time: dateTime(expires_at) };
  return [
    role === 'admin' ? t('invite.terms.admin', terms) : t('invite.terms', terms),
    ...(asks ? [t('invite.terms.asks')] : []),
    t('invite.terms.on'),
  ];
}
