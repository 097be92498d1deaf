import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { buildGraph } from './model';
import { buildScene, keyOf, walkOrder } from './scene';
import { Stage, type StageEvents } from './stage';
import { skyOf } from './testing/skies';
import { toScreen } from './viewport';

const size = { width: 800, height: 600 };
const scene = buildScene(buildGraph(skyOf(60)), { layout: 'radial' });
const self = keyOf(scene, scene.self);

function drawing(): CanvasRenderingContext2D {
  const nothing = () => undefined;
  const own = { measureText: (text: string) => ({ width: text.length * 7 }) };
  return new Proxy(own, {
    get: (target, name) => (name in target ? target[name as keyof typeof own] : nothing),
    set: () => true,
  }) as unknown as CanvasRenderingContext2D;
}

describe('the stage', () => {
  let surface: HTMLElement;
  let stage: Stage;
  let told: { [E in keyof StageEvents]: ReturnType<typeof vi.fn<StageEvents[E]>> };

  beforeEach(() => {
    surface = document.createElement('div');
    const canvas = document.createElement('canvas');
    surface.append(canvas);
    document.body.append(surface);
    vi.spyOn(canvas, 'getContext').mockReturnValue(drawing());
    surface.setPointerCapture = () => undefined;
    told = { select: vi.fn(), hover: vi.fn(), focus: vi.fn(), open: vi.fn() };
    const words = { nameOf: () => null, hiddenText: String, ringText: String };
    stage = new Stage(canvas, surface, told, words, () => true);
    stage.resize(size, 1);
    stage.setScene(scene);
  });

  afterEach(() => {
    stage.destroy();
    surface.remove();
  });

  function press(key: string, shiftKey = false): boolean {
    const event = new KeyboardEvent('keydown', { key, shiftKey, cancelable: true });
    return !surface.dispatchEvent(event);
  }

  function pointer(type: string, x: number, y: number): void {
    const event = new MouseEvent(type, { clientX: x, clientY: y, button: 0 });
    surface.dispatchEvent(Object.assign(event, { pointerId: 1 }));
  }

  it('walks the nodes with Tab and lets go at the end', () => {
    expect(press('Tab')).toBe(true);
    expect(told.focus).toHaveBeenLastCalledWith(self);
    for (let n = 1; n < 60; n += 1) expect(press('Tab')).toBe(true);
    expect(told.focus).toHaveBeenLastCalledWith(keyOf(scene, walkOrder(scene).at(-1)!));
    expect(press('Tab')).toBe(false);
    expect(told.focus).toHaveBeenLastCalledWith(null);
  });

  it('lets Tab go backwards out of the map', () => {
    expect(press('Tab', true)).toBe(false);
  });

  it('is left by Escape and Tab', () => {
    press('Tab');
    expect(press('Enter')).toBe(true);
    expect(told.select).toHaveBeenCalledWith(self);
    expect(press('Escape')).toBe(true);
    expect(told.focus).toHaveBeenLastCalledWith(null);
    expect(press('Escape')).toBe(false);
  });

  it('moves and zooms by keys, and leaves shortcuts alone', () => {
    const before = stage.currentView;
    press('ArrowRight');
    press('+');
    expect(stage.currentView.x).toBeGreaterThan(before.x);
    expect(stage.currentView.k).toBeGreaterThan(before.k);
    press('0');
    expect(stage.currentView).toEqual(before);
    expect(press('a')).toBe(false);
  });

  it('chooses a node by a click, and nothing by a click beside', () => {
    const at = toScreen(stage.currentView, size, { x: 0, y: 0 });
    pointer('pointerdown', at.x + 3, at.y);
    pointer('pointerup', at.x + 3, at.y);
    expect(told.select).toHaveBeenLastCalledWith(self);
    pointer('pointerdown', 2, 2);
    pointer('pointerup', 2, 2);
    expect(told.select).toHaveBeenLastCalledWith(null);
  });

  it('drags without choosing, by as many pixels as the pointer went', () => {
    const before = stage.screenOf(self)!;
    pointer('pointerdown', 400, 300);
    pointer('pointermove', 401, 300);
    pointer('pointermove', 440, 320);
    pointer('pointerup', 440, 320);
    const after = stage.screenOf(self)!;
    expect(after.x - before.x).toBeCloseTo(40, 0);
    expect(after.y - before.y).toBeCloseTo(20, 0);
    expect(told.select).not.toHaveBeenCalled();
  });

  it('zooms with two fingers, and chooses nothing by that', () => {
    const finger = (type: string, id: number, x: number) => {
      const event = new MouseEvent(type, { clientX: x, clientY: 300, button: 0 });
      surface.dispatchEvent(Object.assign(event, { pointerId: id }));
    };
    const before = stage.currentView.k;
    finger('pointerdown', 1, 350);
    finger('pointerdown', 2, 450);
    finger('pointermove', 2, 550);
    expect(stage.currentView.k).toBeCloseTo(before * 2);
    finger('pointerup', 2, 550);
    finger('pointerup', 1, 350);
    expect(told.select).not.toHaveBeenCalled();
  });

  it('zooms with the wheel around the pointer', () => {
    const under = stage.screenOf(self)!;
    const wheel = { deltaY: -100, clientX: under.x, clientY: under.y, cancelable: true };
    surface.dispatchEvent(new WheelEvent('wheel', wheel));
    expect(stage.screenOf(self)!.x).toBeCloseTo(under.x);
    expect(stage.currentView.k).toBeGreaterThan(0.1);
  });

  it('brings a node to the middle of what is free', () => {
    stage.setInsets({ top: 0, right: 300, bottom: 0, left: 0 });
    stage.centre(self);
    expect(stage.screenOf(self)!.x).toBeCloseTo(250);
    expect(stage.screenOf(self)!.y).toBeCloseTo(300);
  });

  it('keeps what somebody looks at when the network changes', () => {
    stage.panBy(120, 0);
    const view = stage.currentView;
    stage.setScene(buildScene(buildGraph(skyOf(61)), { layout: 'radial' }));
    expect(stage.currentView).toEqual(view);
    stage.setScene(buildScene(buildGraph(skyOf(61)), { layout: 'tree' }));
    expect(stage.currentView).not.toEqual(view);
  });

  it('relaxes springs in a worker, and again only when somebody came or went', () => {
    const posted = vi.fn();
    class FakeWorker {
      postMessage = posted;
      addEventListener = () => undefined;
      terminate = () => undefined;
    }
    vi.stubGlobal('Worker', FakeWorker);
    const force = (count: number) => buildScene(buildGraph(skyOf(count)), { layout: 'force' });
    stage.setScene(force(60));
    stage.setScene(force(60));
    expect(posted).toHaveBeenCalledOnce();
    stage.setScene(force(61));
    expect(posted).toHaveBeenCalledTimes(2);
    vi.unstubAllGlobals();
  });

  it('rests when nothing happens', async () => {
    stage.setRoute([self]);
    await vi.waitFor(() => expect(stage.atRest).toBe(true));
    const { at } = stage.lastDraw;
    await new Promise((done) => setTimeout(done, 60));
    expect(stage.lastDraw.at).toBe(at);
  });
});
