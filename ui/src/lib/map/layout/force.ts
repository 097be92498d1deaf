/* eslint-disable @typescript-eslint/no-non-null-assertion -- indices stay within their arrays */

// The network as springs: linked nodes pull each other, all nodes push each other away. Runs step by
// step, in a worker (`force.worker.ts`), and says where the nodes are now and then. The same input
// leads to the same picture.

import {
  forceCollide,
  forceLink,
  forceManyBody,
  forceSimulation,
  forceX,
  forceY,
  type Simulation,
  type SimulationLinkDatum,
  type SimulationNodeDatum,
} from 'd3-force';

/** What the worker is asked to lay out. */
export interface ForceInput {
  /** Number of the question; answers carry it, so that late ones are known. */
  job: number;
  /** Where the nodes start. */
  x: Float32Array;
  y: Float32Array;
  from: Uint32Array;
  to: Uint32Array;
  /** Whether the nodes come from a force layout: they are near their places already. */
  warm: boolean;
}

/** Where the nodes are after some steps. */
export interface ForceOutput {
  job: number;
  x: Float32Array;
  y: Float32Array;
  done: boolean;
}

interface Body extends SimulationNodeDatum {
  x: number;
  y: number;
}

/** Steps until the picture stands still; big graphs get fewer, so that no answer takes minutes. */
export function stepsFor(count: number): number {
  return count <= 500 ? 300 : count <= 2_500 ? 200 : 120;
}

/** A simulation that is advanced by hand. */
export class ForceRun {
  private readonly simulation: Simulation<Body, undefined>;
  private readonly bodies: Body[];
  private left: number;

  constructor(private readonly input: ForceInput) {
    const count = input.x.length;
    // A radial picture is wider than what the springs will make of it.
    const scale = input.warm ? 1 : 0.5;
    this.bodies = Array.from(input.x, (x, i) => ({ x: x * scale, y: input.y[i]! * scale }));
    // You stay in the middle.
    if (count > 0) Object.assign(this.bodies[0]!, { x: 0, y: 0, fx: 0, fy: 0 });
    this.left = stepsFor(count);
    const links: SimulationLinkDatum<Body>[] = Array.from(input.from, (from, e) => ({
      source: this.bodies[from]!,
      target: this.bodies[input.to[e]!]!,
    }));
    const big = count > 2_500;
    this.simulation = forceSimulation(this.bodies)
      .stop()
      .alpha(input.warm ? 0.25 : 1)
      .alphaDecay(1 - Math.pow(0.001, 1 / this.left))
      .velocityDecay(0.35)
      .force(
        'link',
        forceLink<Body, SimulationLinkDatum<Body>>(links)
          .distance(count > 300 ? 26 : 54)
          .iterations(big ? 1 : 2),
      )
      .force(
        'push',
        forceManyBody<Body>()
          .strength(count > 300 ? -42 : -160)
          .theta(big ? 1.2 : 0.9)
          .distanceMax(count > 300 ? 700 : 1_200),
      )
      .force('x', forceX<Body>(0).strength(0.025))
      .force('y', forceY<Body>(0).strength(0.035));
    if (!big) this.simulation.force('apart', forceCollide<Body>(count > 300 ? 6 : 14));
  }

  get done(): boolean {
    return this.left <= 0;
  }

  /** Goes one step further. */
  step(): void {
    if (this.left <= 0) return;
    this.simulation.tick();
    this.left -= 1;
  }

  /** Where the nodes are. Numbers that are none, which rubbish may lead to, stay at the start. */
  positions(): ForceOutput {
    const { job, x: startX, y: startY } = this.input;
    const x = Float32Array.from(this.bodies, (b, i) => (Number.isFinite(b.x) ? b.x : startX[i]!));
    const y = Float32Array.from(this.bodies, (b, i) => (Number.isFinite(b.y) ? b.y : startY[i]!));
    return { job, x, y, done: this.done };
  }
}
