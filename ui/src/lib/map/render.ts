/* eslint-disable @typescript-eslint/no-non-null-assertion -- indices stay within their arrays */

// Draws a scene. One path for every look, not one for every line: without a graphics card the
// number of strokes is what costs. What is outside the canvas is left out, and so is what would be
// smaller than a dot.

import { placeLabels, type Box, type Label, type LabelWish, type Side } from './labels';
import { Flag } from './model';
import type { Bundle, Scene } from './scene';
import { shadeOf, type Theme } from './theme';
import type { Size, View } from './viewport';

/** What is to be seen in one picture. */
export interface Frame {
  readonly scene: Scene;
  /** Where the nodes are at this moment. */
  readonly x: Float32Array;
  readonly y: Float32Array;
  readonly view: View;
  readonly size: Size;
  readonly theme: Theme;
  /** Nodes of the scene, -1 for none. */
  readonly selected: number;
  readonly hovered: number;
  readonly focused: number;
  /** The way that is highlighted, nodes of the scene from this node on. */
  readonly route: readonly number[];
  /** How much of the way is drawn, 0 to 1. */
  readonly routeShare: number;
  /** How busy the link or session with a node is, 0 to 1. */
  readonly busy: ReadonlyMap<number, number>;
  /** Name of a node, or `null` to show its address. */
  nameOf(node: number): { text: string; isName: boolean } | null;
  /** "312 more", short. */
  hiddenText(count: number): string;
  /** "1 hop", "2 hops". */
  ringText(step: number): string;
}

/** What can be pressed in the picture beside the nodes. */
export interface Pressable {
  readonly node: number;
  readonly box: Box;
}

/** Most arcs drawn; dashes are slow, and more could not be told apart. */
const ARCS_MAX = 240;
/** Up to so many edges in sight, lines are curved. */
const CURVES_MAX = 700;
/** Most counts of hidden nodes on the canvas. */
const BADGES_MAX = 28;
/** Up to so many nodes, each is drawn larger and wants its label sooner. */
const FEW = 120;
/** Dots with a smaller radius than this are squares. */
const SQUARE_PX = 1.4;
const DOTS_IN_PATH = 16;
const TAU = Math.PI * 2;

/** Sizes of plain nodes by the number of their neighbours. */
const STARS = [
  { degree: 0, radius: 2.4 },
  { degree: 3, radius: 3.1 },
  { degree: 8, radius: 4 },
  { degree: 20, radius: 5.2 },
] as const;

interface Ring {
  readonly step: number;
  readonly radius: number;
}

interface Look {
  readonly radius: number;
  readonly zoomed: number;
}

function lookOf(flags: number, degree: number): Look {
  if (flags & Flag.self) return { radius: 9, zoomed: 0.72 };
  if (flags & Flag.peer) return { radius: 6, zoomed: 0.6 };
  if (flags & (Flag.root | Flag.friend)) return { radius: 6, zoomed: 0.6 };
  if (flags & Flag.session) return { radius: 5, zoomed: 0.55 };
  if (flags & Flag.standIn) return { radius: 1.8, zoomed: 0.4 };
  let radius: number = STARS[0].radius;
  for (const star of STARS) if (degree >= star.degree) radius = star.radius;
  if (flags & Flag.ancestor) radius = Math.max(radius, 4);
  return { radius, zoomed: 0.34 };
}

/** Radius of every node of a scene at zoom 1, and the least part of it that is left far away. */
interface Looks {
  readonly radius: Float32Array;
  readonly zoomed: Float32Array;
}

const looksOf = new WeakMap<Scene, Looks>();

function looks(scene: Scene): Looks {
  let known = looksOf.get(scene);
  if (!known) {
    const count = scene.visible.nodes.length;
    known = { radius: new Float32Array(count), zoomed: new Float32Array(count) };
    for (let n = 0; n < count; n += 1) {
      const { radius, zoomed } = lookOf(scene.flags[n]!, scene.degree[n]!);
      known.radius[n] = radius + (count <= FEW && radius < 6 ? 0.8 : 0);
      known.zoomed[n] = zoomed;
    }
    looksOf.set(scene, known);
  }
  return known;
}

/** Radius of a node in pixels at zoom `k`. */
export function radiusOf(scene: Scene, node: number, k: number): number {
  const { radius, zoomed } = looks(scene);
  return radius[node]! * Math.min(1.5, Math.max(zoomed[node]!, Math.sqrt(k)));
}

export class Renderer {
  private sx = new Float32Array(0);
  private sy = new Float32Array(0);
  private inside = new Uint8Array(0);
  private readonly widths = new Map<string, number>();
  private obstacles: Box[] = [];
  /** What can be pressed, as the last picture shows it. */
  pressable: Pressable[] = [];

  constructor(private readonly ctx: CanvasRenderingContext2D) {}

  /** Forgets what was measured with other fonts. */
  reset(): void {
    this.widths.clear();
  }

  draw(frame: Frame, ratio: number): void {
    const { ctx } = this;
    const { size, theme } = frame;
    this.place(frame);
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    ctx.globalAlpha = 1;
    ctx.fillStyle = theme.background;
    ctx.fillRect(0, 0, size.width, size.height);
    const calm = frame.route.length > 1 ? 0.45 : 1;
    this.obstacles = [];
    const named = this.rings(frame);
    this.faintEdges(frame, calm);
    this.arcs(frame, calm);
    this.ringNames(frame, named);
    this.directLinks(frame, calm);
    this.route(frame);
    this.nodes(frame, calm);
    this.marks(frame);
    this.labels(frame, calm);
    ctx.globalAlpha = 1;
  }

  /** Where every node is on the canvas. */
  private place({ scene, x, y, view, size }: Frame): void {
    const count = scene.visible.nodes.length;
    if (this.sx.length < count) {
      this.sx = new Float32Array(count);
      this.sy = new Float32Array(count);
      this.inside = new Uint8Array(count);
    }
    const [dx, dy] = [size.width / 2 - view.x * view.k, size.height / 2 - view.y * view.k];
    const margin = 16;
    for (let n = 0; n < count; n += 1) {
      const px = x[n]! * view.k + dx;
      const py = y[n]! * view.k + dy;
      this.sx[n] = px;
      this.sy[n] = py;
      this.inside[n] =
        px > -margin && py > -margin && px < size.width + margin && py < size.height + margin
          ? 1
          : 0;
    }
  }

  /** Whether nothing of a line between two nodes can be seen. */
  private outside(a: number, b: number, { width, height }: Size): boolean {
    if (this.inside[a] || this.inside[b]) return false;
    const [ax, ay, bx, by] = [this.sx[a]!, this.sy[a]!, this.sx[b]!, this.sy[b]!];
    return (
      (ax < 0 && bx < 0) ||
      (ay < 0 && by < 0) ||
      (ax > width && bx > width) ||
      (ay > height && by > height)
    );
  }

  /** Circles around you; returns those that are large enough to be named. */
  private rings(frame: Frame): Ring[] {
    const { ctx } = this;
    const { scene, view, size, theme } = frame;
    const { rings } = scene.positions;
    if (rings.length === 0) return [];
    const cx = size.width / 2 - view.x * view.k;
    const cy = size.height / 2 - view.y * view.k;
    const far = Math.hypot(
      Math.max(Math.abs(cx), Math.abs(size.width - cx)),
      Math.max(Math.abs(cy), Math.abs(size.height - cy)),
    );
    ctx.strokeStyle = theme.ring;
    ctx.lineWidth = 1;
    ctx.beginPath();
    let last = 0;
    const named: Ring[] = [];
    rings.forEach((ring, i) => {
      const radius = ring * view.k;
      if (radius - last < 16 || radius > far) return;
      last = radius;
      ctx.moveTo(cx + radius, cy);
      ctx.arc(cx, cy, radius, 0, TAU);
      if (radius > 44) named.push({ step: i + 1, radius });
    });
    ctx.stroke();
    return named;
  }

  private ringNames(frame: Frame, named: readonly Ring[]): void {
    const { ctx } = this;
    const { view, size, theme } = frame;
    const cx = size.width / 2 - view.x * view.k;
    const cy = size.height / 2 - view.y * view.k;
    ctx.globalAlpha = 1;
    ctx.font = `11px ${theme.font}`;
    ctx.textAlign = 'center';
    ctx.textBaseline = 'middle';
    let above = 0;
    for (const { step, radius } of named) {
      if (radius - above < 40) continue;
      above = radius;
      const text = frame.ringText(step);
      const y = cy + radius;
      if (y > size.height || y < 0) continue;
      const width = this.width(text, ctx.font) + 10;
      const box = { left: cx - width / 2, top: y - 7, right: cx + width / 2, bottom: y + 7 };
      this.obstacles.push(box);
      ctx.fillStyle = theme.background;
      ctx.fillRect(cx - width / 2, y - 7, width, 14);
      ctx.globalAlpha = 0.75;
      ctx.fillStyle = theme.muted;
      ctx.fillText(text, cx, y);
      ctx.globalAlpha = 1;
    }
  }

  /** Adds a line between two nodes to the path, bent the way the layout grows. */
  private trace(a: number, b: number, frame: Frame, curved: boolean): void {
    const { ctx, sx, sy } = this;
    const [ax, ay, bx, by] = [sx[a]!, sy[a]!, sx[b]!, sy[b]!];
    ctx.moveTo(ax, ay);
    if (!curved || frame.scene.layout === 'force') {
      ctx.lineTo(bx, by);
    } else if (frame.scene.layout === 'tree') {
      const middle = (ay + by) / 2;
      ctx.bezierCurveTo(ax, middle, bx, middle, bx, by);
    } else {
      // Leaves the inner node straight outwards.
      const cx = frame.size.width / 2 - frame.view.x * frame.view.k;
      const cy = frame.size.height / 2 - frame.view.y * frame.view.k;
      const [ra, rb] = [Math.hypot(ax - cx, ay - cy), Math.hypot(bx - cx, by - cy)];
      const [ix, iy, inner] = ra < rb ? [ax, ay, ra] : [bx, by, rb];
      if (inner < 1) ctx.lineTo(bx, by);
      else {
        const out = (ra + rb) / 2 / inner;
        ctx.quadraticCurveTo(cx + (ix - cx) * out, cy + (iy - cy) * out, bx, by);
      }
    }
  }

  private faintEdges(frame: Frame, calm: number): void {
    const { scene, view } = frame;
    const count = scene.branches.from.length + scene.twigs.from.length;
    const curved = count <= CURVES_MAX;
    // From afar, a crowd of lines says less than the points at their ends.
    const near = count <= CURVES_MAX ? 1 : Math.min(1, Math.max(0, (view.k - 0.15) / 0.75));
    const crowd = count > CURVES_MAX;
    // Lines of the tree run side by side and need more ink than those that spread out.
    const ink = scene.layout === 'tree' ? 0.2 : 0;
    this.stroke(scene.cross, frame, 0.4 * near * calm, false);
    this.stroke(scene.twigs, frame, (crowd ? 0.1 + ink + 0.25 * near : 0.75) * calm, curved);
    this.stroke(scene.branches, frame, (crowd ? 0.35 + ink + 0.25 * near : 0.9) * calm, curved);
  }

  private stroke({ from, to }: Bundle, frame: Frame, alpha: number, curved: boolean): void {
    const { ctx } = this;
    const { theme, size, view } = frame;
    if (from.length === 0 || alpha < 0.02) return;
    ctx.strokeStyle = theme.faint;
    ctx.lineWidth = view.k < 0.3 ? 0.75 : 1;
    ctx.globalAlpha = alpha;
    ctx.beginPath();
    for (let e = 0; e < from.length; e += 1) {
      const [a, b] = [from[e]!, to[e]!];
      if (this.outside(a, b, size)) continue;
      if (Math.abs(this.sx[a]! - this.sx[b]!) + Math.abs(this.sy[a]! - this.sy[b]!) < 2) continue;
      this.trace(a, b, frame, curved);
    }
    ctx.stroke();
  }

  private arcs(frame: Frame, calm: number): void {
    const { ctx, sx, sy } = this;
    const { scene, theme, size } = frame;
    const { from, to } = scene.arcs;
    ctx.strokeStyle = theme.link;
    ctx.setLineDash([5, 5]);
    const drawn = Math.min(from.length, ARCS_MAX);
    ctx.globalAlpha = Math.max(0.28, 0.8 - drawn / 120) * calm;
    for (let width = 1; width <= 3; width += 1) {
      ctx.lineWidth = width + 0.25;
      ctx.beginPath();
      for (let e = 0; e < drawn; e += 1) {
        const [a, b] = [from[e]!, to[e]!];
        if (arcWidth(frame.busy, a, b, scene.self) !== width || this.outside(a, b, size)) continue;
        const [ax, ay, bx, by] = [sx[a]!, sy[a]!, sx[b]!, sy[b]!];
        ctx.moveTo(ax, ay);
        ctx.quadraticCurveTo(
          (ax + bx) / 2 + (by - ay) * 0.16,
          (ay + by) / 2 - (bx - ax) * 0.16,
          bx,
          by,
        );
      }
      ctx.stroke();
    }
    ctx.setLineDash([]);
  }

  /** Links of this node: shade by round trip, width by traffic. */
  private directLinks(frame: Frame, calm: number): void {
    const { ctx } = this;
    const { scene, theme, size, busy } = frame;
    const bundle = scene.direct;
    const groups = new Map<number, number[]>();
    for (let e = 0; e < bundle.from.length; e += 1) {
      const other = otherEnd(bundle, e, scene.self);
      const width = Math.round((busy.get(other) ?? 0) * 4);
      const group = width * 8 + shadeOf(bundle.latency[e]!);
      const list = groups.get(group);
      if (list) list.push(e);
      else groups.set(group, [e]);
    }
    ctx.globalAlpha = calm;
    ctx.lineCap = 'round';
    for (const [group, list] of groups) {
      ctx.strokeStyle = theme.shades[group % 8]!;
      ctx.lineWidth = 1.75 + Math.floor(group / 8);
      ctx.beginPath();
      for (const e of list) {
        if (this.outside(bundle.from[e]!, bundle.to[e]!, size)) continue;
        this.link(bundle.from[e]!, bundle.to[e]!, frame);
      }
      ctx.stroke();
    }
    ctx.lineCap = 'butt';
  }

  /** Adds a direct link to the path; in the tree one that does not run along it is bent. */
  private link(a: number, b: number, frame: Frame): void {
    const { ctx, sx, sy } = this;
    const { layout, visible } = frame.scene;
    if (layout !== 'tree' || visible.up[a] === b || visible.up[b] === a) {
      this.trace(a, b, frame, true);
      return;
    }
    const [ax, ay, bx, by] = [sx[a]!, sy[a]!, sx[b]!, sy[b]!];
    const lift = Math.min(120, Math.abs(bx - ax) * 0.22);
    ctx.moveTo(ax, ay);
    ctx.quadraticCurveTo((ax + bx) / 2, (ay + by) / 2 - lift, bx, by);
  }

  private route(frame: Frame): void {
    const { ctx } = this;
    const { route, routeShare, theme } = frame;
    if (route.length < 2) return;
    const until = (route.length - 1) * routeShare;
    ctx.globalAlpha = 1;
    ctx.strokeStyle = theme.link;
    ctx.lineWidth = 3;
    ctx.lineJoin = 'round';
    ctx.beginPath();
    for (let hop = 1; hop <= Math.floor(until); hop += 1) {
      this.link(route[hop - 1]!, route[hop]!, frame);
    }
    const part = until - Math.floor(until);
    const at = Math.floor(until);
    if (part > 0 && at + 1 < route.length) {
      const [a, b] = [route[at]!, route[at + 1]!];
      const x = this.sx[a]! + (this.sx[b]! - this.sx[a]!) * part;
      const y = this.sy[a]! + (this.sy[b]! - this.sy[a]!) * part;
      ctx.moveTo(this.sx[a]!, this.sy[a]!);
      ctx.lineTo(x, y);
    }
    ctx.stroke();
  }

  /** Fills dots; squares where a circle could not be told from it. */
  private dots(list: readonly number[], { scene, view }: Frame): void {
    const { ctx, sx, sy } = this;
    let inPath = 0;
    for (const n of list) {
      const radius = radiusOf(scene, n, view.k);
      if (radius < SQUARE_PX) {
        const half = radius * 0.89;
        ctx.fillRect(sx[n]! - half, sy[n]! - half, half * 2, half * 2);
        continue;
      }
      if (inPath === 0) ctx.beginPath();
      ctx.moveTo(sx[n]! + radius, sy[n]!);
      ctx.arc(sx[n]!, sy[n]!, radius, 0, TAU);
      inPath += 1;
      // Many short paths are filled faster than one with thousands of parts.
      if (inPath === DOTS_IN_PATH) {
        ctx.fill();
        inPath = 0;
      }
    }
    if (inPath > 0) ctx.fill();
  }

  private nodes(frame: Frame, calm: number): void {
    const { ctx } = this;
    const { scene, theme, view } = frame;
    const onRoute = new Set(frame.route);
    const important: number[] = [];
    const standIns: number[] = [];
    const known: number[] = [];
    const stars: number[][] = STARS.map(() => []);
    const special = Flag.self | Flag.peer | Flag.session | Flag.friend | Flag.root | Flag.ancestor;
    for (let n = 0; n < scene.visible.nodes.length; n += 1) {
      if (!this.inside[n]) continue;
      const flags = scene.flags[n]!;
      if (onRoute.has(n) || n === frame.selected || flags & special) important.push(n);
      else if (flags & Flag.standIn) standIns.push(n);
      else if (flags & Flag.explored) known.push(n);
      else {
        let size = 0;
        for (let s = 1; s < STARS.length; s += 1)
          if (scene.degree[n]! >= STARS[s]!.degree) size = s;
        stars[size]!.push(n);
      }
    }
    const fill = (list: readonly number[], color: string, alpha: number): void => {
      ctx.globalAlpha = alpha;
      ctx.fillStyle = color;
      this.dots(list, frame);
    };
    fill(standIns, theme.faint, calm);
    stars.forEach((list, size) => fill(list, theme.plain, (0.7 + size * 0.1) * calm));
    fill(known, theme.plain, 0.85 * calm);
    // Explored nodes are open circles: others told of them.
    fill(
      known.filter((n) => radiusOf(scene, n, view.k) > 2),
      theme.background,
      1,
    );
    this.outline(known, theme.plain, 1.25, 0, frame);
    for (const n of important.reverse()) {
      this.importantNode(n, frame, onRoute.has(n) || n === frame.selected ? 1 : calm);
    }
  }

  private outline(
    list: readonly number[],
    color: string,
    width: number,
    away: number,
    { scene, view }: Frame,
  ): void {
    const { ctx } = this;
    if (list.length === 0) return;
    ctx.globalAlpha = 1;
    ctx.strokeStyle = color;
    ctx.lineWidth = width;
    ctx.beginPath();
    for (const n of list) {
      const radius = radiusOf(scene, n, view.k) + away;
      if (radius < 2) continue;
      ctx.moveTo(this.sx[n]! + radius, this.sy[n]!);
      ctx.arc(this.sx[n]!, this.sy[n]!, radius, 0, TAU);
    }
    ctx.stroke();
  }

  private importantNode(n: number, frame: Frame, alpha: number): void {
    const { ctx } = this;
    const { scene, theme, view } = frame;
    const flags = scene.flags[n]!;
    const radius = radiusOf(scene, n, view.k);
    const [x, y] = [this.sx[n]!, this.sy[n]!];
    // A hem in the colour of the sky keeps the node apart from the lines below it.
    ctx.globalAlpha = 1;
    ctx.fillStyle = theme.background;
    ctx.beginPath();
    ctx.arc(x, y, radius + 2, 0, TAU);
    ctx.fill();
    ctx.globalAlpha = alpha;
    if (flags & Flag.self) {
      this.glow(x, y, radius, theme);
      ctx.fillStyle = theme.accent;
    } else if (flags & (Flag.peer | Flag.session | Flag.friend)) ctx.fillStyle = theme.link;
    else ctx.fillStyle = theme.plain;
    ctx.beginPath();
    if (flags & Flag.root && !(flags & Flag.self)) {
      const r = radius * 1.25;
      ctx.moveTo(x, y - r);
      ctx.lineTo(x + r, y);
      ctx.lineTo(x, y + r);
      ctx.lineTo(x - r, y);
      ctx.closePath();
    } else ctx.arc(x, y, radius, 0, TAU);
    ctx.fill();
    if (flags & Flag.session && !(flags & Flag.self)) {
      ctx.strokeStyle = theme.link;
      ctx.lineWidth = 1.25;
      ctx.beginPath();
      ctx.arc(x, y, radius + 3, 0, TAU);
      ctx.stroke();
    }
  }

  /** The light around you: a few soft discs, no gradient to compute. */
  private glow(x: number, y: number, radius: number, theme: Theme): void {
    const { ctx } = this;
    ctx.fillStyle = theme.accent;
    const before = ctx.globalAlpha;
    for (let step = 5; step >= 1; step -= 1) {
      ctx.globalAlpha = before * (theme.dark ? 0.055 : 0.045);
      ctx.beginPath();
      ctx.arc(x, y, radius + step * step * 0.75 + 2, 0, TAU);
      ctx.fill();
    }
    ctx.globalAlpha = before;
  }

  /** Rings around what is selected, hovered or has the focus. */
  private marks(frame: Frame): void {
    const { theme } = frame;
    if (frame.hovered >= 0) this.outline([frame.hovered], theme.text, 1.5, 4, frame);
    if (frame.selected >= 0) this.outline([frame.selected], theme.link, 2, 5, frame);
    if (frame.focused >= 0) this.outline([frame.focused], theme.accent, 2, 9, frame);
  }

  private width(text: string, font: string): number {
    const id = `${font}|${text}`;
    let width = this.widths.get(id);
    if (width === undefined) {
      if (this.widths.size > 4_000) this.widths.clear();
      width = this.ctx.measureText(text).width;
      this.widths.set(id, width);
    }
    return width;
  }

  private labels(frame: Frame, calm: number): void {
    const { ctx } = this;
    const { scene, theme, view, size } = frame;
    this.pressable = [];
    const name = `500 12px ${theme.font}`;
    const address = `11px ${theme.mono}`;
    const wishes: LabelWish[] = [];
    const words = new Map<number, { text: string; font: string }>();
    const onRoute = new Map(frame.route.map((node, hop) => [node, hop]));
    const { obstacles } = this;
    for (const { n, rank } of this.candidates(frame, onRoute)) {
      const named = frame.nameOf(n);
      if (!named) continue;
      const hop = onRoute.get(n) ?? 0;
      const text = hop > 0 ? `${hop} · ${named.text}` : named.text;
      const font = named.isName ? name : address;
      ctx.font = font;
      words.set(n, { text, font });
      wishes.push({
        node: n,
        x: this.sx[n]!,
        y: this.sy[n]!,
        away: radiusOf(scene, n, view.k) + (n === frame.selected ? 7 : 3),
        side: this.sideOf(n, frame),
        width: Math.ceil(this.width(text, font)),
        height: 15,
        rank,
        always: rank === 0 || n === scene.self,
      });
    }
    const solid = scene.visible.nodes.length <= FEW ? 2 : 4;
    for (let n = 0; n < scene.visible.nodes.length && obstacles.length < 300; n += 1) {
      if (!this.inside[n]) continue;
      const radius = radiusOf(scene, n, view.k);
      if (radius < solid) continue;
      const [x, y] = [this.sx[n]!, this.sy[n]!];
      obstacles.push({ left: x - radius, right: x + radius, top: y - radius, bottom: y + radius });
    }
    const badges = this.badges(frame, wishes, words);
    const placed = placeLabels([...wishes, ...badges], obstacles, size);
    for (const label of placed) this.writeLabel(label, words, frame, onRoute, calm);
  }

  private writeLabel(
    { node, box }: Label,
    words: Map<number, { text: string; font: string }>,
    frame: Frame,
    onRoute: Map<number, number>,
    calm: number,
  ): void {
    const { ctx } = this;
    const { theme } = frame;
    const word = words.get(node)!;
    const badge = node < 0;
    const n = badge ? -node - 1 : node;
    const strong = n === frame.selected || n === frame.hovered || n === frame.focused;
    ctx.font = word.font;
    ctx.textAlign = 'left';
    ctx.textBaseline = 'middle';
    ctx.globalAlpha = strong || onRoute.has(n) ? 1 : calm;
    const middle = (box.top + box.bottom) / 2;
    if (badge) {
      this.pressable.push({ node: n, box });
      ctx.fillStyle = theme.ring;
      ctx.beginPath();
      ctx.roundRect(box.left, box.top + 1, box.right - box.left, box.bottom - box.top - 2, 7);
      ctx.fill();
      ctx.fillStyle = theme.text;
      ctx.fillText(word.text, box.left + 5, middle + 0.5);
      return;
    }
    ctx.lineJoin = 'round';
    ctx.lineWidth = 3.5;
    ctx.strokeStyle = theme.background;
    ctx.strokeText(word.text, box.left, middle + 0.5);
    const plain = !strong && !onRoute.has(n) && !(frame.scene.flags[n]! & Flag.friend);
    ctx.fillStyle =
      frame.scene.flags[n]! & Flag.self ? theme.accent : plain ? theme.muted : theme.text;
    ctx.fillText(word.text, box.left, middle + 0.5);
  }

  /** The side of a node that looks away from the middle of the picture. */
  private sideOf(n: number, { scene, size, view }: Frame): Side {
    if (n === scene.self) return 'below';
    if (scene.layout === 'tree') return 'right';
    return this.sx[n]! < size.width / 2 - view.x * view.k - 1 ? 'left' : 'right';
  }

  /** Counts of what is hidden below a node, as labels of a number of their own. */
  private badges(
    frame: Frame,
    wishes: readonly LabelWish[],
    words: Map<number, { text: string; font: string }>,
  ): LabelWish[] {
    const { ctx } = this;
    const { scene, theme, view } = frame;
    const font = `500 11px ${theme.font}`;
    const list: LabelWish[] = [];
    const named = new Set(wishes.map((wish) => wish.node));
    ctx.font = font;
    const inSight: number[] = [];
    for (let n = 0; n < scene.visible.nodes.length; n += 1) {
      if (scene.visible.hidden[n]! > 0 && this.inside[n]) inSight.push(n);
    }
    // Not more than can be read; those with most behind them first.
    const first = (n: number): number => scene.visible.hidden[n]! + (named.has(n) ? 1e6 : 0);
    inSight.sort((a, b) => first(b) - first(a) || a - b);
    for (const n of inSight.slice(0, BADGES_MAX)) {
      const hidden = scene.visible.hidden[n]!;
      const text = frame.hiddenText(hidden);
      words.set(-n - 1, { text, font });
      list.push({
        node: -n - 1,
        x: this.sx[n]!,
        y: this.sy[n]!,
        away: radiusOf(scene, n, view.k) + 2,
        width: Math.ceil(this.width(text, font)) + 10,
        height: 17,
        rank: 6 - Math.min(1, hidden / 1_000),
        side: this.sideOf(n, frame),
        always: false,
      });
    }
    return list;
  }

  /** Nodes that want a label at this zoom, and how much it matters. */
  private candidates(frame: Frame, onRoute: Map<number, number>): { n: number; rank: number }[] {
    const { scene, view } = frame;
    const count = scene.visible.nodes.length;
    const few = count <= FEW;
    const list: { n: number; rank: number }[] = [];
    for (let n = 0; n < count && list.length < 600; n += 1) {
      if (!this.inside[n]) continue;
      const flags = scene.flags[n]!;
      let rank = -1;
      if (n === frame.hovered || n === frame.selected || n === frame.focused) rank = 0;
      else if (flags & Flag.self || onRoute.has(n)) rank = 1;
      else if (flags & Flag.friend) rank = 2;
      else if (flags & (Flag.session | Flag.peer | Flag.root)) rank = few || view.k > 0.35 ? 3 : -1;
      else if (flags & Flag.ancestor) rank = few || view.k > 0.6 ? 4 : -1;
      else if (!(flags & Flag.standIn) && view.k > (few ? 0.75 : 2)) rank = 7;
      // A highlighted way is not to drown in names.
      if (rank > 3 && onRoute.size > 1) rank = -1;
      if (rank >= 0) list.push({ n, rank });
    }
    return list;
  }
}

function otherEnd(bundle: Bundle, e: number, self: number): number {
  return bundle.from[e] === self ? bundle.to[e]! : bundle.from[e]!;
}

function arcWidth(busy: ReadonlyMap<number, number>, a: number, b: number, self: number): number {
  return 1 + Math.round((busy.get(a === self ? b : a) ?? 0) * 2);
}
