// What jsdom lacks and the page uses.

Object.defineProperty(window, 'matchMedia', {
  writable: true,
  value: (query: string) => ({
    matches: false,
    media: query,
    addEventListener: () => undefined,
    removeEventListener: () => undefined,
  }),
});

HTMLDialogElement.prototype.showModal ??= function showModal(this: HTMLDialogElement) {
  this.open = true;
};
HTMLDialogElement.prototype.close ??= function close(this: HTMLDialogElement) {
  this.open = false;
  this.dispatchEvent(new Event('close'));
};

class Observer {
  observe() {
    return undefined;
  }
  unobserve() {
    return undefined;
  }
  disconnect() {
    return undefined;
  }
}
Object.defineProperty(window, 'ResizeObserver', { writable: true, value: Observer });

// Charts draw into nothing: what they say is in their labels.
const nothing = () => undefined;
const context = new Proxy({}, { get: () => nothing, set: () => true });
HTMLCanvasElement.prototype.getContext = (() =>
  context) as unknown as typeof HTMLCanvasElement.prototype.getContext;
Object.defineProperty(window, 'Path2D', {
  writable: true,
  value: function Path() {
    return context;
  },
});

// Enough for what is looked up here: keys and the names of settings.
globalThis.CSS ??= {} as typeof CSS;
CSS.escape ??= (text) => text.replace(/[^\w-]/g, '\\$&');
