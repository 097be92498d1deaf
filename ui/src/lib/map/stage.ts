/* eslint-disable @typescript-eslint/no-non-null-assertion -- indices stay within their arrays */

// The map on its canvas: what is shown, from where, and what pointer and keys do to it. Knows
// nothing of Svelte. Draws when something changed and sleeps otherwise: no loop runs at rest.

import type { ForceInput, ForceOutput } from './layout/force';
import { Quadtree } from './hit';
import { radiusOf, Renderer, type Frame } from './render';
import { keyOf, sceneNode, walkOrder, type Scene } from './scene';
import { readTheme, type Theme } from './theme';
import {
  aside,
  between,
  boundsOf,
  easeOut,
  fit,
  HOME,
  keepNear,
  NO_INSETS,
  pan,
  toPlane,
  toScreen,
  zoomAt,
  type Bounds,
  type Insets,
  type Point,
  type Size,
  type View,
} from './viewport';

const MOVE_MS = 250;
const ROUTE_MS = 250;
/** Pixels a press may wander and still be a click. */
const CLICK_PX = 4;
/** Half the size of a target, in pixels, at least. */
const TARGET_PX = 13;
const PIXELS_MAX = 6_000_000;
/** How far a fit reaches to the emptier side of you, as a part of the fuller side. */
const EVEN = 0.6;
const KEY_PAN_PX = 60;
const KEY_ZOOM = 1.3;

/** What the stage tells. */
export interface StageEvents {
  select(key: string | null): void;
  hover(key: string | null, at: Point | null): void;
  focus(key: string | null): void;
  open(key: string): void;
}

/** Words for the canvas. */
export type StageWords = Pick<Frame, 'hiddenText' | 'ringText'> & {
  nameOf(scene: Scene, node: number): { text: string; isName: boolean } | null;
};

/** An interpolation that runs from a moment on. */
interface Motion<T> {
  readonly from: T;
  readonly to: T;
  readonly start: number;
}

interface Places {
  readonly x: Float32Array;
  readonly y: Float32Array;
}

export class Stage {
  private readonly renderer: Renderer;
  private theme: Theme;
  private scene: Scene | null = null;
  private at: Places = { x: new Float32Array(0), y: new Float32Array(0) };
  private move: Motion<Places> | null = null;
  private view: View = HOME;
  private flight: Motion<View> | null = null;
  private size: Size = { width: 0, height: 0 };
  private insets: Insets = NO_INSETS;
  private ratio = 1;
  /** Whether the picture is to show everything until somebody moves it. */
  private following = true;
  private tree: Quadtree | null = null;
  private selectedKey: string | null = null;
  private hovered = -1;
  private walk: number[] | null = null;
  private focusedKey: string | null = null;
  private routeKeys: readonly string[] = [];
  private routeStart = 0;
  private busyByKey: ReadonlyMap<string, number> = new Map();
  private frame = 0;
  private worker: Worker | null = null;
  private job = 0;
  /** Whether springs are being relaxed. */
  private working = false;
  private readonly pointers = new Map<number, Point>();
  private pressed: { at: Point; moved: boolean } | null = null;
  private readonly abort = new AbortController();
  /** When the last picture was drawn, and how long that took, in milliseconds. */
  lastDraw = { at: 0, took: 0 };

  constructor(
    private readonly canvas: HTMLCanvasElement,
    /** What takes pointer, keys and focus; the canvas fills it. */
    private readonly surface: HTMLElement,
    private readonly events: StageEvents,
    private words: StageWords,
    private readonly calm: () => boolean = () =>
      matchMedia('(prefers-reduced-motion: reduce)').matches,
  ) {
    // Asks for a canvas in plain memory. WebKitGTK draws paths twice as fast on it, and where there
    // is a graphics card the processor is still fast enough (`measure/map.mjs`).
    const ctx = canvas.getContext('2d', { alpha: false, willReadFrequently: true });
    if (!ctx) throw new Error('no canvas');
    this.renderer = new Renderer(ctx);
    this.theme = readTheme(surface);
    this.listen();
  }

  destroy(): void {
    this.abort.abort();
    cancelAnimationFrame(this.frame);
    this.worker?.terminate();
    this.worker = null;
  }

  // What is shown.

  setScene(scene: Scene): void {
    const before = this.scene;
    const from = before ? carry(before, this.at, scene) : null;
    this.scene = scene;
    this.walk = null;
    this.hovered = -1;
    if (before?.layout !== scene.layout) this.following = true;
    const relaxed = before?.layout === 'force' ? from : null;
    if (scene.layout === 'force' && before && relaxed && sameShape(before, scene)) {
      // The springs are at rest, or about to be: nobody came or went.
      this.jump(relaxed);
    } else if (scene.layout === 'force') {
      this.startForce(scene, relaxed);
      if (relaxed) this.jump(relaxed);
      else this.moveTo(from, scene.positions);
    } else {
      this.job += 1;
      this.working = false;
      this.moveTo(from, scene.positions);
    }
    if (scene.layout !== 'force') this.follow();
  }

  setWords(words: StageWords): void {
    this.words = words;
    this.draw();
  }

  select(key: string | null): void {
    this.selectedKey = key;
    this.draw();
  }

  /** Highlights a way, by the keys of its nodes. */
  setRoute(keys: readonly string[]): void {
    if (keys.join() === this.routeKeys.join()) return;
    this.routeKeys = keys;
    this.routeStart = performance.now();
    this.draw();
  }

  /** How busy the links and sessions with nodes are, 0 to 1, by key. */
  setBusy(busy: ReadonlyMap<string, number>): void {
    this.busyByKey = busy;
    this.draw();
  }

  refreshTheme(): void {
    this.theme = readTheme(this.surface);
    this.renderer.reset();
    this.draw();
  }

  resize(size: Size, ratio: number): void {
    this.size = size;
    // Pixels are drawn one by one by the processor; beyond so many, the picture gets coarser.
    this.ratio = Math.min(ratio, Math.sqrt(PIXELS_MAX / Math.max(1, size.width * size.height)));
    const width = Math.round(size.width * this.ratio);
    const height = Math.round(size.height * this.ratio);
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    if (this.following) this.fit(false);
    // At once, for a canvas that changed its size is blank.
    this.paint();
  }

  setInsets(insets: Insets): void {
    this.insets = insets;
    this.follow();
  }

  // Where it is looked at from.

  fit(animated = true): void {
    this.following = true;
    const target = this.move?.to ?? this.at;
    this.fly(fit(this.bounds(target), this.size, this.insets), animated);
  }

  /** What a fit shows: everything, and you near the middle of it. */
  private bounds({ x, y }: Places): Bounds {
    const bounds = boundsOf(x, y);
    if (this.scene?.layout !== 'radial') return bounds;
    const { left, top, right, bottom } = bounds;
    return {
      left: Math.min(left, -right * EVEN),
      top: Math.min(top, -bottom * EVEN),
      right: Math.max(right, -left * EVEN),
      bottom: Math.max(bottom, -top * EVEN),
    };
  }

  zoom(factor: number, at?: Point, animated = false): void {
    this.following = false;
    const middle = {
      x: (this.size.width + this.insets.left - this.insets.right) / 2,
      y: (this.size.height + this.insets.top - this.insets.bottom) / 2,
    };
    this.fly(zoomAt(this.flight?.to ?? this.view, this.size, at ?? middle, factor), animated);
  }

  panBy(dx: number, dy: number, animated = false): void {
    this.following = false;
    const target = this.move?.to ?? this.at;
    const view = pan(this.flight?.to ?? this.view, dx, dy);
    this.fly(keepNear(view, boundsOf(target.x, target.y)), animated);
  }

  /** Brings a node to the middle, near enough to be read. */
  centre(key: string): void {
    const scene = this.scene;
    const node = scene ? sceneNode(scene, key) : -1;
    if (node < 0) return;
    this.following = false;
    const target = this.move?.to ?? this.at;
    const k = Math.max(this.view.k, 0.9);
    this.fly(aside({ x: target.x[node]!, y: target.y[node]!, k }, this.insets), true);
  }

  /** Moves the picture only if the node is not in sight. */
  reveal(key: string): void {
    const node = this.scene ? sceneNode(this.scene, key) : -1;
    if (node < 0) return;
    const target = this.move?.to ?? this.at;
    const place = { x: target.x[node]!, y: target.y[node]! };
    const { x, y } = toScreen(this.flight?.to ?? this.view, this.size, place);
    const { top, right, bottom, left } = this.insets;
    const margin = 40;
    const seen =
      x > left + margin &&
      x < this.size.width - right - margin &&
      y > top + margin &&
      y < this.size.height - bottom - margin;
    if (!seen) this.centre(key);
  }

  /** Where a node is on the canvas, for what is laid over it. */
  screenOf(key: string): Point | null {
    const node = this.scene ? sceneNode(this.scene, key) : -1;
    if (node < 0) return null;
    return toScreen(this.view, this.size, { x: this.at.x[node]!, y: this.at.y[node]! });
  }

  get currentView(): View {
    return this.view;
  }

  /** Whether nothing moves and nothing is waiting to be drawn. */
  get atRest(): boolean {
    return this.frame === 0 && !this.working;
  }

  private follow(): void {
    if (this.following) this.fit(this.size.width > 0);
    else this.draw();
  }

  private fly(to: View, animated: boolean): void {
    const far = Math.abs(Math.log(to.k / this.view.k)) > 1e-4 || distance(to, this.view) > 0.5;
    if (animated && far && !this.calm()) {
      this.flight = { from: this.view, to, start: performance.now() };
    } else {
      this.flight = null;
      this.view = to;
    }
    this.draw();
  }

  private moveTo(from: Places | null, to: Places): void {
    this.tree = null;
    if (from && !this.calm() && !alike(from, to)) {
      this.at = { x: from.x.slice(), y: from.y.slice() };
      this.move = { from, to, start: performance.now() };
    } else this.jump(to);
    this.draw();
  }

  private jump(to: Places): void {
    this.move = null;
    this.at = to;
    this.tree = null;
    this.draw();
  }

  // The force layout.

  private startForce(scene: Scene, from: Places | null): void {
    this.worker ??= this.startWorker();
    this.job += 1;
    this.working = true;
    const start = from ?? scene.positions;
    const { branches, twigs, cross, direct, arcs } = scene;
    const input: ForceInput = {
      job: this.job,
      x: start.x,
      y: start.y,
      from: join(branches.from, twigs.from, cross.from, direct.from, arcs.from),
      to: join(branches.to, twigs.to, cross.to, direct.to, arcs.to),
      warm: from !== null,
    };
    this.worker.postMessage(input);
  }

  private startWorker(): Worker {
    // In one expression, for the bundler looks for just that.
    const worker = new Worker(new URL('./layout/force.worker.ts', import.meta.url), {
      type: 'module',
    });
    worker.addEventListener('message', ({ data }: MessageEvent<ForceOutput>) => {
      if (data.job !== this.job || this.scene?.layout !== 'force') return;
      if (data.x.length !== this.scene.visible.nodes.length) return;
      this.working = !data.done;
      // Whoever wants no motion sees the end of it only.
      if (this.calm() && !data.done) return;
      this.moveTo(this.at, data);
      this.follow();
    });
    return worker;
  }

  // Pictures.

  private draw(): void {
    if (this.frame === 0) {
      this.frame = requestAnimationFrame(() => {
        this.frame = 0;
        this.paint();
      });
    }
  }

  private paint(): void {
    const { scene } = this;
    if (!scene || this.size.width === 0) return;
    const now = performance.now();
    this.advance(now);
    const nodeOf = (key: string | null): number => sceneNode(scene, key);
    const route = this.routeKeys.map(nodeOf).filter((node) => node >= 0);
    const routeShare = this.calm() ? 1 : Math.min(1, (now - this.routeStart) / ROUTE_MS);
    const busy = new Map<number, number>();
    for (const [key, share] of this.busyByKey) {
      const node = nodeOf(key);
      if (node >= 0) busy.set(node, share);
    }
    this.renderer.draw(
      {
        scene,
        x: this.at.x,
        y: this.at.y,
        view: this.view,
        size: this.size,
        theme: this.theme,
        selected: nodeOf(this.selectedKey),
        hovered: this.hovered,
        focused: nodeOf(this.focusedKey),
        route,
        routeShare,
        busy,
        nameOf: (node) => this.words.nameOf(scene, node),
        hiddenText: (count) => this.words.hiddenText(count),
        ringText: (step) => this.words.ringText(step),
      },
      this.ratio,
    );
    this.lastDraw = { at: now, took: performance.now() - now };
    if (this.move || this.flight || (route.length > 1 && routeShare < 1)) this.draw();
  }

  private advance(now: number): void {
    if (this.move) {
      const { from, to, start } = this.move;
      const share = Math.min(1, (now - start) / MOVE_MS);
      if (share >= 1) {
        this.at = to;
        this.move = null;
      } else {
        const part = easeOut(Math.max(0, share));
        const { x, y } = this.at;
        for (let n = 0; n < x.length; n += 1) {
          x[n] = from.x[n]! + (to.x[n]! - from.x[n]!) * part;
          y[n] = from.y[n]! + (to.y[n]! - from.y[n]!) * part;
        }
      }
      this.tree = null;
    }
    if (this.flight) {
      const { from, to, start } = this.flight;
      const share = Math.min(1, (now - start) / MOVE_MS);
      this.view = share >= 1 ? to : between(from, to, easeOut(Math.max(0, share)));
      if (share >= 1) this.flight = null;
    }
  }

  // Pointer.

  private listen(): void {
    const { signal } = this.abort;
    const on = <K extends keyof HTMLElementEventMap>(
      name: K,
      handle: (event: HTMLElementEventMap[K]) => void,
      passive = true,
    ): void => this.surface.addEventListener(name, handle, { signal, passive });
    on('pointerdown', (event) => this.pointerDown(event));
    on('pointermove', (event) => this.pointerMove(event));
    on('pointerup', (event) => this.pointerUp(event));
    on('pointercancel', (event) => this.pointerUp(event));
    on('pointerleave', () => this.hover(-1, null));
    on('wheel', (event) => this.wheel(event), false);
    on('dblclick', (event) => this.zoom(2, this.pointOf(event), true));
    on('keydown', (event) => this.key(event), false);
    on('blur', () => this.focusOn(null));
  }

  private pointOf(event: MouseEvent): Point {
    const box = this.canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  }

  private pointerDown(event: PointerEvent): void {
    if (event.button !== 0) return;
    this.surface.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, this.pointOf(event));
    this.pressed = { at: this.pointOf(event), moved: this.pointers.size > 1 };
  }

  private pointerMove(event: PointerEvent): void {
    const now = this.pointOf(event);
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.hover(this.nodeAt(now), now);
      return;
    }
    const others = [...this.pointers].filter(([id]) => id !== event.pointerId);
    this.pointers.set(event.pointerId, now);
    const [other] = others;
    if (other) {
      const [, still] = other;
      const factor = distance(now, still) / Math.max(1, distance(before, still));
      const middle = { x: (now.x + still.x) / 2, y: (now.y + still.y) / 2 };
      this.zoom(factor, middle);
      this.panBy((now.x - before.x) / 2, (now.y - before.y) / 2);
      return;
    }
    const { pressed } = this;
    if (!pressed) return;
    if (!pressed.moved && distance(now, pressed.at) < CLICK_PX) return;
    // The first step makes up for the pixels that were waited for.
    const start = pressed.moved ? before : pressed.at;
    pressed.moved = true;
    this.surface.style.cursor = 'grabbing';
    this.panBy(now.x - start.x, now.y - start.y);
  }

  private pointerUp(event: PointerEvent): void {
    this.pointers.delete(event.pointerId);
    const { pressed } = this;
    if (this.pointers.size > 0) return;
    this.pressed = null;
    this.surface.style.cursor = '';
    if (!pressed || pressed.moved || event.type === 'pointercancel') return;
    const point = this.pointOf(event);
    const scene = this.scene;
    if (!scene) return;
    const badge = this.renderer.pressable.find(
      ({ box }) =>
        point.x >= box.left - 2 &&
        point.x <= box.right + 2 &&
        point.y >= box.top - 4 &&
        point.y <= box.bottom + 4,
    );
    const node = this.nodeAt(point);
    if (badge && badge.node !== node) this.events.open(keyOf(scene, badge.node));
    else this.events.select(node < 0 ? null : keyOf(scene, node));
  }

  private wheel(event: WheelEvent): void {
    event.preventDefault();
    const unit = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? this.size.height : 1;
    const delta = Math.max(-240, Math.min(240, event.deltaY * unit));
    this.zoom(Math.exp(-delta * (event.ctrlKey ? 0.01 : 0.0018)), this.pointOf(event));
  }

  /** The node at a point of the canvas, -1 if there is none. */
  nodeAt(point: Point): number {
    const { scene } = this;
    if (!scene || scene.visible.nodes.length === 0) return -1;
    this.tree ??= new Quadtree(this.at.x, this.at.y);
    const place = toPlane(this.view, this.size, point);
    const near = this.tree.nearest(place.x, place.y, TARGET_PX / this.view.k);
    // You are large, and in the middle of a crowd when the whole sky is shown.
    const { self } = scene;
    if (self >= 0 && near !== self) {
      const mine = toScreen(this.view, this.size, { x: this.at.x[self]!, y: this.at.y[self]! });
      if (distance(mine, point) <= radiusOf(scene, self, this.view.k)) return self;
    }
    return near;
  }

  private hover(node: number, at: Point | null): void {
    const { scene } = this;
    if (node === this.hovered && node < 0) return;
    const changed = node !== this.hovered;
    this.hovered = node;
    this.surface.style.cursor = node >= 0 ? 'pointer' : '';
    this.events.hover(scene && node >= 0 ? keyOf(scene, node) : null, node >= 0 ? at : null);
    if (changed) this.draw();
  }

  // Keys.

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (this.act(event.key, event.shiftKey)) event.preventDefault();
  }

  private act(key: string, shift: boolean): boolean {
    const moves: Record<string, readonly [number, number]> = {
      ArrowLeft: [KEY_PAN_PX, 0],
      ArrowRight: [-KEY_PAN_PX, 0],
      ArrowUp: [0, KEY_PAN_PX],
      ArrowDown: [0, -KEY_PAN_PX],
    };
    const by = moves[key];
    if (by) this.panBy(by[0], by[1], true);
    else if (key === '+' || key === '=') this.zoom(KEY_ZOOM, undefined, true);
    else if (key === '-' || key === '_') this.zoom(1 / KEY_ZOOM, undefined, true);
    else if (key === '0') this.fit();
    else if (key === 'Home' && this.scene) this.centre(keyOf(this.scene, this.scene.self));
    else if (key === 'Tab') return this.step(shift ? -1 : 1);
    else if ((key === 'Enter' || key === ' ') && this.focusedKey) {
      this.events.select(this.focusedKey);
    } else if (key === 'Escape' && (this.focusedKey ?? this.selectedKey)) {
      if (this.focusedKey) this.focusOn(null);
      else this.events.select(null);
    } else return false;
    return true;
  }

  /** Goes to the next node; says whether there is one, else the focus leaves the map. */
  private step(by: number): boolean {
    const { scene } = this;
    if (!scene) return false;
    this.walk ??= walkOrder(scene);
    const now = this.walk.indexOf(sceneNode(scene, this.focusedKey));
    // Backwards out of the map, when no node has the focus.
    if (now < 0 && by < 0) return false;
    const next = this.walk[now + by];
    if (next === undefined) {
      this.focusOn(null);
      return false;
    }
    this.focusOn(keyOf(scene, next));
    return true;
  }

  private focusOn(key: string | null): void {
    if (key === this.focusedKey) return;
    this.focusedKey = key;
    if (key) this.reveal(key);
    this.events.focus(key);
    this.draw();
  }
}

/** Where the nodes of the next scene come from: their old place, or that of whom they hang below. */
function carry(before: Scene, old: Places, next: Scene): Places {
  const count = next.visible.nodes.length;
  const x = new Float32Array(count);
  const y = new Float32Array(count);
  for (let n = 0; n < count; n += 1) {
    const was = sceneNode(before, keyOf(next, n));
    const up = next.visible.up[n]!;
    x[n] = was >= 0 ? old.x[was]! : up >= 0 ? x[up]! : next.positions.x[n]!;
    y[n] = was >= 0 ? old.y[was]! : up >= 0 ? y[up]! : next.positions.y[n]!;
  }
  return { x, y };
}

/** Whether two scenes hold the same nodes in the same order, and the same edges between them. */
function sameShape(a: Scene, b: Scene): boolean {
  if (a.visible.nodes.length !== b.visible.nodes.length) return false;
  for (let n = 0; n < a.visible.nodes.length; n += 1) if (keyOf(a, n) !== keyOf(b, n)) return false;
  const ends = (scene: Scene): Uint32Array[] =>
    [scene.branches, scene.twigs, scene.cross, scene.direct, scene.arcs].flatMap((bundle) => [
      bundle.from,
      bundle.to,
    ]);
  const others = ends(b);
  return ends(a).every((list, i) => {
    const other = others[i]!;
    return list.length === other.length && list.every((end, e) => end === other[e]);
  });
}

function alike(a: Places, b: Places): boolean {
  if (a.x.length !== b.x.length) return false;
  for (let n = 0; n < a.x.length; n += 1) {
    if (Math.abs(a.x[n]! - b.x[n]!) + Math.abs(a.y[n]! - b.y[n]!) > 0.25) return false;
  }
  return true;
}

function join(...lists: readonly Uint32Array[]): Uint32Array {
  return Uint32Array.from(lists.flatMap((list) => [...list]));
}

function distance(a: Point, b: Point): number {
  return Math.hypot(a.x - b.x, a.y - b.y);
}
