// What waits for an answer of the person, and who was here lately. Answers do what they say: they
// open something to a friend, a member or a circle, or let a guest in.

import type { Asked } from '../backend';
import type { Friend, Party, Question, Subject, Visit } from '../protocol';
import { party, type Kept } from './circle-data';
import { FRIENDS, START } from './data';
import { hex, seeded } from './random';
import { fail } from './refusal';
import { hasNobody, type Scenario } from './scenario';

type Answered = Extract<Asked, { type: 'question_answer' }>;
type Knock = Extract<Subject, { kind: 'knock' }>;

/** What questions need of the rest of the service. */
export interface Surroundings {
  now: () => number;
  friends: () => Friend[];
  circles: () => readonly Kept[];
  ask: (request: Asked) => void;
  /** What waits is other than before. */
  changed: (waiting: Question[]) => void;
}

/** How long a knock waits, and a guest. */
const KNOCK_S = 30;
const GUEST_S = 3_600;
/** When somebody knocks who does not from the start. */
const SOON_S = 2;

export class MockQuestions {
  waiting: Question[] = [];
  #visits: Visit[];
  #next = 1;
  /** When somebody will knock, if somebody will. */
  #knocksAt: number | null = null;
  readonly #random = seeded(41);

  constructor(
    readonly scenario: Scenario,
    readonly around: Surroundings,
  ) {
    this.#visits = hasNobody(scenario.scene) ? [] : visitsOf(around.circles());
  }

  /** Asks what the scene has from its start. */
  begin(): void {
    const { questions } = this.scenario;
    if (questions === 'guest' || questions === 'several') this.#guest('Robin');
    if (questions === 'several') this.#knock(this.#member(), 'tcp/8080');
    if (questions === 'knock' || questions === 'several') this.#knock(this.#friend(), 'tcp/5900');
    if (questions === 'soon') this.#knocksAt = this.around.now() + SOON_S;
    if (this.waiting.length > 0) this.around.changed(this.waiting);
  }

  /** Lets time pass: questions come, and are over. */
  tick(): void {
    const before = this.waiting;
    for (const { until, subject } of before) {
      if (until <= this.around.now() && subject.kind === 'knock') this.#visited(subject, 'refused');
    }
    this.waiting = before.filter(({ until }) => until > this.around.now());
    if (this.#knocksAt !== null && this.around.now() >= this.#knocksAt) {
      this.#knocksAt = null;
      this.#knock(this.#friend(), 'tcp/5900');
    }
    if (this.waiting.length !== before.length) this.around.changed(this.waiting);
  }

  visits(): Visit[] {
    return this.#visits;
  }

  answer({ question, answer, circle }: Answered): void {
    const asked = this.waiting.find(({ id }) => id === question);
    if (!asked) throw fail('question_not_found', 'nothing of this number is asked');
    const { subject } = asked;
    if (subject.kind === 'guest') {
      if (answer === 'yes') this.#letIn(subject.circle.id, subject.who);
    } else if (answer !== 'no') {
      if (answer === 'always') this.#always(subject);
      if (answer === 'circle') {
        const id = circle ?? subject.circles[0]?.id ?? '';
        const change = { allow: [subject.service] };
        this.around.ask({ type: 'circle_access', circle: id, change });
      }
      this.#visited(subject, 'opened');
    } else this.#visited(subject, 'refused');
    this.waiting = this.waiting.filter((one) => one !== asked);
    this.around.changed(this.waiting);
  }

  #always({ who: { key }, circles, service }: Knock): void {
    const allow = [service];
    if (this.around.friends().some((one) => one.key === key)) {
      this.around.ask({ type: 'friend_change', key, change: { allow } });
    } else {
      this.around.ask({ type: 'member_access', circle: circles[0]?.id ?? '', key, allow });
    }
  }

  #letIn(circle: string, { key, label }: Party): void {
    this.around.ask({ type: 'circle_add', circle, key, role: 'member', label });
  }

  #knock(who: Party, service: string): void {
    const common = this.around
      .circles()
      .filter(({ circle }) => circle.state === 'member')
      .filter(({ members }) => members.some((one) => one.party.key === who.key))
      .map(({ circle: { id, name } }) => ({ id, name }));
    this.#ask({ kind: 'knock', who, circles: common, service }, KNOCK_S);
  }

  #guest(label: string): void {
    const to = this.around.circles().find(({ circle }) => circle.role === 'admin');
    if (!to) return;
    const { id, name } = to.circle;
    const who = { key: `0000${hex(this.#random, 60)}`, name: null, label };
    this.#ask({ kind: 'guest', who, circle: { id, name }, invite: 4 }, GUEST_S);
  }

  #ask(subject: Subject, seconds: number): void {
    const now = this.around.now();
    const question = { id: this.#next++, asked_at: now, until: now + seconds, subject };
    this.waiting = [...this.waiting, question];
  }

  #friend(): Party {
    const friend = this.around.friends().find(({ name }) => name === 'Ada');
    return friend ? party(friend) : { key: hex(this.#random, 64), name: 'Ada', label: null };
  }

  /** A member who is no friend. */
  #member(): Party {
    const members = this.around.circles().flatMap((kept) => kept.members);
    const stranger = members.find(({ party }) => party.name === null && party.label === 'Nadia');
    return stranger?.party ?? { key: hex(this.#random, 64), name: null, label: 'Nadia' };
  }

  #visited({ who, service }: Knock, outcome: Visit['outcome']): void {
    const at = this.around.now();
    const same = (one: Visit) =>
      one.who.key === who.key && one.service === service && one.outcome === outcome;
    const known = this.#visits.find(same) ?? { count: 0, first_at: at };
    const visit = { ...known, who, service, outcome, count: known.count + 1, last_at: at };
    this.#visits = [visit, ...this.#visits.filter((one) => !same(one))];
  }
}

function visitsOf(circles: readonly Kept[]): Visit[] {
  const friend = (name: string): Party => {
    const known = FRIENDS.find((one) => one.name === name);
    return known ? party(known) : { key: '0'.repeat(64), name: null, label: null };
  };
  const members = circles.flatMap((kept) => kept.members).map((one) => one.party);
  const nadia = members.find(({ label }) => label === 'Nadia') ?? friend('Nadia');
  const nameless = members.find(({ name, label }) => name === null && label === null);
  return (
    [
      [friend('Ada'), 'tcp/22', 'opened', 12, 86],
      [friend('Home server'), null, 'opened', 341, 130],
      [friend('Михаил'), 'tcp/443', 'opened', 3, 1_900],
      [nadia, 'tcp/445', 'refused', 4, 5_200],
      [friend('Aurelie’s laptop'), 'tcp/8000', 'opened', 27, 7_400],
      ...(nameless ? [[nameless, 'udp/5353', 'refused', 1, 8_100] as const] : []),
    ] as const
  ).map(([who, service, outcome, count, ago]) => ({
    who,
    service,
    outcome,
    count,
    first_at: START - ago - 60 * count,
    last_at: START - ago,
  }));
}
