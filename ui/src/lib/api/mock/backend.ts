// A service that lives in the page. It answers every request the page may make, as a real one
// would; nothing is simulated faithfully, but something happens when something is asked for.

import type { Answers, Asked, Backend, Events, Link, ReplyTo } from '../backend';
import type {
  Explored,
  Friend,
  ImportReport,
  PeerJob,
  PeerStatus,
  PeerTest,
  Settings,
  SettingsChange,
  Status,
  SupportReport,
  Topology,
  Traffic,
} from '../protocol';
import type { Absence, Connection, LinkPreview, Preferences, Step } from '../shell';
import { addressOf, subnetOf } from './address';
import {
  BLOCKED,
  checks,
  DOWN,
  distanceOf,
  FRIENDS,
  hostOf,
  logUntil,
  moreFriends,
  OTHER_PEERS,
  PUBLIC,
  releasesOf,
  START,
  status,
} from './data';
import { paperKey, PAPER_WORDS } from './circle-data';
import { MockCircles, type CircleRequest } from './circles';
import { importIdentity, importSettings, type IdentityWish, type SettingsWish } from './imports';
import { MockQuestions } from './questions';
import { MockRoads } from './roads';
import { hex, seeded } from './random';
import { fail } from './refusal';
import { hasNobody, type Scenario } from './scenario';
import { peerUri } from '../../format';
import { changed, SETTINGS } from './settings';
import { neighboursOf, topology, withExplored } from './topology';

type Answer = { [N in keyof Answers]: ReplyTo<Extract<Asked, { type: N }>> }[keyof Answers];
type Handlers = Map<keyof Events, Set<(value: never) => void>>;

const SECOND_MS = 1000;
const ABSENCES: Record<Absence, { message: string; command: string | null }> = {
  not_installed: {
    message: 'there is no service on this computer',
    command: 'sudo planetaryd install',
  },
  stopped: { message: 'nobody listens', command: 'sudo systemctl enable --now planetaryd' },
  no_permission: {
    message: 'the socket belongs to the group planetary',
    command: 'sudo usermod -aG planetary "$USER"',
  },
  version_mismatch: {
    message: 'the service speaks another version',
    command: 'sudo systemctl restart planetaryd',
  },
  untrusted: { message: 'the program that listens belongs to somebody else', command: null },
  unreachable: { message: 'whoever listens says nothing', command: null },
};

const STEPS: Partial<Record<Absence, Step>> = {
  not_installed: 'install',
  stopped: 'start',
  version_mismatch: 'restart',
};

export class MockBackend implements Backend {
  readonly copied: string[] = [];
  readonly saved: { name: string; kind: string; data: string }[] = [];
  #status: Status;
  #absence: Absence | null;
  #preferences: Preferences;
  #settings = SETTINGS;
  #friends: Friend[];
  #blocked = BLOCKED.map((one) => ({ ...one }));
  readonly #circles: MockCircles;
  readonly #questions: MockQuestions;
  readonly #roads: MockRoads;
  #job: PeerJob | null = null;
  #jobAdds = false;
  readonly #waiting = new Set<() => boolean>();
  readonly #explored = new Map<string, string[]>();
  #nextLink = 20;
  #topics = new Set<string>();
  readonly #handlers: Handlers = new Map();
  readonly #random = seeded(3);

  constructor(readonly scenario: Scenario) {
    const { scene } = scenario;
    this.#status = status(scene);
    this.#absence = scene in ABSENCES ? (scene as Absence) : null;
    this.#friends = hasNobody(scene)
      ? []
      : [...FRIENDS.map((one) => ({ ...one })), ...moreFriends(scenario.friends)];
    if (this.#friends.length === 0) this.#blocked = [];
    const connected = () => ['connected', 'degraded'].includes(this.#status.state);
    this.#circles = new MockCircles(scenario, {
      now: () => this.#status.time,
      friends: () => this.#friends,
      blocked: (key) => this.#blocked.some((one) => one.key === key),
      connected,
      changed: () => this.#circlesChanged(),
    });
    this.#status.access = { ...this.#status.access, ...this.#circles.counts() };
    this.#status.names = this.#names(this.#settings.names);
    this.#status.releases = releasesOf(scenario, true);
    if (scenario.links === 'every') {
      const others = OTHER_PEERS.map((one) => ({ ...one }));
      this.#status.peers = [...this.#status.peers, ...others];
    }
    this.#questions = new MockQuestions(scenario, {
      now: () => this.#status.time,
      friends: () => this.#friends,
      circles: () => this.#circles.all(),
      ask: (request) => void this.#answer(request),
      changed: (questions) => {
        this.#change({ questions });
        this.#circlesChanged();
      },
    });
    this.#settings = {
      ...SETTINGS,
      listen: this.#status.listeners.map(({ uri }) => uri),
      inbound: this.#status.access.inbound,
      ...(scenario.gateway === 'user_space' ? { gateway_socks: '127.0.0.1:1080' } : {}),
    };
    if (scenario.gateway === 'user_space') this.#status.tun = null;
    this.#roads = new MockRoads(scenario, {
      now: () => this.#status.time,
      settings: () => this.#settings,
      on: () => this.#status.state !== 'down',
      connected,
      links: () => this.#status.peers.filter((peer) => peer.up && peer.source === 'lan').length,
      changed: () => this.#change({}),
    });
    this.#status = { ...this.#status, ...this.#roads.status() };
    this.#preferences = {
      language: 'system',
      appearance: 'system',
      autostart: false,
      start_minimised: false,
      notifications: true,
      welcomed: true,
      ...scenario.preferences,
    };
    if (!scenario.frozen) setInterval(() => this.tick(), SECOND_MS);
  }

  /** Lets a second pass. */
  tick(): void {
    const now = this.#status;
    const moving = now.state === 'connected' || now.state === 'degraded';
    const wave = 1 + 0.5 * Math.sin(now.time / 5) + 0.3 * this.#random();
    const rx_rate = moving ? Math.round(7_400_000 * wave) : 0;
    const tx_rate = moving ? Math.round(900_000 * wave) : 0;
    const peers = now.peers.map((peer) => this.#tickPeer(peer, rx_rate));
    this.#status = {
      ...now,
      time: now.time + 1,
      proven_at: moving && now.time % 9 === 0 ? now.time : now.proven_at,
      uptime_s: now.uptime_s + 1,
      rx_rate,
      tx_rate,
      rx_bytes: now.rx_bytes + rx_rate,
      tx_bytes: now.tx_bytes + tx_rate,
      peers,
    };
    this.#roads.tick();
    this.#status = { ...this.#status, ...this.#roads.status() };
    this.#circles.tick();
    this.#questions.tick();
    if (now.state === 'connecting' && now.peers.length > 0 && now.time - now.state_since > 2) {
      if (this.scenario.scene !== 'connecting') this.#connect();
    }
    if (this.#absence === null && this.#topics.has('traffic'))
      this.#emit('traffic', traffic(this.#status));
  }

  #tickPeer(peer: PeerStatus, rx_rate: number): PeerStatus {
    if (!peer.up) {
      const left = peer.reconnect_in_s;
      return { ...peer, reconnect_in_s: left === null ? null : left > 1 ? left - 1 : 30 };
    }
    const share = Math.round(rx_rate / (1 + peer.link));
    return {
      ...peer,
      uptime_s: (peer.uptime_s ?? 0) + 1,
      latency_ms: Math.max(1, (peer.latency_ms ?? 20) + (this.#random() - 0.5) * 2),
      rx_rate: share,
      tx_rate: Math.round(share / 9),
      rx_bytes: peer.rx_bytes + share,
      tx_bytes: peer.tx_bytes + Math.round(share / 9),
    };
  }

  connection(): Promise<Connection> {
    if (this.scenario.scene === 'loading')
      return Promise.resolve({ state: 'connecting', since: START });
    return Promise.resolve(this.#connection());
  }

  #connection(): Connection {
    const place = '/run/planetary/control.sock';
    if (this.#absence === null) {
      return {
        state: 'ready',
        since: START,
        place,
        rights: this.scenario.rights,
        status: this.#status,
      };
    }
    const { message, command } = ABSENCES[this.#absence];
    const step = STEPS[this.#absence] ?? null;
    return {
      state: this.#absence,
      since: START,
      place,
      message,
      details: '',
      command,
      step,
      can_supervise: step !== null,
      retry_in_s: 2,
    };
  }

  async ask<R extends Asked>(request: R): Promise<ReplyTo<R>> {
    await Promise.resolve();
    if (this.#absence !== null) throw fail(this.#absence, ABSENCES[this.#absence].message);
    if (this.scenario.scene === 'loading') return new Promise(() => undefined);
    if (request.type === 'peer_job') await this.#news(request.job, request.seen ?? 0);
    return this.#answer(request) as ReplyTo<R>;
  }

  /** Waits until a job has more than `seen` results or is done, as long as the service would. */
  #news(job: number, seen: number): Promise<void> {
    const due = () => this.#job?.job !== job || this.#job.done || this.#job.results.length > seen;
    if (due()) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 2 * SECOND_MS);
      this.#waiting.add(() => {
        if (!due()) return false;
        clearTimeout(timer);
        resolve();
        return true;
      });
    });
  }

  #jobChanged(job: PeerJob): void {
    this.#job = job;
    for (const wake of this.#waiting) if (wake()) this.#waiting.delete(wake);
  }

  #answer(request: Asked): Answer {
    switch (request.type) {
      case 'status':
        return { type: 'status', ...this.#status };
      case 'up':
        this.#change({
          state: 'connecting',
          state_text: 'asking 4 peers',
          state_since: this.#status.time,
        });
        setTimeout(() => this.#connect(), SECOND_MS);
        return { type: 'status', ...this.#status };
      case 'down':
        this.#change({
          ...status('down'),
          time: this.#status.time,
          state_since: this.#status.time,
        });
        return { type: 'status', ...this.#status };
      case 'pause': {
        const until = request.for_s ? this.#status.time + request.for_s : null;
        this.#change({ access: { ...this.#status.access, paused: { until } } });
        return { type: 'status', ...this.#status };
      }
      case 'resume':
        this.#change({ access: { ...this.#status.access, paused: null } });
        return { type: 'status', ...this.#status };
      case 'peer_add':
      case 'peer_remove':
      case 'peer_pause':
      case 'peer_resume':
        return this.#changePeer(request);
      case 'peer_public':
      case 'peer_public_refresh':
        return {
          type: 'public_peers',
          time: this.#status.time,
          source: 'mock list',
          date: '2026-06-09',
          age_days: 172,
          trust: 'shipped',
          fetched_at: null,
          refreshable: true,
          refresh_error: null,
          total: PUBLIC.length,
          peers: request.type === 'peer_public' ? PUBLIC : [],
          rejected_total: 1,
          rejected: [{ entry: 17, reason: 'the port is not a number' }],
        };
      case 'peer_test':
      case 'peer_choose':
        return { type: 'peer_job', ...this.#startJob(request) };
      case 'peer_job':
      case 'peer_job_cancel': {
        if (this.#job?.job !== request.job) throw fail('invalid_request', 'there is no such job');
        if (request.type === 'peer_job_cancel') {
          this.#jobChanged({ ...this.#job, done: true, cancelled: true });
        }
        return { type: 'peer_job', ...this.#job, results: this.#job.results.slice(request.seen) };
      }
      case 'topology':
        return { type: 'topology', ...this.#topology() };
      case 'explore':
        return { type: 'explored', ...this.#explore(request.key) };
      case 'path': {
        const target = request.target;
        const first = this.#status.peers[0];
        return {
          type: 'path',
          target,
          key: this.#keyOf(target),
          address: addressOf(this.#keyOf(target)),
          coordinates: [4, 2, 9],
          distance: 2 + (parseInt(this.#keyOf(target).slice(-2), 16) % 5),
          next_hops: first?.key
            ? [
                {
                  key: first.key,
                  address: addressOf(first.key),
                  uri: first.uri,
                  port: 1,
                  latency_ms: first.latency_ms,
                },
              ]
            : [],
          session: {
            state: 'established',
            rx_bytes: 81_000,
            tx_bytes: 64_000,
            uptime_s: 431,
            cipher: 'aes-256-gcm',
          },
          age_s: 12,
          hops: [],
        };
      }
      case 'ping': {
        const key = this.#keyOf(request.target);
        const off = this.#friends.some((one) => one.key === key && !one.online);
        const direct = this.#status.peers.find((one) => one.up && one.key === key)?.latency_ms;
        const replies = Array.from({ length: request.count ?? 1 }, (_, at) => ({
          seq: at + 1,
          rtt_ms: off ? null : (direct ?? 42) + 3 * this.#random(),
        }));
        const times = replies.flatMap(({ rtt_ms }) => (rtt_ms === null ? [] : [rtt_ms]));
        const sum = times.reduce((total, ms) => total + ms, 0);
        return {
          type: 'ping',
          target: request.target,
          address: addressOf(key),
          key,
          replies,
          sent: replies.length,
          received: times.length,
          min_ms: times.length > 0 ? Math.min(...times) : null,
          avg_ms: times.length > 0 ? sum / times.length : null,
          max_ms: times.length > 0 ? Math.max(...times) : null,
        };
      }
      case 'doctor':
        return { type: 'doctor', time: this.#status.time, items: checks(this.#status) };
      case 'report':
        return { type: 'report', ...report(this.#status) };
      case 'logs': {
        const levels = ['error', 'warn', 'info'];
        const most = levels.indexOf(request.level ?? 'info');
        const all = logUntil(this.#status.time);
        const lines = all.filter(
          (line) => line.number > (request.after ?? 0) && levels.indexOf(line.level) <= most,
        );
        return { type: 'logs', lines, last: all.at(-1)?.number ?? 0, lost: 0 };
      }
      case 'identity_show':
        return {
          type: 'identity',
          key: this.#status.key,
          address: this.#status.address,
          subnet: this.#status.subnet,
          file: '/var/lib/planetary/identity.pem',
        };
      case 'friend_list': {
        const on = ['connected', 'degraded'].includes(this.#status.state);
        return {
          type: 'friends',
          time: this.#status.time,
          friends: this.#friends.map((one) => ({ ...one, online: one.online && on })),
          everyone: this.#status.access.everyone,
          next: null,
        };
      }
      case 'friend_blocked':
        return {
          type: 'blocked_keys',
          time: this.#status.time,
          blocked: this.#blocked,
          next: null,
        };
      case 'friend_add':
      case 'friend_remove':
      case 'friend_change':
        return { type: 'friend', ...this.#changeFriend(request) };
      case 'friend_block': {
        const entry = {
          key: request.key,
          address: addressOf(request.key),
          name: request.name ?? null,
          friend: this.#friends.some((one) => one.key === request.key),
          notes: request.notes ?? '',
          blocked_at: this.#status.time,
        };
        if (entry.key === this.#status.key) throw fail('invalid_target', 'this is the node itself');
        this.#blocked = [...this.#blocked.filter((one) => one.key !== entry.key), entry];
        this.#friendsChanged((one) => (one.key === request.key ? { ...one, blocked: true } : one));
        return { type: 'blocked_key', ...entry };
      }
      case 'friend_unblock': {
        const entry = this.#blocked.find((one) => one.key === request.key);
        if (!entry && !this.#friends.some((one) => one.key === request.key && one.blocked)) {
          throw fail('friend_not_found', 'nobody of that key is blocked');
        }
        this.#blocked = this.#blocked.filter((one) => one.key !== request.key);
        this.#friendsChanged((one) => (one.key === request.key ? { ...one, blocked: false } : one));
        return {
          type: 'blocked_key',
          key: request.key,
          address: addressOf(request.key),
          name: null,
          friend: true,
          notes: '',
          blocked_at: this.#status.time,
        };
      }
      case 'friend_import':
        return { type: 'imported', ...this.#importFriends(request) };
      case 'open_change': {
        const { access } = this.#status;
        const kept = access.everyone.filter((one) => !request.deny?.includes(one));
        const everyone = [...new Set([...kept, ...(request.allow ?? [])])];
        this.#change({ access: { ...access, everyone } });
        return { type: 'open', everyone };
      }
      case 'settings':
        return { type: 'settings', ...this.#settings };
      case 'settings_change':
        return { type: 'settings', ...this.#changeSettings(request.change) };
      case 'share': {
        const peers = request.peers ?? ['tls://falkenstein.peers.example:443'];
        const name = request.name ? `&n=${encodeURIComponent(request.name)}` : '';
        const p = peers.map((peer) => `&p=${encodeURIComponent(peer)}`).join('');
        return {
          type: 'shared',
          link: `planetary:friend?k=${this.#status.key}${name}${p}`,
          key: this.#status.key,
          name: request.name ?? null,
          peers,
          lobby_until: this.#status.time + 172_800,
        };
      }
      case 'question_answer':
        this.#questions.answer(request);
        return { type: 'status', ...this.#status };
      case 'visit_list':
        return { type: 'visits', time: this.#status.time, visits: this.#questions.visits() };
      case 'lan_trust':
      case 'forward_list':
      case 'forward_add':
      case 'forward_remove':
        return this.#roads.answer(request) ?? { type: 'status', ...this.#status };
      default:
        return this.#circles.answer(request satisfies CircleRequest);
    }
  }

  #changeSettings(change: SettingsChange): Settings {
    const next = changed(this.#settings, change);
    this.#settings = next;
    const { inbound, echo } = next;
    const open = inbound === 'everyone' || echo === 'everyone';
    const sessions = next.sessions === 'auto' ? (open ? 'everyone' : 'circles') : next.sessions;
    const listeners = next.listen.map((uri) => ({ uri, up: true, last_error: null }));
    const names = this.#names(next.names);
    const releases = releasesOf(this.scenario, next.release_check);
    const access = { ...this.#status.access, inbound, echo, sessions };
    this.#change({ access, listeners, names, releases });
    return next;
  }

  #names(on: boolean): Status['names'] {
    const { suffix } = this.#status.names;
    if (!on) return { state: 'off', suffix, server: null, resolver: null, hint: null };
    const { server, resolver } = status('normal').names;
    if (this.scenario.names === 'wired') {
      return { state: 'wired', suffix, server, resolver, hint: null };
    }
    const command = `resolvectl dns planetary0 ${server ?? ''}`;
    const hint = `run as root, each time the node comes up: \`${command}\``;
    return { state: 'answering', suffix, server, resolver: null, hint };
  }

  #topology(): Topology {
    const whole = topology(this.#status, this.scenario.nodes);
    return withExplored(whole, this.#explored);
  }

  /** Asks a node for its neighbours; every fourth keeps them to itself. */
  #explore(key: string): Explored {
    const answered = parseInt(key.slice(-1), 16) % 4 !== 0;
    const peers = answered ? neighboursOf(key) : null;
    if (peers) {
      this.#explored.set(key, peers);
      const revision = this.#status.topology_revision + 1;
      this.#change({ topology_revision: revision });
      this.#emit('topology', { revision });
    }
    return {
      time: this.#status.time,
      key,
      address: addressOf(key),
      answered,
      name: null,
      program: answered ? 'yggdrasil 0.5.14' : null,
      system: answered ? 'linux amd64' : null,
      routing_entries: answered ? 13 : null,
      round_trip_ms: answered ? 70 : null,
      peers,
      tree: peers,
    };
  }

  #keyOf(target: string): string {
    if (/^[0-9a-f]{64}$/.test(target)) return target;
    const all = this.#topology().nodes;
    const known = [...this.#friends, ...all];
    const key = known.find((one) => one.address === target)?.key;
    if (!key) throw fail('unreachable', 'no node with this address answered');
    return key;
  }

  #changePeer(
    request: Extract<Asked, { type: `peer_${'add' | 'remove' | 'pause' | 'resume'}` }>,
  ): Answer {
    const { peers } = this.#status;
    const uri = request.uri.split('?')[0] ?? request.uri;
    const known = peers.find((peer) => peer.uri === uri);
    if (request.type === 'peer_add') {
      if (!/^(tcp|tls|quic|wss?|unix|socks|sockstls):\/\/.+/.test(uri)) {
        throw fail('invalid_uri', 'the URI has no known transport');
      }
      if (known) throw fail('peer_exists', 'the peer is configured already');
      this.#addPeer(uri, 'config');
    } else {
      if (!known) throw fail('peer_not_found', 'no such peer is configured');
      if (request.type === 'peer_remove')
        this.#change({ peers: peers.filter((one) => one !== known) });
      else {
        const paused = request.type === 'peer_pause';
        const next = paused
          ? { ...known, ...DOWN, paused }
          : { ...known, paused, reconnect_in_s: 1 };
        this.#change({ peers: peers.map((one) => (one === known ? next : one)) });
      }
    }
    return { type: 'peer', uri, interface: null, persistent: true, argument: false };
  }

  #addPeer(uri: string, source: PeerStatus['source']): void {
    const link = this.#nextLink++;
    const key = hex(this.#random, 64);
    const fresh: PeerStatus = {
      ...(status('normal').peers[0] as PeerStatus),
      link,
      uri,
      source,
      key,
      address: addressOf(key),
      port: link,
      latency_ms: distanceOf(uri) ?? 30,
      uptime_s: 0,
      rx_bytes: 0,
      tx_bytes: 0,
    };
    this.#change({ peers: [...this.#status.peers, fresh] });
    if (this.#status.state === 'connecting') this.#connect();
  }

  #changeFriend(
    request: Extract<Asked, { type: 'friend_add' | 'friend_remove' | 'friend_change' }>,
  ): Friend {
    if (request.type === 'friend_add') {
      const key = /^[0-9a-f]{64}$/.test(request.who) ? request.who : hex(this.#random, 64);
      if (this.#friends.some((one) => one.key === key || one.name === request.name)) {
        throw fail('friend_exists', 'the key is a friend already, or the name belongs to another');
      }
      const fresh: Friend = {
        key,
        name: request.name ?? key.slice(0, 8),
        address: addressOf(key),
        host: request.name ? hostOf(request.name) : null,
        subnet: subnetOf(key),
        echo: request.echo ?? true,
        services: request.services ?? [],
        verified: false,
        blocked: false,
        notes: request.notes ?? '',
        added_at: this.#status.time,
        last_seen: null,
        online: false,
      };
      this.#friends = [...this.#friends, fresh];
      this.#friendsChanged((one) => one);
      return fresh;
    }
    const known = this.#friends.find((one) => one.key === request.key);
    if (!known) throw fail('friend_not_found', 'nobody of that name or key is a friend');
    if (request.type === 'friend_remove') {
      this.#friends = this.#friends.filter((one) => one !== known);
      this.#friendsChanged((one) => one);
      return known;
    }
    const { allow = [], deny = [], ...more } = request.change;
    const services = [
      ...new Set([...known.services.filter((one) => !deny.includes(one)), ...allow]),
    ];
    const given = Object.fromEntries(
      Object.entries(more).filter(([, value]) => value !== null && value !== undefined),
    );
    const next: Friend = { ...known, ...given, services };
    this.#friendsChanged((one) => (one === known ? next : one));
    return next;
  }

  #importFriends({ book, overwrite }: Extract<Asked, { type: 'friend_import' }>): ImportReport {
    const report: ImportReport = { added: 0, updated: 0, kept: 0, blocked: 0, refused: [] };
    for (const { key, name, ...given } of book.friends) {
      const known = this.#friends.find((one) => one.key === key);
      const { echo = true, services = [], verified = false, notes = '' } = given;
      const change = { echo, services, verified, notes };
      if (known && !overwrite) report.kept += 1;
      else if (known) {
        report.updated += 1;
        this.#friends = this.#friends.map((one) =>
          one === known ? { ...one, name, ...change } : one,
        );
      } else if (this.#blocked.some((one) => one.key === key)) {
        report.refused.push({ key, name, reason: `${key} is blocked` });
      } else {
        report.added += 1;
        const fresh = this.#changeFriend({ type: 'friend_add', who: key, name });
        this.#friends = this.#friends.map((one) => (one === fresh ? { ...one, ...change } : one));
      }
    }
    this.#friendsChanged((one) => one);
    return report;
  }

  #friendsChanged(change: (friend: Friend) => Friend): void {
    this.#friends = this.#friends.map(change);
    const revision = this.#status.friends_revision + 1;
    const access = {
      ...this.#status.access,
      friends: this.#friends.length,
      blocked: this.#blocked.length,
    };
    this.#change({ friends_revision: revision, access });
    this.#emit('friends', { revision });
  }

  #circlesChanged(): void {
    const revision = this.#status.circles_revision + 1;
    const access = { ...this.#status.access, ...this.#circles.counts() };
    this.#change({ circles_revision: revision, access });
    this.#emit('circles', { revision });
  }

  #startJob(request: Extract<Asked, { type: 'peer_test' | 'peer_choose' }>): PeerJob {
    const uris =
      request.type === 'peer_test' && request.uris && request.uris.length > 0
        ? request.uris
        : PUBLIC.filter((peer) => peer.usable).map((peer) => peer.uri);
    const best = request.type === 'peer_choose' ? (request.best ?? 3) : 0;
    this.#jobAdds = request.type === 'peer_choose' && (request.add ?? false);
    const job: PeerJob = {
      job: (this.#job?.job ?? 0) + 1,
      done: false,
      cancelled: false,
      total: uris.length,
      tested: 0,
      results: [],
      choices: [],
      error: null,
    };
    this.#job = job;
    this.#continue(job.job, uris, best);
    return job;
  }

  #continue(number: number, uris: string[], best: number): void {
    const job = this.#job;
    if (job?.job !== number || job.done) return;
    const results = [...job.results, ...uris.slice(job.tested, job.tested + 8).map(testOf)];
    const done = results.length >= uris.length;
    this.#jobChanged({
      ...job,
      results,
      tested: results.length,
      done,
      choices: done ? this.#choose(results, best) : [],
    });
    if (!done) setTimeout(() => this.#continue(number, uris, best), 150);
  }

  #choose(results: PeerTest[], best: number): PeerJob['choices'] {
    const near = results
      .filter(({ uri, round_trip_ms }) => round_trip_ms !== null && !this.#hasPeer(uri))
      .sort((a, b) => (a.round_trip_ms ?? 0) - (b.round_trip_ms ?? 0));
    const operators = new Set<string>();
    const different = near.filter(({ uri }) => {
      const operator = uri.split('.').slice(-2)[0] ?? uri;
      const fresh = !operators.has(operator);
      operators.add(operator);
      return fresh;
    });
    return different.slice(0, best).map(({ uri, country, round_trip_ms }, at) => {
      if (this.#jobAdds) this.#addPeer(uri, 'chosen');
      return {
        uri,
        region: PUBLIC.find((peer) => peer.uri === uri)?.region ?? 'europe',
        country: country ?? 'germany',
        round_trip_ms: round_trip_ms ?? 0,
        reason: at === 0 ? 'the nearest' : 'near, and of another operator',
        added: this.#jobAdds ? { uri, interface: null, persistent: true, argument: false } : null,
      };
    });
  }

  #hasPeer(uri: string): boolean {
    return this.#status.peers.some((peer) => peer.uri === uri);
  }

  #connect(): void {
    if (this.#status.state === 'down') return;
    const normal = status('normal');
    const peers = this.#status.peers.some((one) => one.up) ? this.#status.peers : normal.peers;
    this.#change({ ...normal, time: this.#status.time, peers, access: this.#status.access });
  }

  #change(change: Partial<Status>): void {
    this.#status = { ...this.#status, ...change };
    this.#status = { ...this.#status, ...this.#roads.status() };
    this.#emit('connection', this.#connection());
  }

  #emit<E extends keyof Events>(event: E, value: Events[E]): void {
    for (const handler of this.#handlers.get(event) ?? [])
      (handler as (value: Events[E]) => void)(value);
  }

  /** Plays an event from outside: a link that was opened, a view the tray asks for. */
  play<E extends keyof Events>(event: E, value: Events[E]): void {
    this.#emit(event, value);
  }

  watch(topics: string[]): Promise<void> {
    const first = this.#topics.size === 0;
    this.#topics = new Set(topics);
    // A minute that has passed already: charts are full from the start.
    if (first && this.scenario.scene !== 'loading') {
      for (let s = 0; s < 60; s += 1) this.tick();
      this.#questions.begin();
    }
    return Promise.resolve();
  }

  supervise(): Promise<void> {
    this.#absence = null;
    this.#change({ ...status('normal') });
    return Promise.resolve();
  }

  async readLink(text: string): Promise<Link> {
    const trimmed = text.trim();
    return this.#circles.read(trimmed) ?? (await this.#readNode(trimmed));
  }

  #readNode(trimmed: string): Promise<LinkPreview> {
    const refuse = (reason: string) => Promise.reject(fail('invalid_link', reason));
    const preview = (key: string, kind: 'friend' | 'key', name: string | null, peers: string[]) =>
      Promise.resolve({
        kind,
        key,
        address: addressOf(key),
        name,
        peers,
        own: key === this.#status.key,
        known: this.#friends.find((one) => one.key === key) ?? null,
        blocked: this.#blocked.some((one) => one.key === key),
      });
    if (trimmed.startsWith('planetary:friend?')) {
      const parts = new URLSearchParams(trimmed.slice('planetary:friend?'.length));
      const key = parts.get('k') ?? '';
      if (!/^[0-9a-f]{64}$/.test(key)) return refuse('the link has no key');
      return preview(key, 'friend', parts.get('n'), parts.getAll('p'));
    }
    if (/^[0-9a-f]{64}$/i.test(trimmed)) return preview(trimmed.toLowerCase(), 'key', null, []);
    if (/^0?2[0-9a-f]{2}:[0-9a-f:]+$/i.test(trimmed)) {
      const known = this.#friends.find((one) => one.address === trimmed) ?? null;
      const own = trimmed === this.#status.address;
      const preview = {
        kind: 'address' as const,
        key: null,
        address: trimmed,
        name: null,
        peers: [],
        own,
        known,
        blocked: this.#blocked.some((one) => one.address === trimmed),
      };
      return Promise.resolve(preview);
    }
    return refuse('this is no link, no key and no address of the network');
  }

  pendingLinks = () => Promise.resolve([]);
  async exportIdentity(passphrase: string) {
    await this.#mayTouchIdentity();
    if (passphrase.length < 8) throw fail('weak_passphrase', 'the passphrase is too short');
    return { file: '/home/ada/planetary.backup' };
  }

  async importIdentity(wish: IdentityWish) {
    await this.#mayTouchIdentity();
    const { import: done, status } = importIdentity(this.#status, wish);
    if (done.applied) this.#change(status);
    return done;
  }

  async importSettings(wish: SettingsWish) {
    await this.#mayTouchIdentity();
    const { import: done, status } = importSettings(this.#status, wish);
    if (done.applied) this.#change(status);
    return done;
  }

  async #mayTouchIdentity() {
    await Promise.resolve();
    if (this.#absence !== null) throw fail(this.#absence, ABSENCES[this.#absence].message);
    if (this.scenario.rights !== 'admin') {
      throw fail('permission_denied', 'only root and the account of the service may do this');
    }
  }

  recoveryWords = () =>
    Promise.resolve({ words: PAPER_WORDS, key: paperKey(PAPER_WORDS.join(' ')) ?? '' });

  async recoveryKey(words: string) {
    const key = await Promise.resolve(paperKey(words));
    if (key === null) throw fail('invalid_words', 'these are not the words of a key');
    return { key };
  }

  async recoverySign(wish: { words: string; operation: string }) {
    await this.recoveryKey(wish.words);
    return { operation: wish.operation };
  }

  save(file: { name: string; kind: 'text' | 'png'; data: string }) {
    this.saved.push(file);
    return Promise.resolve({ file: `/home/ada/${file.name}` });
  }

  copy(text: string): Promise<void> {
    this.copied.push(text);
    return Promise.resolve();
  }

  preferences = () => Promise.resolve(this.#preferences);

  changePreferences(change: Partial<Preferences>): Promise<Preferences> {
    this.#preferences = { ...this.#preferences, ...change };
    return Promise.resolve(this.#preferences);
  }

  about = () =>
    Promise.resolve({
      version: '0.1.0',
      protocol: 1,
      licence: 'MPL-2.0',
      system: 'Debian GNU/Linux 12',
      service_version: this.#absence ? null : '0.1.0',
    });

  quit = () => Promise.resolve();

  on<E extends keyof Events>(event: E, handler: (value: Events[E]) => void): () => void {
    const all = this.#handlers.get(event) ?? new Set();
    all.add(handler);
    this.#handlers.set(event, all);
    return () => all.delete(handler);
  }
}

function testOf(uri: string): PeerTest {
  const round_trip_ms = distanceOf(uri);
  const listed = PUBLIC.find((peer) => peer.uri === uri);
  return {
    uri,
    interface: null,
    country: listed?.country ?? null,
    key: null,
    remote: round_trip_ms === null ? null : '192.0.2.7',
    connect_ms: round_trip_ms,
    round_trip_ms,
    error:
      round_trip_ms === null
        ? { code: 'dial_timeout', message: 'nothing answered at the address', at: START }
        : null,
  };
}

function traffic(now: Status): Traffic {
  return {
    time: now.time,
    proven_at: now.proven_at,
    uptime_s: now.uptime_s,
    sessions: now.sessions,
    paths: now.paths,
    routing_entries: now.routing_entries,
    rx_bytes: now.rx_bytes,
    tx_bytes: now.tx_bytes,
    rx_rate: now.rx_rate,
    tx_rate: now.tx_rate,
    dropped: now.dropped,
    transit_bytes: now.transit.bytes,
    transit_rate: now.transit.rate,
    links: now.peers.map((peer) => ({
      link: peer.link,
      cost: peer.cost,
      latency_ms: peer.latency_ms,
      rx_bytes: peer.rx_bytes,
      tx_bytes: peer.tx_bytes,
      rx_rate: peer.rx_rate,
      tx_rate: peer.tx_rate,
      uptime_s: peer.uptime_s,
      reconnect_in_s: peer.reconnect_in_s,
    })),
  };
}

function report(now: Status): SupportReport {
  return {
    time: now.time,
    version: now.version,
    os: 'linux',
    arch: 'x86_64',
    pseudonyms_last: true,
    node: {
      name: 'node-mockaaaa',
      state: now.state,
      state_for_s: now.time - now.state_since,
      uptime_s: now.uptime_s,
      proven_ago_s: now.proven_at === null ? null : now.time - now.proven_at,
      depth: now.coordinates?.length ?? null,
      root: 'node-mockbbbb',
      parent: 'node-mockcccc',
    },
    health: now.health.map(({ code, severity, affects_connectivity }) => ({
      code,
      severity,
      affects_connectivity,
      for_s: 62,
    })),
    settings: [
      { name: 'peers', value: '4 configured' },
      { name: 'listen', value: '1 configured' },
    ],
    links: now.peers.map((peer) => {
      const { transport, host } = peerUri(peer.uri);
      const name = String.fromCharCode(96 + peer.link).repeat(4);
      return {
        transport,
        direction: peer.direction,
        source: peer.source,
        host: `host-mock${name}`,
        host_kind: host.startsWith('[') ? 'ipv6' : /^[0-9.]+$/.test(host) ? 'ipv4' : 'name',
        is_port_443: peer.uri.endsWith(':443'),
        interface: null,
        node: peer.key === null ? null : `node-mock${name}`,
        up: peer.up,
        suspect: peer.suspect,
        priority: peer.priority,
        cost: peer.cost,
        latency_ms: peer.latency_ms,
        rx_bytes: peer.rx_bytes,
        tx_bytes: peer.tx_bytes,
        uptime_s: peer.uptime_s,
        reconnect_in_s: peer.reconnect_in_s,
        last_error: peer.last_error && {
          code: peer.last_error.code,
          ago_s: Math.max(0, now.time - peer.last_error.at),
        },
      };
    }),
    listeners: [{ transport: 'tls', up: true, last_error: null }],
    interface: { name: 'planetary0', mtu: 65_535 },
    clock: { ahead_s: 0, witnesses: 12, jump_s: null },
    counters: [
      { name: 'sessions', value: now.sessions },
      { name: 'paths', value: now.paths },
    ],
  };
}
