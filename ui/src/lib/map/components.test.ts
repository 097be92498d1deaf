import { render, screen } from '@testing-library/svelte';
import userEvent from '@testing-library/user-event';
import { describe, expect, it, vi } from 'vitest';
import LayoutSwitch from './LayoutSwitch.svelte';
import MapPanel from './MapPanel.svelte';
import MapSearch from './MapSearch.svelte';
import { buildGraph, Flag } from './model';
import { routeTo } from './route';
import { skyOf } from './testing/skies';
import TimeSlider from './TimeSlider.svelte';

const graph = buildGraph(skyOf(60));
const ada = graph.nodes.findIndex((node) => node?.name === 'Ada');

describe('the panel', () => {
  function show(node: number, more: Record<string, unknown> = {}) {
    const told = {
      onselect: vi.fn(),
      oncopy: vi.fn(),
      oncentre: vi.fn(),
      onunfold: vi.fn(),
      onfriend: vi.fn(),
      onping: vi.fn(),
    };
    const route = routeTo(graph, node);
    const state = { asking: false, hidden: 0, isFriend: false, said: null, doing: null };
    const hops = (route?.length ?? 1) - 1;
    render(MapPanel, { graph, node, hops, route, ...state, ...told, ...more });
    return told;
  }

  it('says who a node is and the way there', async () => {
    const told = show(ada);
    expect(screen.getByRole('heading', { level: 2 }).textContent).toBe('Ada');
    expect(screen.getByText(graph.nodes[ada]!.address)).toBeTruthy();
    const hops = screen.getAllByRole('listitem');
    expect(hops).toHaveLength(routeTo(graph, ada)!.length);
    await userEvent.click(screen.getByRole('button', { name: 'You' }));
    expect(told.onselect).toHaveBeenCalledWith(graph.keys[graph.self]);
  });

  it('does what its buttons say', async () => {
    const told = show(ada, { hidden: 12 });
    await userEvent.click(screen.getByRole('button', { name: 'Ping' }));
    await userEvent.click(screen.getByRole('button', { name: 'Add as friend' }));
    await userEvent.click(screen.getByRole('button', { name: 'Unfold 12 nodes' }));
    await userEvent.click(screen.getByRole('button', { name: 'Centre' }));
    for (const done of [told.onping, told.onfriend, told.onunfold, told.oncentre]) {
      expect(done).toHaveBeenCalledOnce();
    }
  });

  it('offers nothing that cannot be done', () => {
    show(graph.self, { onping: undefined });
    expect(screen.queryByRole('button', { name: 'Ping' })).toBeNull();
    expect(screen.queryByRole('button', { name: 'Explore from here' })).toBeNull();
    expect(screen.queryByRole('button', { name: 'Add as friend' })).toBeNull();
  });

  it('keeps text of others text', () => {
    const sky = skyOf(5);
    const name = '<img src=x onerror=alert(1)>';
    const nodes = sky.nodes.map((node) => ({ ...node, name }));
    const other = buildGraph({ ...sky, nodes });
    const node = other.flags.findIndex((flags) => (flags & Flag.self) === 0);
    show(node, { graph: other, route: null, hops: null });
    expect(screen.getByRole('heading', { level: 2 }).textContent).toBe(name);
    expect(document.querySelector('img')).toBeNull();
  });
});

describe('the search', () => {
  it('goes to what the arrows choose', async () => {
    const onselect = vi.fn();
    render(MapSearch, { graph, onselect });
    const field = screen.getByRole('combobox');
    await userEvent.type(field, '20');
    expect(field.getAttribute('aria-expanded')).toBe('true');
    const options = screen.getAllByRole('option');
    expect(options[0]!.getAttribute('aria-selected')).toBe('true');
    await userEvent.keyboard('{ArrowDown}{Enter}');
    expect(onselect).toHaveBeenCalledOnce();
    expect((field as HTMLInputElement).value).toBe('');
  });

  it('says when there is nothing', async () => {
    render(MapSearch, { graph, onselect: vi.fn() });
    await userEvent.type(screen.getByRole('combobox'), 'nobody of that name');
    expect(screen.getByText('Nothing found')).toBeTruthy();
  });
});

describe('the layout switch', () => {
  it('is a choice of one', async () => {
    const onchange = vi.fn();
    render(LayoutSwitch, { layout: 'radial', onchange });
    expect(screen.getByRole<HTMLInputElement>('radio', { name: 'Around you' }).checked).toBe(true);
    await userEvent.click(screen.getByRole('radio', { name: 'Clusters' }));
    expect(onchange).toHaveBeenCalledWith('force');
  });
});

describe('the time slider', () => {
  const now = 1_000_000;

  it('is not there while there is nothing to go back to', () => {
    render(TimeSlider, { times: [now], now, moment: null, onchange: vi.fn() });
    expect(screen.queryByRole('slider')).toBeNull();
  });

  it('goes back, and to now again', async () => {
    const onchange = vi.fn();
    const times = [now - 300_000, now - 100_000];
    const { rerender } = render(TimeSlider, { times, now, moment: null, onchange });
    const slider = screen.getByRole<HTMLInputElement>('slider');
    expect(slider.min).toBe('-300');
    slider.value = '-120';
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    expect(onchange).toHaveBeenLastCalledWith(now - 120_000);
    await rerender({ times, now, moment: now - 120_000, onchange });
    expect(slider.getAttribute('aria-valuetext')).toContain('2 min');
    await userEvent.click(screen.getByRole('button', { name: 'Back to now' }));
    expect(onchange).toHaveBeenLastCalledWith(null);
  });
});
