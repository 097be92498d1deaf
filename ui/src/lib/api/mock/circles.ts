// Circles of the service in the page: every request is done as the service would do it, as far as
// a person can see. A link that was followed is answered after a few seconds, and so is one that
// was made here.

import type { Answers, Asked, JoinPreview, ReplyTo } from '../backend';
import type {
  CircleDetails,
  CircleDraft,
  CircleState,
  Friend,
  Invite,
  Member,
  MemberRole,
  Party,
} from '../protocol';
import { addressOf } from './address';
import { circle, circlesOf, joined, joinLink, member, OWN, party, type Kept } from './circle-data';
import { OWN_KEY } from './data';
import { hex, seeded } from './random';
import { fail } from './refusal';
import type { Scenario } from './scenario';

type About = 'circle_' | 'invite_' | 'member_';
export type CircleRequest = Extract<Asked, { type: `${About}${string}` }>;
type CircleAnswer = {
  [N in CircleRequest['type']]: ReplyTo<Extract<Asked, { type: N & keyof Answers }>>;
}[CircleRequest['type']];

/** What circles need of the rest of the service. */
export interface Surroundings {
  now: () => number;
  friends: () => Friend[];
  blocked: (key: string) => boolean;
  /** Whether anybody can be reached. */
  connected: () => boolean;
  /** Something of the circles is other than before. */
  changed: () => void;
}

const VALID_S = 172_800;
/** How long each step of joining takes. */
const STEP_S = 2;

export class MockCircles {
  #all: Kept[];
  #nextInvite = 5;
  /** What happens by itself, and when. */
  #later: { at: number; run: () => void }[] = [];
  readonly #random = seeded(29);

  constructor(
    scenario: Scenario,
    readonly around: Surroundings,
  ) {
    this.#all = circlesOf(scenario);
  }

  /** For the sentence on Home. */
  counts(): { circles: number; members: number } {
    const own = this.#all.filter(({ circle }) => circle.state === 'member');
    const others = own.flatMap(({ members }) => members.filter((one) => !one.own));
    return { circles: own.length, members: new Set(others.map(({ party }) => party.key)).size };
  }

  /** Circles that others have in common with this computer. */
  all(): readonly Kept[] {
    return this.#all;
  }

  tick(): void {
    const due = this.#later.filter(({ at }) => at <= this.around.now());
    if (due.length === 0) return;
    this.#later = this.#later.filter((one) => !due.includes(one));
    for (const { run } of due) run();
    this.around.changed();
  }

  answer(request: CircleRequest): CircleAnswer {
    switch (request.type) {
      case 'circle_list': {
        const circles = this.#all.map((one) => this.#shown(one).circle);
        return { type: 'circles', time: this.around.now(), circles };
      }
      case 'circle_show':
        return { type: 'circle', ...this.#shown(this.#find(request.circle)) };
      case 'invite_list':
        return {
          type: 'invites',
          time: this.around.now(),
          invites: this.#all.flatMap(({ invites }) => invites),
        };
      case 'circle_draft':
        return { type: 'circle_draft', operation: this.#draft(request.draft) };
      case 'invite_create':
      case 'invite_revoke': {
        const invite =
          request.type === 'invite_create' ? this.#invite(request) : this.#revoke(request.invite);
        this.around.changed();
        return { type: 'invite', ...invite };
      }
      default: {
        const shown = this.#shown(this.#do(request));
        this.around.changed();
        return { type: 'circle', ...shown };
      }
    }
  }

  #do(request: Exclude<CircleRequest, { type: `${'circle_list' | 'invite_'}${string}` }>): Kept {
    switch (request.type) {
      case 'circle_create':
        return this.#create(request.name, null);
      case 'circle_submit':
        return this.#submit(request.operation);
      case 'circle_join':
        return this.#join(request.link, request.label ?? null);
      case 'circle_draft':
      case 'circle_show':
        throw fail('internal', 'answered elsewhere');
      default:
        return this.#change(this.#find(request.circle), request);
    }
  }

  #change(kept: Kept, request: Extract<CircleRequest, { circle: string }>): Kept {
    const { circle } = kept;
    const edit = (change: Partial<typeof circle>) => {
      kept.circle = { ...kept.circle, ...change };
    };
    switch (request.type) {
      case 'circle_change': {
        this.#asAdmin(kept);
        const { name, suggest } = request.change;
        edit({ name: name ?? circle.name, suggested: suggest ?? circle.suggested });
        break;
      }
      case 'circle_add':
        this.#asAdmin(kept);
        this.#add(kept, request.key, request.role, request.label ?? null);
        break;
      case 'circle_remove': {
        const whom = kept.members.find(({ party }) => party.key === request.key);
        if (!whom || !this.#removable(kept, whom)) {
          throw fail('circle_rights', 'the circle does not let this computer remove it');
        }
        kept.members = kept.members.filter((one) => one !== whom);
        break;
      }
      case 'circle_accept':
        if (circle.state !== 'invited') throw fail('invalid_circle', 'nothing is to be agreed to');
        kept.members = kept.members.map((one) => (one.own ? { ...one, state: 'member' } : one));
        edit({ state: 'member', role: 'member', synced_at: this.around.now() });
        break;
      case 'circle_leave':
        kept.members = kept.members.filter((one) => !one.own);
        edit({ state: 'left', role: null });
        break;
      case 'circle_forget':
        if (circle.state === 'member') throw fail('invalid_circle', 'leave the circle first');
        this.#all = this.#all.filter((one) => one !== kept);
        break;
      case 'circle_access': {
        const { enabled, echo, subnet, allow = [], deny = [] } = request.change;
        const access = {
          enabled: enabled ?? circle.access.enabled,
          echo: echo ?? circle.access.echo,
          subnet: subnet ?? circle.access.subnet,
          services: changedList(circle.access.services, allow, deny),
        };
        edit({ access });
        break;
      }
      case 'member_access': {
        const { key, allow = [], deny = [] } = request;
        kept.members = kept.members.map((one) =>
          one.party.key === key
            ? { ...one, services: changedList(one.services, allow, deny) }
            : one,
        );
        break;
      }
      default:
        break;
    }
    return kept;
  }

  /** Reads an invite; `null` for text that is none. */
  read(text: string): JoinPreview | null {
    if (!text.startsWith('planetary:join?')) return null;
    const parts = new URLSearchParams(text.slice('planetary:join?'.length));
    const [id, key] = [parts.get('c') ?? '', parts.get('k') ?? ''];
    const name = parts.get('n');
    const expires_at = Number(parts.get('e'));
    const whole = [id, key].every((one) => /^[0-9a-f]{64}$/.test(one)) && expires_at > 0;
    if (!whole || name === null) {
      throw fail('invalid_link', 'the link to join a circle is not whole');
    }
    return {
      kind: 'join',
      circle: id,
      name,
      inviter: {
        key,
        address: addressOf(key),
        known: this.around.friends().find((one) => one.key === key) ?? null,
        blocked: this.around.blocked(key),
      },
      expires_at,
      expired: expires_at <= this.around.now(),
      peers: parts.getAll('p'),
      own: key === OWN_KEY,
      known: this.#stateOf(id),
    };
  }

  #stateOf(id: string): CircleState | null {
    return this.#all.find(({ circle }) => circle.id === id)?.circle.state ?? null;
  }

  #find(id: string): Kept {
    const kept = this.#all.find(({ circle }) => circle.id === id);
    if (!kept) throw fail('circle_not_found', 'no circle has this name or number here');
    return kept;
  }

  #asAdmin({ circle }: Kept): void {
    if (circle.role !== 'admin') throw fail('circle_rights', 'this computer is no admin of it');
  }

  #removable({ circle, members }: Kept, whom: Member): boolean {
    const own = members.find((one) => one.own);
    return circle.role === 'admin' && !whom.own && whom.rank > (own?.rank ?? 0);
  }

  /** As the service shows it: names of friends as they are now, numbers counted. */
  #shown(kept: Kept): CircleDetails {
    const connected = this.around.connected();
    const named = (who: Party): Party => {
      const known = this.around.friends().find(({ key }) => key === who.key);
      return { ...who, name: known?.name ?? null };
    };
    const members = kept.members.map((one) => ({
      ...one,
      party: named(one.party),
      online: one.online && connected && !one.own,
      blocked: this.around.blocked(one.party.key),
      removable: this.#removable(kept, one),
    }));
    members.sort((a, b) => a.rank - b.rank || a.party.key.localeCompare(b.party.key));
    const there = members.filter(({ state }) => state === 'member');
    const { circle } = kept;
    return {
      time: this.around.now(),
      circle: {
        ...circle,
        members: there.length,
        invited: members.length - there.length,
        online: there.filter(({ online }) => online).length,
        recovery: kept.paper !== null,
        inviter: circle.inviter && named(circle.inviter),
        forked: circle.forked.map(named),
      },
      members,
      invites: kept.invites,
    };
  }

  #create(name: string, paper: string | null): Kept {
    const rank = paper === null ? 0 : 1;
    const begun = circle(name.trim(), {
      role: 'admin',
      added_at: this.around.now(),
      synced_at: null,
    });
    const kept: Kept = {
      circle: { ...begun, id: hex(this.#random, 64) },
      paper,
      members: [member(OWN, { role: 'admin', rank, added_by: null })],
      invites: [],
    };
    this.#all = [...this.#all, kept];
    return kept;
  }

  #draft(draft: CircleDraft): string {
    if (draft.kind !== 'create' && this.#find(draft.circle).paper !== draft.recovery) {
      throw fail('circle_rights', 'this is not the key on paper of the circle');
    }
    return btoa(encodeURIComponent(JSON.stringify(draft)));
  }

  #submit(operation: string): Kept {
    const draft = JSON.parse(decodeURIComponent(atob(operation))) as CircleDraft;
    if (draft.kind === 'create') return this.#create(draft.name, draft.recovery);
    const kept = this.#find(draft.circle);
    if (draft.kind === 'remove') {
      kept.members = kept.members.filter(({ party }) => party.key !== draft.key);
    } else {
      this.#add(kept, draft.key, 'admin', null);
      if (draft.key === OWN_KEY) kept.circle = { ...kept.circle, role: 'admin' };
    }
    return kept;
  }

  #add(kept: Kept, key: string, role: MemberRole, label: string | null): void {
    const known = kept.members.find((one) => one.party.key === key);
    if (known) {
      kept.members = kept.members.map((one) => (one === known ? { ...one, role } : one));
      return;
    }
    const who = this.around.friends().find((one) => one.key === key);
    const added: Party = { ...(who ? party(who) : { key, name: null }), label };
    const fresh = member(added, { role, state: 'invited', online: who?.online ?? true });
    kept.members = [...kept.members, fresh];
    this.#soon(2 * STEP_S, () => {
      kept.members = kept.members.map((one) =>
        one.party.key === key ? { ...one, state: 'member' } : one,
      );
    });
  }

  #invite(request: Extract<CircleRequest, { type: 'invite_create' }>): Invite {
    const kept = this.#find(request.circle);
    this.#asAdmin(kept);
    const { id, name } = kept.circle;
    const now = this.around.now();
    const expires_at = now + (request.valid_s ?? VALID_S);
    const invite: Invite = {
      id: this.#nextInvite++,
      circle: id,
      circle_name: name,
      link: joinLink(id, OWN_KEY, name, expires_at),
      state: 'open',
      role: request.role ?? 'member',
      uses: request.uses ?? 1,
      used: 0,
      asks: request.asks ?? false,
      created_at: now,
      expires_at,
      guests: [],
    };
    kept.invites = [invite, ...kept.invites];
    this.#soon(2 * STEP_S, () => this.#guest(kept, invite.id));
    return invite;
  }

  /** Somebody follows a link that was made here. */
  #guest(kept: Kept, id: number): void {
    const invite = kept.invites.find((one) => one.id === id);
    if (invite?.state !== 'open') return;
    const guest: Party = { key: `0000${hex(this.#random, 60)}`, name: null, label: 'Robin' };
    kept.members = [...kept.members, member(guest, { online: true, role: invite.role })];
    const used = invite.used + 1;
    const full = used >= invite.uses;
    this.#edit({
      ...invite,
      used,
      guests: [...invite.guests, guest],
      ...(full ? { state: 'used', link: null } : {}),
    });
  }

  #revoke(id: number): Invite {
    const invite = this.#all.flatMap(({ invites }) => invites).find((one) => one.id === id);
    if (!invite) throw fail('invite_not_found', 'no invite has this number');
    return this.#edit({ ...invite, state: 'revoked', link: null });
  }

  #edit(invite: Invite): Invite {
    for (const kept of this.#all) {
      kept.invites = kept.invites.map((one) => (one.id === invite.id ? invite : one));
    }
    return invite;
  }

  #join(link: string, label: string | null): Kept {
    const preview = this.read(link.trim());
    if (!preview) throw fail('invalid_link', 'the link is not one that invites to a circle');
    const { inviter, name, circle: id } = preview;
    if (preview.own) throw fail('invalid_link', 'the link was made by this computer');
    if (preview.known === 'member') throw fail('invalid_circle', 'this computer is in it already');
    const from: Party = { key: inviter.key, name: inviter.known?.name ?? null, label: null };
    const end = joined(id, name ?? 'Circle', from);
    const kept: Kept = {
      circle: {
        ...end.circle,
        state: preview.expired ? 'expired' : 'asking',
        added_at: this.around.now(),
        expires_at: preview.expires_at,
        synced_at: null,
      },
      members: [],
      invites: [],
      paper: null,
    };
    this.#all = [...this.#all.filter((one) => one.circle.id !== id), kept];
    const still = (state: CircleState) => kept.circle.state === state;
    this.#soon(STEP_S, () => {
      if (still('asking')) kept.circle = { ...kept.circle, state: 'waiting' };
    });
    this.#soon(2 * STEP_S, () => {
      if (!still('waiting')) return;
      kept.circle = { ...kept.circle, state: 'invited', expires_at: null };
      kept.members = end.members.map((one) =>
        one.own ? { ...one, party: { ...one.party, label } } : one,
      );
    });
    return kept;
  }

  #soon(seconds: number, run: () => void): void {
    this.#later = [...this.#later, { at: this.around.now() + seconds, run }];
  }
}

const changedList = (
  before: readonly string[],
  allow: readonly string[],
  deny: readonly string[],
) => [...new Set([...before.filter((one) => !deny.includes(one)), ...allow])];
