import { request } from './rest';

/** Link with which one other device may watch. */
export interface WatchLink {
  url: string;
  /** The part of the link that works once. */
  code: string;
  /** For how long it works. */
  seconds: number;
  /** SVG path of the QR code's dark modules, in a square of `size` units. */
  qr: { size: number; path: string };
}

export type TokenScope = 'view' | 'control';

/** An issued token without its secret; times in ISO 8601. */
export interface IssuedToken {
  name: string;
  scope: TokenScope;
  made: string;
  ends: string;
  expired: boolean;
}

/** Requests about who may use the service; each throws an Error with the service's detail. */
export const accessApi = {
  makeLink: (): Promise<WatchLink> => request('POST', '/v1/watch-codes'),
  endWatching: (): Promise<void> => request('DELETE', '/v1/watch-codes'),
  tokens: (): Promise<IssuedToken[]> => request('GET', '/v1/tokens'),
  issue: (name: string, scope: TokenScope, days: number): Promise<{ token: string }> =>
    request('POST', '/v1/tokens', { name, scope, days }),
  revoke: (name: string): Promise<void> =>
    request('DELETE', `/v1/tokens/${encodeURIComponent(name)}`),
};
