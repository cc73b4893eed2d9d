/** HTTP 401: a login is required, or the login has ended. */
export class LoginRequired extends Error {
  override name = 'LoginRequired';
}

/** HTTP 404. */
export class NotFound extends Error {
  override name = 'NotFound';
}

/** HTTP 412: something is not as it was when it was read. */
export class Changed extends Error {
  override name = 'Changed';
}

/** HTTP 503: the service is shutting down or busy. */
export class ServiceUnavailable extends Error {
  override name = 'ServiceUnavailable';
}

/** No response: the network, or the service, is down. */
export class NoResponse extends Error {
  override name = 'NoResponse';
}

/** A path of the service, relative to the page: a proxy may show both below a prefix. */
export const addressOf = (path: string): string => `.${path}`;

/** The `detail` of a problem response (RFC 9457), or the status if there is none. */
export async function errorDetail(response: Response): Promise<string> {
  try {
    const { detail } = (await response.json()) as { detail?: unknown };
    if (typeof detail === 'string') return detail;
  } catch {
    // not a problem response: something between the page and the service answered
  }
  return `unexpected response from the service (HTTP ${response.status})`;
}

export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/**
 * Send a request to the service and return the JSON of its response; undefined for an empty one.
 *
 * Throws as `failureOf`, and NoResponse without a response.
 */
export async function request<T>(
  method: string,
  path: string,
  body?: unknown,
  headers?: Record<string, string>,
): Promise<T> {
  const content =
    body === undefined
      ? { ...(headers && { headers }) }
      : {
          headers: { 'Content-Type': 'application/json', ...headers },
          body: JSON.stringify(body),
        };
  const response = await respond(path, { method, ...content });
  if (response.ok) return (response.status === 204 ? undefined : await response.json()) as T;
  throw await failureOf(response);
}

/** LoginRequired, NotFound, Changed, ServiceUnavailable or Error with the service's error detail. */
export async function failureOf(response: Response): Promise<Error> {
  const detail = await errorDetail(response);
  if (response.status === 401) return new LoginRequired(detail);
  if (response.status === 404) return new NotFound(detail);
  if (response.status === 412) return new Changed(detail);
  return response.status === 503 ? new ServiceUnavailable(detail) : new Error(detail);
}

/** Fetch a file of the service; throws as `request`. */
export async function fetchBlob(path: string): Promise<Blob> {
  const response = await respond(path, { method: 'GET' });
  if (!response.ok) throw await failureOf(response);
  return response.blob();
}

/** The response to a request; throws NoResponse if there is none. */
export function respond(path: string, init: RequestInit): Promise<Response> {
  return fetch(addressOf(path), init).catch(() => {
    throw new NoResponse('the service does not respond');
  });
}

/** Save a file that was fetched, so that errors could be shown first. */
export function saveAs(content: Blob, name: string): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement('a');
  [link.href, link.download] = [url, name];
  link.click();
  URL.revokeObjectURL(url);
}
