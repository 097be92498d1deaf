// Addresses follow from keys as in the protocol, so that what the mock shows fits together.

/** The bits of the inverted key behind its leading ones and the zero that ends them. */
function packed(key: string): { ones: number; bytes: number[] } {
  const inverted = [...(key.match(/../g) ?? [])].map((pair) => ~parseInt(pair, 16) & 0xff);
  const bits = inverted.flatMap((byte) => byte.toString(2).padStart(8, '0').split('').map(Number));
  const ones = bits.indexOf(0) < 0 ? bits.length : bits.indexOf(0);
  const rest = bits.slice(ones + 1);
  const bytes: number[] = [];
  for (let at = 0; at + 8 <= rest.length; at += 8)
    bytes.push(parseInt(rest.slice(at, at + 8).join(''), 2));
  return { ones, bytes };
}

function written(bytes: number[]): string {
  const groups = Array.from({ length: bytes.length / 2 }, (_, at) =>
    (((bytes[2 * at] ?? 0) << 8) | (bytes[2 * at + 1] ?? 0)).toString(16),
  );
  return groups.join(':');
}

export function addressOf(key: string): string {
  const { ones, bytes } = packed(key);
  return written([0x02, ones, ...bytes.slice(0, 14)]);
}

export function subnetOf(key: string): string {
  const { ones, bytes } = packed(key);
  return `${written([0x03, ones, ...bytes.slice(0, 6)])}::/64`;
}
