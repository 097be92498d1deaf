// What the service in the page plays, chosen by the address bar:
// `?scene=degraded&view=peers&language=de&appearance=dark&nodes=2000`.

import type { Preferences } from '../shell';

export const SCENES = [
  'normal',
  'empty',
  'loading',
  'down',
  'connecting',
  'degraded',
  'offline',
  'not_installed',
  'stopped',
  'no_permission',
  'version_mismatch',
  'untrusted',
  'unreachable',
  'welcome',
  'paused',
  'open',
] as const;
export type Scene = (typeof SCENES)[number];

/** Which circles there are: a few, one in every state, or none. */
export const CIRCLES = ['normal', 'every', 'none'] as const;

/** What is asked from the start; `soon`: somebody knocks after two seconds. */
export const QUESTIONS = ['none', 'knock', 'guest', 'several', 'soon'] as const;

/** Whether the system asks for names of friends. */
export const NAMES = ['wired', 'answering'] as const;

/** The local networks: all known, one that is asked about, or one in every state. */
export const LANS = ['known', 'asked', 'every'] as const;

/** Why the node carries less than it is set to. */
export const SAVINGS = ['none', 'battery', 'metered'] as const;

/** Whether there is a network interface, or all runs inside the service. */
export const GATEWAYS = ['interface', 'user_space'] as const;

/** Which links there are: the usual ones, or one of every transport. */
export const LINKS = ['normal', 'every'] as const;

/** What is known of newer versions: nothing newer, a newer one, a failure, or nobody can be asked. */
export const RELEASES = ['newest', 'newer', 'failed', 'unavailable'] as const;

export interface Scenario {
  scene: Scene;
  /** Nodes that the topology holds. */
  nodes: number;
  /** Friends there are at least; those beyond the usual are made up. */
  friends: number;
  circles: (typeof CIRCLES)[number];
  questions: (typeof QUESTIONS)[number];
  names: (typeof NAMES)[number];
  lan: (typeof LANS)[number];
  saving: (typeof SAVINGS)[number];
  gateway: (typeof GATEWAYS)[number];
  links: (typeof LINKS)[number];
  releases: (typeof RELEASES)[number];
  /** Whether time stands still, for pictures that are compared. */
  frozen: boolean;
  /** What the person may do with the service. */
  rights: 'change' | 'admin';
  preferences: Partial<Preferences>;
}

const oneOf = <T extends string>(values: readonly T[], wish: string | null): T | undefined =>
  values.find((value) => value === wish);

/** Whether the scene plays before anybody was added. */
export const hasNobody = (scene: Scene) => scene === 'empty' || scene === 'welcome';

export function readScenario(query: string): Scenario {
  const wishes = new URLSearchParams(query);
  const scene = oneOf(SCENES, wishes.get('scene')) ?? 'normal';
  const language = oneOf(['en', 'de', 'fr', 'es', 'ru'] as const, wishes.get('language'));
  const appearance = oneOf(['light', 'dark'] as const, wishes.get('appearance'));
  return {
    scene,
    nodes: Math.min(20_000, Math.max(1, Number(wishes.get('nodes')) || 60)),
    friends: Math.min(1000, Math.max(0, Number(wishes.get('friends')) || 0)),
    circles: oneOf(CIRCLES, wishes.get('circles')) ?? (hasNobody(scene) ? 'none' : 'normal'),
    questions: oneOf(QUESTIONS, wishes.get('questions')) ?? 'none',
    names: oneOf(NAMES, wishes.get('names')) ?? 'wired',
    lan: oneOf(LANS, wishes.get('lan')) ?? 'known',
    saving: oneOf(SAVINGS, wishes.get('saving')) ?? 'none',
    gateway: oneOf(GATEWAYS, wishes.get('gateway')) ?? 'interface',
    links: oneOf(LINKS, wishes.get('links')) ?? 'normal',
    releases: oneOf(RELEASES, wishes.get('releases')) ?? 'newest',
    frozen: wishes.has('frozen'),
    rights: oneOf(['change', 'admin'] as const, wishes.get('rights')) ?? 'admin',
    preferences: {
      welcomed: scene !== 'welcome',
      ...(language ? { language } : {}),
      ...(appearance ? { appearance } : {}),
    },
  };
}
