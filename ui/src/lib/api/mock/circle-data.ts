// Made-up circles: who is in them, and how this computer stands to them.

import type { CircleDetails, Circle, Friend, Invite, Member, Party } from '../protocol';
import { addressOf } from './address';
import { FRIENDS, OWN_KEY, START } from './data';
import { hex, seeded } from './random';
import type { Scenario } from './scenario';

const DAY_S = 86_400;
let random = seeded(11);
const someKey = () => `0000${hex(random, 60)}`;

/** What the mock keeps of a circle. */
export interface Kept {
  circle: Circle;
  members: Member[];
  invites: Invite[];
  /** Public half of the key on paper, or `null`. */
  paper: string | null;
}

export function party(friend: Friend): Party {
  return { key: friend.key, name: friend.name, label: null };
}

export const OWN: Party = { key: OWN_KEY, name: null, label: null };

export function member(who: Party, more: Partial<Member> = {}): Member {
  return {
    party: who,
    address: addressOf(who.key),
    state: 'member',
    role: 'member',
    rank: 2,
    own: who.key === OWN_KEY,
    online: false,
    last_seen: null,
    blocked: false,
    removable: false,
    added_by: OWN_KEY,
    services: [],
    ...more,
  };
}

export function circle(name: string, more: Partial<Circle> = {}): Circle {
  return {
    id: hex(random, 64),
    name,
    state: 'member',
    role: 'member',
    members: 0,
    invited: 0,
    online: 0,
    access: { enabled: true, echo: true, subnet: false, services: [] },
    suggested: [],
    recovery: false,
    inviter: null,
    expires_at: null,
    added_at: START - 20 * DAY_S,
    synced_at: START - 95,
    forked: [],
    ...more,
  };
}

const labelled = (label: string | null): Party => ({ key: someKey(), name: null, label });
const friend = (name: string, label: string | null = null): Party => {
  const known = FRIENDS.find((one) => one.name === name);
  return known ? { ...party(known), label } : labelled(label);
};

const online = { online: true, last_seen: START - 8 };

function family(): Kept {
  const own = circle('Family', {
    role: 'admin',
    recovery: true,
    access: { enabled: true, echo: true, subnet: false, services: ['tcp/445', 'tcp/22'] },
    suggested: ['tcp/445'],
  });
  const invite: Invite = {
    id: 4,
    circle: own.id,
    circle_name: own.name,
    link: joinLink(own.id, OWN_KEY, own.name, START + 2 * DAY_S - 9_000),
    state: 'open',
    role: 'member',
    uses: 2,
    used: 1,
    asks: true,
    created_at: START - 9_000,
    expires_at: START + 2 * DAY_S - 9_000,
    guests: [friend('Grandma')],
  };
  return {
    circle: own,
    paper: paperKey(PAPER_WORDS.join(' ')),
    members: [
      member(OWN, { role: 'admin', rank: 1, added_by: null }),
      member(friend('Aurelie’s laptop', 'Aurelie'), {
        ...online,
        role: 'admin',
        services: ['tcp/8000'],
      }),
      member(friend('Home server'), { ...online, rank: 2 }),
      member(friend('Grandma', 'Grandma’s tablet'), { last_seen: START - 93_000 }),
      member(labelled('Cousin Theo'), { state: 'invited', rank: 2 }),
    ],
    invites: [
      invite,
      { ...invite, id: 2, state: 'used', link: null, uses: 1, guests: [friend('Home server')] },
      { ...invite, id: 1, state: 'expired', link: null, uses: 5, used: 0, guests: [] },
    ],
  };
}

function club(): Kept {
  const ada = friend('Ada', 'Ada L.');
  const head = labelled('Club house');
  return {
    circle: circle('Climbing club', {
      inviter: ada,
      access: { enabled: true, echo: true, subnet: false, services: [] },
      suggested: ['tcp/443', 'tcp/8080'],
      synced_at: START - 4_000,
    }),
    paper: null,
    members: [
      member(head, { ...online, role: 'admin', rank: 0, added_by: null }),
      member(ada, { ...online, role: 'admin', rank: 1, added_by: head.key }),
      member(OWN, { added_by: ada.key }),
      member(friend('Михаил', 'Misha'), { ...online, added_by: ada.key }),
      member(labelled('Nadia'), { last_seen: START - 400_000, added_by: ada.key }),
      member(labelled(null), { added_by: head.key }),
      member(friend('Old phone'), { blocked: true, added_by: head.key }),
    ],
    invites: [],
  };
}

function lab(): Kept {
  const head = friend('Jörg', 'Jörg (robotics)');
  return {
    circle: circle('Robotics lab', {
      state: 'invited',
      role: null,
      inviter: head,
      added_at: START - 300,
    }),
    paper: null,
    members: [
      member(head, { last_seen: START - 5_400, role: 'admin', rank: 0, added_by: null }),
      member(labelled('Printer'), { ...online, added_by: head.key }),
      member(OWN, { state: 'invited', added_by: head.key }),
    ],
    invites: [],
  };
}

/** A circle that this computer is no member of. */
function outside(name: string, state: Circle['state'], more: Partial<Circle> = {}): Kept {
  const nothing = { enabled: true, echo: true, subnet: false, services: [] };
  const inviter = labelled(null);
  const added_at = START - 2 * DAY_S + 3_600;
  return {
    circle: circle(name, {
      state,
      role: null,
      inviter,
      access: nothing,
      added_at,
      synced_at: null,
      ...more,
    }),
    paper: null,
    members: [],
    invites: [],
  };
}

function every(): Kept[] {
  const [first, second] = [friend('Home server'), labelled('Spare key')];
  const forked: Kept = {
    circle: circle('Old office', {
      forked: [second],
      synced_at: START - 31 * DAY_S,
      inviter: first,
    }),
    paper: null,
    members: [
      member(first, { ...online, role: 'admin', rank: 0, added_by: null }),
      member(OWN, { added_by: first.key }),
      member(second, { added_by: first.key }),
    ],
    invites: [],
  };
  return [
    forked,
    outside('Choir', 'asking', { expires_at: START + DAY_S }),
    outside('Neighbours', 'waiting', { expires_at: START + DAY_S, inviter: friend('Ada') }),
    outside('Reading group', 'refused'),
    outside('Sailing', 'expired', { expires_at: START - DAY_S }),
    { ...outside('Shared flat', 'removed', { inviter: friend('Jörg') }), members: club().members },
    outside('Summer school', 'left'),
  ];
}

export function circlesOf({ circles }: Scenario): Kept[] {
  if (circles === 'none') return [];
  // The same circles have the same numbers every time.
  random = seeded(11);
  return [family(), club(), lab(), ...(circles === 'every' ? every() : [])];
}

export function joinLink(
  id: string,
  inviter: string,
  name: string,
  expires: number,
  peers: readonly string[] = [],
): string {
  const parts = new URLSearchParams({ c: id, k: inviter, t: hex(random, 32), e: String(expires) });
  parts.set('n', name);
  for (const peer of peers) parts.append('p', peer);
  return `planetary:join?${parts.toString()}`;
}

/** Whom a link leads to that nobody here has followed yet. */
export function joined(id: string, name: string, inviter: Party): Omit<CircleDetails, 'time'> {
  return {
    circle: circle(name, { id, state: 'invited', role: null, inviter }),
    members: [
      member(
        { ...inviter, label: inviter.label ?? 'Nadia' },
        {
          ...online,
          role: 'admin',
          rank: 0,
          added_by: null,
        },
      ),
      member(labelled('Workshop'), { ...online, added_by: inviter.key }),
      member(OWN, { state: 'invited', added_by: inviter.key }),
    ],
    invites: [],
  };
}

/** Words of a key on paper, as they would be made. */
export const PAPER_WORDS = (
  'harbor violin meadow silver orbit lemon canyon winter maple rocket gentle anchor ' +
  'puzzle desert velvet copper island marble signal timber lantern breeze summit echo'
).split(' ');

/** The key that words stand for, or `null` for words that are none. */
export function paperKey(words: string): string | null {
  const list = words.toLowerCase().trim().split(/\s+/);
  if (list.length !== PAPER_WORDS.length || list.some((word) => !PAPER_WORDS.includes(word))) {
    return null;
  }
  const mixed = list.map((word, at) => (PAPER_WORDS.indexOf(word) + 7 * at) & 0xff);
  return hex(seeded(mixed.reduce((sum, one) => (sum * 31 + one) >>> 0, 7)), 64);
}
