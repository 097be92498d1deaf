// The map alone, moved by a script. `measure/map.mjs` asks for pictures and frame rates.

import '../../src/base.css';
import { buildGraph, Flag } from '../../src/lib/map/model';
import { routeTo } from '../../src/lib/map/route';
import { buildScene, type Scene } from '../../src/lib/map/scene';
import type { LayoutName } from '../../src/lib/map/layout';
import { Stage } from '../../src/lib/map/stage';
import { skyOf } from '../../src/lib/map/testing/skies';

interface Wish {
  count: number;
  layout: LayoutName;
  /** Whether everything is shown, beyond what the app shows at once. */
  all?: boolean;
}

const canvas = document.querySelector('canvas');
if (!canvas) throw new Error('no canvas');
const nothing = (): void => undefined;
const stage = new Stage(
  canvas,
  canvas,
  { select: nothing, hover: nothing, focus: nothing, open: nothing },
  {
    nameOf: (scene, n) => {
      const input = scene.graph.nodes[scene.visible.nodes[n] ?? 0];
      if ((scene.flags[n] ?? 0) & Flag.self) return { text: 'You', isName: true };
      if (!input) return null;
      if (input.name) return { text: input.name, isName: true };
      const groups = input.address.split(':');
      return { text: `${groups.slice(0, 2).join(':')}…${groups.at(-1) ?? ''}`, isName: false };
    },
    hiddenText: (count) => `+${count}`,
    ringText: (step) => (step === 1 ? '1 hop' : `${step} hops`),
  },
);

function resize(): void {
  stage.resize({ width: innerWidth, height: innerHeight }, devicePixelRatio);
}
addEventListener('resize', resize);
resize();

const frame = (): Promise<number> => new Promise((resolve) => requestAnimationFrame(resolve));

let scene: Scene | null = null;

const map = {
  /** Shows a network; returns the milliseconds from the data to the first picture. */
  async show({ count, layout, all }: Wish): Promise<number> {
    const sky = skyOf(count);
    await frame();
    const start = performance.now();
    scene = buildScene(buildGraph(sky), { layout, ...(all ? { budget: Infinity } : {}) });
    stage.setScene(scene);
    stage.select(null);
    stage.setRoute([]);
    stage.fit(false);
    resize();
    const took = performance.now() - start;
    await frame();
    return took;
  },

  /** Waits until nothing moves; in a force layout, until the springs are at rest. */
  async settle(): Promise<void> {
    let still = 0;
    const start = performance.now();
    while (still < 20 && performance.now() - start < 30_000) {
      await frame();
      still = stage.atRest ? still + 1 : 0;
    }
  },

  /** Highlights the way to a node far away. */
  route(): void {
    if (!scene) return;
    const { depth, nodes } = scene.visible;
    const far = depth.indexOf(Math.max(...depth));
    const way = routeTo(scene.graph, nodes[far] ?? 0) ?? [];
    const keys = way.map((node) => scene?.graph.keys[node] ?? '');
    stage.select(keys.at(-1) ?? null);
    stage.setRoute(keys);
  },

  busy(): void {
    const { graph } = scene ?? {};
    if (!graph) return;
    const busy = new Map<string, number>();
    graph.flags.forEach((flags, n) => {
      if (flags & (Flag.peer | Flag.session)) busy.set(graph.keys[n] ?? '', (n % 5) / 4);
    });
    stage.setBusy(busy);
  },

  zoom(factor: number): void {
    stage.zoom(factor);
  },

  appearance(name: string): void {
    document.documentElement.dataset['appearance'] = name;
    stage.refreshTheme();
  },

  /** Pans and zooms for a while; returns pictures per second and how long drawing took. */
  async measure(seconds: number): Promise<{ fps: number; draw: number; worst: number }> {
    stage.fit(false);
    await frame();
    const start = performance.now();
    const draws: number[] = [];
    let frames = 0;
    let worst = 0;
    let last = start;
    for (let now = start; now - start < seconds * 1_000; now = performance.now()) {
      const turn = (now - start) / 1_000;
      stage.panBy(Math.cos(turn * 2) * 6, Math.sin(turn * 2) * 6);
      stage.zoom(1 + Math.sin(turn * 2.4) * 0.02);
      await frame();
      frames += 1;
      draws.push(stage.lastDraw.took);
      worst = Math.max(worst, performance.now() - last);
      last = performance.now();
    }
    draws.sort((a, b) => a - b);
    return {
      fps: (frames * 1_000) / (performance.now() - start),
      draw: draws[Math.floor(draws.length / 2)] ?? 0,
      worst,
    };
  },
};

Object.assign(window, { map });
