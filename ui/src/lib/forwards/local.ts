// Addresses of this computer at which something is served to its own programs.

const PORT_MAX = 65_535;

/** A port as it was typed, or `null`. */
export function portOf(text: string): number | null {
  const port = /^\d{1,5}$/.test(text.trim()) ? Number(text) : 0;
  return port >= 1 && port <= PORT_MAX ? port : null;
}

/**
 * What was typed as a loopback address with a port, in full: `8080` means `127.0.0.1:8080`. `null`
 * for anything that other computers could reach.
 */
export function loopback(text: string): string | null {
  const parts = /^(?:(localhost|127(?:\.\d{1,3}){3}|\[::1\]):)?(\d+)$/i.exec(text.trim());
  const port = portOf(parts?.[2] ?? '');
  if (!parts || port === null) return null;
  const host = parts[1]?.toLowerCase() ?? 'localhost';
  if (host.startsWith('127') && host.split('.').some((part) => Number(part) > 255)) return null;
  return `${host === 'localhost' ? '127.0.0.1' : host}:${port}`;
}
