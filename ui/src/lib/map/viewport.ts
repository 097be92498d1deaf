// Which part of the plane is on the canvas: its middle, and how many pixels a unit is.

export interface View {
  /** Point of the plane in the middle of the canvas. */
  readonly x: number;
  readonly y: number;
  /** Pixels per unit. */
  readonly k: number;
}

export interface Size {
  readonly width: number;
  readonly height: number;
}

/** Pixels at the sides of the canvas that something lies over. */
export interface Insets {
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly left: number;
}

export interface Bounds {
  readonly left: number;
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export const ZOOM_MIN = 0.02;
export const ZOOM_MAX = 4;
/** A fit never magnifies beyond this: five nodes need not fill the window. */
export const FIT_MAX = 1.35;
export const NO_INSETS: Insets = { top: 0, right: 0, bottom: 0, left: 0 };
export const HOME: View = { x: 0, y: 0, k: 1 };

export function toScreen(view: View, size: Size, point: Point): Point {
  return {
    x: (point.x - view.x) * view.k + size.width / 2,
    y: (point.y - view.y) * view.k + size.height / 2,
  };
}

export function toPlane(view: View, size: Size, point: Point): Point {
  return {
    x: (point.x - size.width / 2) / view.k + view.x,
    y: (point.y - size.height / 2) / view.k + view.y,
  };
}

/** Moves the picture by so many pixels. */
export function pan(view: View, dx: number, dy: number): View {
  return { ...view, x: view.x - dx / view.k, y: view.y - dy / view.k };
}

/** Zooms so that what is under `at` stays under it. */
export function zoomAt(view: View, size: Size, at: Point, factor: number): View {
  const k = Math.min(ZOOM_MAX, Math.max(ZOOM_MIN, view.k * factor));
  const fixed = toPlane(view, size, at);
  return {
    k,
    x: fixed.x - (at.x - size.width / 2) / k,
    y: fixed.y - (at.y - size.height / 2) / k,
  };
}

/** The smallest rectangle around all points; a point where there are none. */
export function boundsOf(x: Float32Array, y: Float32Array): Bounds {
  if (x.length === 0) return { left: 0, top: 0, right: 0, bottom: 0 };
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let i = 0; i < x.length; i += 1) {
    const [px, py] = [x[i] ?? 0, y[i] ?? 0];
    if (px < left) left = px;
    if (px > right) right = px;
    if (py < top) top = py;
    if (py > bottom) bottom = py;
  }
  return { left, top, right, bottom };
}

/** The view that shows all of `bounds` beside what lies over the canvas. */
export function fit(bounds: Bounds, size: Size, insets: Insets, margin = 48): View {
  const width = Math.max(1, size.width - insets.left - insets.right - 2 * margin);
  const height = Math.max(1, size.height - insets.top - insets.bottom - 2 * margin);
  const k = Math.min(
    FIT_MAX,
    width / Math.max(1e-6, bounds.right - bounds.left),
    height / Math.max(1e-6, bounds.bottom - bounds.top),
  );
  const zoom = Math.max(ZOOM_MIN, k);
  return aside(
    { x: (bounds.left + bounds.right) / 2, y: (bounds.top + bounds.bottom) / 2, k: zoom },
    insets,
  );
}

/** Moves the middle of `view` into the middle of what the insets leave free. */
export function aside(view: View, insets: Insets): View {
  return {
    ...view,
    x: view.x - (insets.left - insets.right) / 2 / view.k,
    y: view.y - (insets.top - insets.bottom) / 2 / view.k,
  };
}

/** Keeps some of `bounds` on the canvas, however far somebody drags. */
export function keepNear(view: View, bounds: Bounds): View {
  const within = (value: number, low: number, high: number): number =>
    Math.min(high, Math.max(low, value));
  return {
    ...view,
    x: within(view.x, bounds.left, bounds.right),
    y: within(view.y, bounds.top, bounds.bottom),
  };
}

/** Between two views; zoom changes by equal factors, so that it looks even. */
export function between(from: View, to: View, share: number): View {
  const k = from.k * Math.pow(to.k / from.k, share);
  // The middle moves with the zoom: a point that both show stays on a straight line on the canvas.
  const same = Math.abs(to.k - from.k) < 1e-6 * from.k;
  const part = same ? share : (1 / k - 1 / from.k) / (1 / to.k - 1 / from.k);
  return { x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part, k };
}

/** Fast at first, then slower. */
export function easeOut(share: number): number {
  return 1 - Math.pow(1 - share, 3);
}
