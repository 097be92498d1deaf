// What is done to circles, each with its word afterwards, and a way back where there is one.

import type { Circle, CircleAccessChange, Friend, Member, MemberRole } from '$lib/api/protocol';
import { attempt } from '$lib/friends/actions';
import { reachWords } from '$lib/friends/services';
import { t } from '$lib/i18n/index.svelte';
import type { App } from '$lib/stores/app.svelte';
import { accessWords, memberName } from './words';

function say(app: App, text: string, undo?: () => Promise<unknown>): void {
  const back = undo && { label: t('common.undo'), run: () => void attempt(app, undo) };
  app.toasts.say(text, back ?? null);
}

/** Changes what members may reach here. */
export async function changeAccess(
  app: App,
  { id, access: before }: Circle,
  change: CircleAccessChange,
): Promise<boolean> {
  return attempt(app, async () => {
    const { access, name } = await app.circles.access(id, change);
    const { services, ...rest } = before;
    const back = { ...rest, allow: services, deny: access.services };
    const words = (): string => {
      if (change.enabled === false) return t('circle.paused', { circle: name });
      if (change.enabled) return t('circle.resumed', { circle: name });
      return t('circle.reach.changed', { circle: name, reach: accessWords(access) });
    };
    say(app, words(), () => app.circles.access(id, back));
  });
}

/** Changes what one member may reach here besides. */
export async function changeMemberReach(
  app: App,
  circle: Circle,
  member: Member,
  change: { allow?: string[]; deny?: string[] },
): Promise<boolean> {
  const { services: before, party } = member;
  return attempt(app, async () => {
    await app.circles.memberAccess(circle.id, party.key, change);
    const { allow = [], deny = [] } = change;
    const now = [...new Set([...before.filter((one) => !deny.includes(one)), ...allow])];
    const reach = reachWords(now, false);
    say(app, t('friends.reach.changed', { name: memberName(member), reach }), () =>
      app.circles.memberAccess(circle.id, party.key, { allow: before, deny: now }),
    );
  });
}

export async function addMember(app: App, circle: Circle, friend: Friend): Promise<boolean> {
  const done = await attempt(app, () => app.circles.add(circle.id, friend.key, 'member'));
  if (done) {
    say(app, t('circle.added', { name: friend.name, circle: circle.name }), () =>
      app.circles.remove(circle.id, friend.key),
    );
  }
  return done;
}

export async function changeRole(
  app: App,
  circle: Circle,
  member: Member,
  role: MemberRole,
): Promise<boolean> {
  const { key } = member.party;
  const done = await attempt(app, () => app.circles.add(circle.id, key, role));
  if (done) {
    const words = { name: memberName(member), circle: circle.name };
    const text = role === 'admin' ? 'circle.member.promoted' : 'circle.member.demoted';
    say(app, t(text, words), () => app.circles.add(circle.id, key, member.role));
  }
  return done;
}

/** There is no way back: who was removed has to agree anew. */
export async function removeMember(app: App, circle: Circle, member: Member): Promise<boolean> {
  const done = await attempt(app, () => app.circles.remove(circle.id, member.party.key));
  const words = { name: memberName(member), circle: circle.name };
  if (done) say(app, t('circle.member.removed', words));
  return done;
}

export async function renameCircle(app: App, circle: Circle, name: string): Promise<boolean> {
  const { id, name: before } = circle;
  const done = await attempt(app, () => app.circles.change(id, { name }));
  if (done) {
    say(app, t('circle.renamed', { before, name }), () => app.circles.change(id, { name: before }));
  }
  return done;
}

export async function suggest(app: App, circle: Circle, services: string[]): Promise<boolean> {
  const { id, name, suggested: before } = circle;
  const done = await attempt(app, () => app.circles.change(id, { suggest: services }));
  if (done) {
    const words = { circle: name, services: reachWords(services, false) };
    say(app, t('circle.suggest.changed', words), () => app.circles.change(id, { suggest: before }));
  }
  return done;
}

export async function leaveCircle(app: App, { id, name, state }: Circle): Promise<boolean> {
  const done = await attempt(app, () => app.circles.leave(id));
  if (done) {
    const texts = { member: 'circle.left', invited: 'circle.declined' } as const;
    const text = state === 'member' || state === 'invited' ? texts[state] : 'circles.gave_up';
    say(app, t(text, { circle: name, name }));
  }
  return done;
}

/** Ends asking to join: there is nothing to keep of a circle that was never seen. */
export async function giveUp(app: App, circle: Circle): Promise<boolean> {
  const done = await attempt(app, async () => {
    await app.circles.leave(circle.id);
    if (app.circles.find(circle.id)) await app.circles.forget(circle.id);
  });
  if (done) say(app, t('circles.gave_up', { name: circle.name }));
  return done;
}

export async function forgetCircle(app: App, { id, name }: Circle): Promise<boolean> {
  const done = await attempt(app, () => app.circles.forget(id));
  if (done) say(app, t('circles.forgotten', { name }));
  return done;
}

export async function acceptCircle(app: App, { id, name }: Circle): Promise<boolean> {
  const done = await attempt(app, () => app.circles.accept(id));
  if (done) say(app, t('join.agreed', { circle: name }));
  return done;
}

export async function revokeInvite(app: App, invite: number): Promise<boolean> {
  const done = await attempt(app, () => app.circles.revoke(invite));
  if (done) say(app, t('invite.revoked'));
  return done;
}
