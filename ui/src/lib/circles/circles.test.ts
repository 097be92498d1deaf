import { describe, expect, it, vi } from 'vitest';
import { MockBackend } from '../api/mock/backend';
import { circlesOf } from '../api/mock/circle-data';
import { START } from '../api/mock/data';
import { readScenario } from '../api/mock/scenario';
import type { Invite, Party } from '../api/protocol';
import { t } from '../i18n/index.svelte';
import { App } from '../stores/app.svelte';
import { circleNameError, labelError } from './names';
import { isOver, matchingMembers, ordered, orderedMembers, pendingOf } from './order';
import { countWords, isWord, twoPlaces } from './paper';
import { accessWords, agreedWords, listed, memberPresence, partyName, partyNote } from './words';
import { syncedWords, termsOf } from './words';

const circles = circlesOf(readScenario('?circles=every')).map(({ circle }) => circle);
const family = circles.find(({ name }) => name === 'Family')!;
const access = { enabled: true, echo: true, subnet: false, services: ['tcp/22'] };
const who = (more: Partial<Party>): Party => ({
  key: 'ab'.repeat(32),
  name: null,
  label: null,
  ...more,
});

describe('the store', () => {
  it('asks once more, however often it is told to while it asks', async () => {
    const backend = new MockBackend(readScenario('?frozen'));
    const app = new App(backend);
    const ask = vi.spyOn(backend, 'ask');
    const lists = () => ask.mock.calls.filter(([{ type }]) => type === 'circle_list').length;
    const loads = [app.circles.load(), app.circles.load()];
    await Promise.resolve();
    loads.push(app.circles.load(), app.circles.load(), app.circles.load());
    await Promise.all(loads);
    expect(lists()).toBe(2);
    expect(app.circles.list).toHaveLength(3);
  });

  it('keeps the members of those that are wanted, and of no others', async () => {
    const app = new App(new MockBackend(readScenario('?frozen')));
    const unwant = app.circles.want(family.id);
    const again = app.circles.want(family.id);
    await app.circles.load();
    expect([...app.circles.details.keys()]).toEqual([family.id]);
    unwant();
    await app.circles.load();
    expect(app.circles.details.size).toBe(1);
    again();
    await app.circles.load();
    expect(app.circles.details.size).toBe(0);
  });
});

describe('words for somebody', () => {
  it('are the name given here first, then its own in quotes, then its key', () => {
    expect(partyName(who({ name: 'Ada', label: 'Boss' }))).toBe('Ada');
    expect(partyName(who({ label: 'Boss' }))).toBe('“Boss”');
    expect(partyName(who({}))).toBe('abababab…');
  });

  it('say what nobody has checked', () => {
    expect(partyNote(who({ name: 'Ada', label: 'Boss' }))).toBe('calls itself “Boss”');
    expect(partyNote(who({ name: 'Ada', label: 'Ada' }))).toBeNull();
    expect(partyNote(who({ label: 'Boss' }))).toBe(t('party.unchecked'));
    expect(partyNote(who({}))).toBe(t('party.nameless'));
  });

  it('join names as the language does', () => {
    expect(listed(['Ada', 'Jörg', 'Zoe'])).toBe('Ada, Jörg, and Zoe');
  });

  it('put a block and a missing yes before presence', () => {
    const kept = circlesOf(readScenario(''))[0]!;
    const one = { ...kept.members[1]!, online: true };
    expect(memberPresence(one, START)).toBe(t('friends.presence.online'));
    expect(memberPresence({ ...one, state: 'invited' }, START)).toBe(t('circle.member.invited'));
    const blocked = { ...one, state: 'invited' as const, blocked: true };
    expect(memberPresence(blocked, START)).toBe(t('friends.presence.blocked'));
  });
});

describe('words for what may be reached', () => {
  it('name services, ping and what lies behind', () => {
    expect(accessWords(access)).toBe('ssh, ping');
    expect(accessWords({ ...access, subnet: true })).toBe(
      `ssh, ping, ${t('circles.reach.subnet')}`,
    );
    expect(accessWords({ ...access, services: [], echo: false })).toBe(t('reach.nothing'));
    expect(accessWords({ ...access, services: [], echo: false, subnet: true })).toBe(
      t('circles.reach.subnet'),
    );
    expect(accessWords({ ...access, enabled: false })).toBe(t('circles.reach.paused'));
  });

  it('promise nothing where nothing holds', () => {
    expect(agreedWords({ ...family, access })).toContain('ssh, ping');
    const nothing = { ...access, services: [], echo: false };
    for (const none of [nothing, { ...access, enabled: false }])
      expect(agreedWords({ ...family, access: none })).toBe(t('join.invited.nothing'));
  });
});

describe('order', () => {
  it('has what waits for the person first and what is over last', () => {
    const states = ordered(circles).map(({ state }) => state);
    expect(states[0]).toBe('invited');
    expect(states.lastIndexOf('member')).toBeLessThan(states.indexOf('asking'));
    expect(ordered(circles).slice(-4).every(isOver)).toBe(true);
    expect(ordered(circles).slice(0, -4).some(isOver)).toBe(false);
  });

  it('knows after which states a link may be followed again', () => {
    for (const state of ['member', 'invited', 'asking', 'waiting'] as const)
      expect(pendingOf(state)).toBe(state);
    for (const state of ['refused', 'expired', 'removed', 'left', null] as const)
      expect(pendingOf(state)).toBeUndefined();
  });
});

describe('members', () => {
  const { members } = circlesOf(readScenario('')).find(({ circle }) => circle.name === 'Family')!;

  it('are this computer, those who are there, the others, and those who have not agreed', () => {
    const kinds = orderedMembers(members).map(({ own, online, state }) =>
      own ? 'own' : state === 'invited' ? 'invited' : online ? 'there' : 'away',
    );
    expect(kinds).toEqual(['own', 'there', 'there', 'away', 'invited']);
  });

  it('are found by any name, by key and by address', () => {
    const [, laptop] = members;
    const found = (search: string) => matchingMembers(members, search);
    expect(found('')).toHaveLength(members.length);
    expect(found('TABLET')).toHaveLength(1);
    expect(found('aurelie laptop')).toEqual([laptop]);
    expect(found(laptop!.address)).toEqual([laptop]);
    expect(found(laptop!.party.key.slice(0, 20))).toEqual([laptop]);
    expect(found('aurelie tablet')).toEqual([]);
  });
});

describe('names of circles', () => {
  it('are refused with the reason', () => {
    expect(circleNameError('Sky', circles, null)).toBeNull();
    expect(circleNameError(' ', circles, null)).toBe(t('circle.name.empty'));
    expect(circleNameError('x'.repeat(49), circles, null)).toBe(t('circle.name.long'));
    expect(circleNameError('a\u200bb', circles, null)).toBe(t('circle.name.invisible'));
    expect(circleNameError('family', circles, null)).toBe(t('circle.name.taken'));
    expect(circleNameError('family', circles, family.id)).toBeNull();
  });

  it('may be missing where this computer names itself', () => {
    expect(labelError('')).toBeNull();
    expect(labelError('x'.repeat(49))).toBe(t('friend.name.long'));
  });
});

describe('words of a key on paper', () => {
  it('are the same however they are typed', () => {
    expect(isWord('harbor', ' Harbor ')).toBe(true);
    expect(isWord('harbor', 'harbo')).toBe(false);
    expect(isWord(undefined, '')).toBe(false);
    expect(isWord('harbor', undefined)).toBe(false);
    expect(countWords('  one two\nthree ')).toBe(3);
    expect(countWords(' ')).toBe(0);
  });

  it('are asked for at one place of either half', () => {
    expect(twoPlaces(24, () => 0)).toEqual([0, 12]);
    expect(twoPlaces(24, () => 0.999)).toEqual([11, 23]);
  });
});

describe('invites', () => {
  const invite: Invite = {
    id: 1,
    circle: family.id,
    circle_name: 'Family',
    link: 'planetary:join?',
    state: 'open',
    role: 'member',
    uses: 3,
    used: 1,
    asks: false,
    created_at: START,
    expires_at: START + 60,
    guests: [],
  };

  it('say how many more they let in, as what, and that one is asked', () => {
    expect(termsOf(invite)[0]).toMatch(/^Lets in 2 guests, until /);
    expect(termsOf({ ...invite, uses: 2 })[0]).toMatch(/^Lets in one guest, /);
    expect(termsOf({ ...invite, role: 'admin' })[0]).toContain('admins');
    expect(termsOf(invite)).not.toContain(t('invite.terms.asks'));
    expect(termsOf({ ...invite, asks: true })).toContain(t('invite.terms.asks'));
  });
});

it('says how fresh a circle is', () => {
  expect(syncedWords({ ...family, synced_at: START - 120 }, START)).toContain('2 min');
  expect(syncedWords({ ...family, synced_at: null }, START)).toBe(t('circle.synced.never'));
});
