import { describe, expect, it } from 'vitest';
import { buildGraph } from './model';
import { find, FOUND_MAX } from './search';
import { skyOf } from './testing/skies';

describe('search', () => {
  const graph = buildGraph(skyOf(200));
  const ada = graph.nodes.findIndex((node) => node?.name === 'Ada');

  it('finds by name, however it is written', () => {
    expect(find(graph, ' aDa ')[0]).toBe(ada);
    expect(find(graph, 'da')).toContain(ada);
  });

  it('finds by the beginning of an address or a key', () => {
    const { address, key } = graph.nodes[ada]!;
    expect(find(graph, address.slice(0, 9))).toContain(ada);
    expect(find(graph, `[${address.toUpperCase()}]`)[0]).toBe(ada);
    expect(find(graph, key.slice(0, 10))[0]).toBe(ada);
  });

  it('does not mind how zeros are written', () => {
    const nodes = [{ ...graph.nodes[ada]!, address: '200:0:42:7::1' }];
    const one = buildGraph({ revision: 1, nodes, edges: [] });
    expect(find(one, '0200:0000:0042')).toEqual([0]);
  });

  it('finds nothing for nothing, and never too much', () => {
    expect(find(graph, '  ')).toEqual([]);
    expect(find(graph, 'no such node')).toEqual([]);
    expect(find(graph, '2').length).toBe(FOUND_MAX);
  });
});
