// Who may reach what on this computer, as the rows of one table. Pure: stores in, rows out.

import type { Access, Circle, CircleDetails, Friend, Party } from '$lib/api/protocol';
import { listed, partyName, partyNote } from '$lib/circles/words';
import { t } from '$lib/i18n/index.svelte';
import type { Sheet } from '$lib/stores/navigation.svelte';

export type Group = 'everyone' | 'circles' | 'members' | 'friends';

export interface Row {
  group: Group;
  id: string;
  name: string;
  /** What is to be known about the name or the row, or `null`. */
  note: string | null;
  echo: boolean;
  services: readonly string[];
  /** Whether the devices behind this computer can be reached. */
  subnet: boolean;
  /** Why none of it holds, or `null`. */
  off: string | null;
  /** Where it is changed; `null` for what is open to everyone. */
  sheet: Sheet | null;
}

export interface Known {
  access: Access;
  everyone: readonly string[];
  circles: readonly Circle[];
  details: ReadonlyMap<string, CircleDetails>;
  friends: readonly Friend[];
}

export function rowsOf(known: Known): Row[] {
  const circles = known.circles.filter(({ state }) => state === 'member');
  return [
    everyoneRow(known),
    ...circles.map((circle) => circleRow(circle, known.access)),
    ...memberRows(circles, known),
    ...known.friends.map((friend) => friendRow(friend, circles, known)),
  ];
}

function everyoneRow({ access, everyone }: Known): Row {
  const all = access.inbound === 'everyone';
  return {
    group: 'everyone',
    id: 'everyone',
    name: t('access.everyone'),
    note: t(all ? 'access.everyone.open' : 'access.everyone.note'),
    echo: access.echo === 'everyone',
    services: all ? ['tcp/any', 'udp/any'] : everyone,
    subnet: false,
    off: null,
    sheet: null,
  };
}

function circleRow({ id, name, access, members }: Circle, { echo }: Access): Row {
  return {
    group: 'circles',
    id,
    name,
    note: t('access.others', { others: Math.max(0, members - 1) }),
    echo: answered(echo, access.echo),
    services: access.services,
    subnet: access.subnet,
    off: access.enabled ? null : t('circles.reach.paused'),
    sheet: { kind: 'circle', id, part: 'reach' },
  };
}

/** Members that may reach something by themselves, each once. */
function memberRows(circles: readonly Circle[], { details, access }: Known): Row[] {
  const rows = new Map<string, Row>();
  for (const circle of circles) {
    for (const { party, services, blocked, own } of details.get(circle.id)?.members ?? []) {
      if (own || services.length === 0 || rows.has(party.key)) continue;
      rows.set(party.key, {
        group: 'members',
        id: party.key,
        name: partyName(party),
        note: memberNote(party, circle.name),
        echo: access.echo === 'everyone',
        services,
        subnet: false,
        off: blocked ? t('access.blocked') : null,
        sheet: { kind: 'circle', id: circle.id, part: 'members' },
      });
    }
  }
  return [...rows.values()];
}

function memberNote(party: Party, circle: string): string {
  const note = party.name === null ? partyNote(party) : null;
  const member = t('access.member', { circle });
  return note === null ? member : `${member} · ${note}`;
}

function friendRow(friend: Friend, circles: readonly Circle[], { details, access }: Known): Row {
  const { key, name, echo, services, blocked } = friend;
  const common = circles.filter(({ id }) =>
    details
      .get(id)
      ?.members.some((member) => member.party.key === key && member.state === 'member'),
  );
  const names = listed(common.map((circle) => circle.name));
  return {
    group: 'friends',
    id: key,
    name,
    note: names === '' || blocked ? null : t('access.besides', { circles: names }),
    echo: answered(access.echo, echo),
    services,
    subnet: false,
    off: blocked ? t('access.blocked') : null,
    sheet: { kind: 'friend', key },
  };
}

/** Whether pings are answered, where the setting for all of them says `echo`. */
const answered = (echo: Access['echo'], own: boolean) =>
  echo === 'everyone' || (echo === 'circles' && own);
