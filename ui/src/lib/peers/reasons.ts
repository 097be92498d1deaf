// Why public peers were chosen, told from what was measured. The rules themselves are the service's
// (node-core/service/src/public/choice.rs); its own words are English.

import type { PeerChoice, PeerRecord, PeerTest } from '../api/protocol';
import { latency, peerUri } from '../format';
import { t } from '../i18n/index.svelte';

/** The port that most networks let through. */
const OPEN_PORT = '443';
/** Up to four times the best and this much more counts as near. */
const SIMILAR_MS = 100;

/** Second labels below countries under which others register. */
const SHARED = ['ac', 'co', 'com', 'edu', 'gov', 'in', 'msk', 'net', 'org', 'pp', 'spb'];

/** Who runs a peer, as far as its host shows: the domain that was registered, or the address. */
export function operatorOf(uri: string): string {
  const { host } = peerUri(uri);
  if (/^[\d.]+$/.test(host) || host.startsWith('[')) return host;
  const labels = host.split('.');
  const [second = '', last = ''] = labels.slice(-2);
  const shared = last.length === 2 && SHARED.includes(second);
  return labels.slice(shared ? -3 : -2).join('.');
}

export interface Field {
  /** All that were tested. */
  results: readonly PeerTest[];
  /** URIs of the peers that were there before. */
  kept: readonly string[];
  recordOf: (uri: string) => PeerRecord | null;
}

/** The reasons for each choice, in words. Each is held against those before it. */
export function reasonsFor(choices: readonly PeerChoice[], field: Field): string[][] {
  const answered = field.results.flatMap((one) => one.round_trip_ms ?? []);
  const best = Math.min(...answered, ...choices.map((one) => one.round_trip_ms));
  const operators = new Set(field.kept.map(operatorOf));
  return choices.map((choice) => {
    const operator = operatorOf(choice.uri);
    const reasons = [distance(choice, best, answered.length), way(choice.uri)];
    if (operators.size > 0) {
      const key = operators.has(operator) ? 'peers.reason.same' : 'peers.reason.other';
      reasons.push(t(key, { operator }));
    }
    operators.add(operator);
    const record = field.recordOf(choice.uri);
    if (record && record.answers >= 3 && record.answers * 10 >= record.tries * 9) {
      reasons.push(t('peers.reason.proven', { answers: record.answers, tries: record.tries }));
    }
    return reasons;
  });
}

function distance({ round_trip_ms }: PeerChoice, best: number, answered: number): string {
  const time = latency(round_trip_ms);
  if (round_trip_ms <= best && answered > 1) return t('peers.reason.nearest', { answered, time });
  const near = round_trip_ms <= best * 4 + SIMILAR_MS;
  return t(near ? 'peers.reason.near' : 'peers.reason.far', { time });
}

function way(uri: string): string {
  const { transport, port } = peerUri(uri);
  return t(port === OPEN_PORT ? 'peers.reason.open' : 'peers.reason.way', { transport, port });
}
