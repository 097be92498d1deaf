// Local networks, what is carried for others, proxies and forwarded ports of the made-up node.

import type { Asked } from '../backend';
import type {
  Forward,
  ForwardRule,
  Gateway,
  Lan,
  LanInterface,
  LanState,
  ListenerStatus,
  Settings,
  Status,
  Transit,
} from '../protocol';
import { START } from './data';
import { fail } from './refusal';
import { hasNobody, type Scenario } from './scenario';

export type RoadRequest = Extract<
  Asked,
  { type: 'lan_trust' | 'forward_list' | 'forward_add' | 'forward_remove' }
>;

/** What roads need of the rest of the service. */
export interface Surroundings {
  now: () => number;
  settings: () => Settings;
  /** Whether the node is switched on. */
  on: () => boolean;
  connected: () => boolean;
  /** Links to nodes of the local network. */
  links: () => number;
  /** Something of the status is other than before. */
  changed: () => void;
}

type Roads = Pick<Status, 'lan' | 'transit' | 'gateway'>;

const LINKS_MAX = 8;
/** What others send through this node, in bytes a second. */
const RATE = 1_204;
const FORWARDS_MAX = 64;
/** A port that some other program has. */
const TAKEN = '127.0.0.1:631';
const WIFI = '5c1f0a77d2be9043';

export class MockRoads {
  #forwards: Forward[];
  #next = 10;
  #interfaces: LanInterface[];
  #carried = 48_213_007;

  constructor(
    readonly scenario: Scenario,
    readonly around: Surroundings,
  ) {
    this.#forwards = hasNobody(scenario.scene) ? [] : FORWARDS.map((one) => ({ ...one }));
    this.#interfaces = interfacesOf(scenario);
  }

  /** What the status says of all this. */
  status(): Roads {
    return { lan: this.#lan(), transit: this.#transit(), gateway: this.#gateway() };
  }

  /** Lets a second pass. */
  tick(): void {
    if (!this.around.on()) return;
    this.#carried += this.#transit().rate ?? 0;
    this.#forwards = this.#forwards.map((one) => {
      const moved = one.up ? 2_300 * one.connections : 0;
      return { ...one, rx_bytes: one.rx_bytes + moved, tx_bytes: one.tx_bytes + (moved >> 3) };
    });
  }

  answer(request: RoadRequest) {
    switch (request.type) {
      case 'lan_trust':
        this.#trust(request.network, request.trusted);
        return null;
      case 'forward_list': {
        const forwards = this.#forwards.map((one) => this.#shown(one));
        return { type: 'forwards' as const, time: this.around.now(), forwards };
      }
      case 'forward_add': {
        const added = this.#add(request.rule);
        this.around.changed();
        return { type: 'forward' as const, ...this.#shown(added) };
      }
      case 'forward_remove': {
        const gone = this.#forwards.find(({ id }) => id === request.forward);
        if (!gone) throw fail('forward_not_found', 'no forwarded port has this number');
        this.#forwards = this.#forwards.filter((one) => one !== gone);
        this.around.changed();
        return { type: 'forward' as const, ...this.#shown(gone) };
      }
    }
  }

  #lan(): Lan {
    const { lan: enabled } = this.around.settings();
    const here = enabled && this.around.on();
    const links = here ? this.around.links() : 0;
    const interfaces = here ? this.#interfaces.map((one) => ({ ...one })) : [];
    const first = interfaces.find(({ state }) => state === 'active');
    if (first) first.links = links;
    return { enabled, links, max_links: LINKS_MAX, interfaces };
  }

  #trust(network: string, trusted: boolean): void {
    if (!this.#interfaces.some((one) => one.network === network)) {
      throw fail('network_not_found', 'no interface is connected to such a network now');
    }
    const state: LanState = trusted ? 'active' : 'refused';
    this.#interfaces = this.#interfaces.map((one) =>
      one.network === network ? { ...one, state } : one,
    );
    this.around.changed();
  }

  #transit(): Transit {
    const { transit: setting, save_on_battery, save_on_metered } = this.around.settings();
    const metered = this.scenario.saving === 'metered';
    const battery = this.scenario.saving === 'battery';
    const reason =
      metered && save_on_metered ? 'metered' : battery && save_on_battery ? 'battery' : null;
    const saving = setting === 'leaf' ? null : reason;
    const mode = saving === null ? setting : 'leaf';
    const rate = this.around.connected() && mode !== 'leaf' ? RATE : 0;
    return { setting, mode, saving, bytes: this.#carried, rate, metered, battery };
  }

  #gateway(): Gateway {
    const { gateway_socks, gateway_http } = this.around.settings();
    const forwards = this.#forwards;
    const user_space = this.scenario.gateway === 'user_space';
    return {
      user_space,
      socks: this.#listener('socks', gateway_socks),
      http: this.#listener('http', gateway_http),
      dns: user_space ? this.#listener('dns', '127.0.0.1:5380') : null,
      forwards: forwards.length,
      connections: forwards.reduce((sum, one) => sum + this.#shown(one).connections, 0),
    };
  }

  #listener(scheme: string, address: string | null): ListenerStatus | null {
    if (address === null) return null;
    const taken = address === TAKEN;
    const message = 'the address is in use';
    const last_error = taken ? { code: 'address_in_use', message, at: this.around.now() } : null;
    return { uri: `${scheme}://${address}`, up: this.around.on() && !taken, last_error };
  }

  #shown(forward: Forward): Forward {
    return this.around.on() ? forward : { ...forward, up: false, connections: 0 };
  }

  #add(rule: ForwardRule): Forward {
    const here = rule.way === 'out' ? rule.listen : rule.target;
    if (!/^(127(\.\d+){3}|\[::1\]):\d+$/.test(here)) {
      throw fail('invalid_forward', 'this computer’s side must be a loopback address');
    }
    const same = (one: Forward) =>
      one.rule.way === rule.way &&
      one.rule.protocol === rule.protocol &&
      one.rule.listen === rule.listen;
    if (this.#forwards.some(same)) {
      throw fail('forward_exists', `${rule.listen} is forwarded already`);
    }
    if (this.#forwards.length >= FORWARDS_MAX) {
      throw fail('forward_limit', `${FORWARDS_MAX} ports are forwarded already`);
    }
    if (rule.way === 'out' && rule.listen === TAKEN) {
      throw fail('cannot_listen', `cannot listen on ${rule.listen}: address in use`);
    }
    const added = forward(this.#next++, rule, {});
    this.#forwards = [...this.#forwards, added];
    return added;
  }
}

function interfacesOf({ lan }: Scenario): LanInterface[] {
  const wifi: LanState = lan === 'asked' || lan === 'every' ? 'unknown' : 'active';
  const usual = [
    face('eth0', '0b5e7f21a9c3d684', 'active'),
    { ...face('wlan0', WIFI, wifi), wireless: true, label: 'Harbour Cafe' },
  ];
  if (lan !== 'every') return usual;
  return [
    face('docker0', '2a1190cc5b7e40d3', 'excluded'),
    ...usual,
    face('wlan1', '77e0c2d9a1b34f58', 'refused', 'Airport Free Wi-Fi'),
    face('wwan0', null, 'unknown'),
    face('eth1', '90ab12cd34ef5678', 'failed'),
  ];
}

function face(
  name: string,
  network: string | null,
  state: LanState,
  label: string | null = null,
): LanInterface {
  return { name, wireless: name.startsWith('w'), network, label, state, links: 0 };
}

function forward(id: number, rule: ForwardRule, more: Partial<Forward>): Forward {
  const still = { up: true, connections: 0, rx_bytes: 0, tx_bytes: 0, last_error: null };
  return { id, rule, ...still, ...more };
}

const FORWARDS: Forward[] = [
  forward(
    1,
    {
      way: 'out',
      protocol: 'tcp',
      listen: '127.0.0.1:8888',
      target: 'home-server.pln.internal:80',
    },
    { connections: 2, rx_bytes: 18_400_000, tx_bytes: 1_310_000 },
  ),
  forward(
    2,
    { way: 'in', protocol: 'tcp', listen: '8000', target: '127.0.0.1:3000' },
    { connections: 1, rx_bytes: 402_000, tx_bytes: 7_950_000 },
  ),
  forward(
    3,
    { way: 'out', protocol: 'udp', listen: '127.0.0.1:5353', target: 'ada.pln.internal:5353' },
    {
      up: false,
      last_error: {
        code: 'address_in_use',
        message: 'the address is in use',
        at: START - 40,
      },
    },
  ),
];
