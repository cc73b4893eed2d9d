/**
 * The browser's Bluetooth: the part of Web Bluetooth that is used, and its problems as sentences.
 *
 * The names are those of the specification (webbluetoothcg.github.io/web-bluetooth); TypeScript's own
 * library does not have them.
 */
export interface Characteristic extends EventTarget {
  readonly uuid: string;
  readonly value?: DataView;
  startNotifications(): Promise<unknown>;
  writeValueWithoutResponse(value: BufferSource): Promise<void>;
}

export interface GattServer {
  readonly connected: boolean;
  connect(): Promise<GattServer>;
  disconnect(): void;
  getPrimaryService(service: string): Promise<{ getCharacteristics(): Promise<Characteristic[]> }>;
}

export interface BluetoothDevice extends EventTarget {
  readonly id: string;
  readonly name?: string;
  readonly gatt?: GattServer;
}

export interface Bluetooth {
  getAvailability(): Promise<boolean>;
  requestDevice(options: {
    filters: ({ services: string[] } | { namePrefix: string })[];
    optionalServices: string[];
  }): Promise<BluetoothDevice>;
}

/** What is looked at to find out if there is Bluetooth. */
export interface Surroundings {
  bluetooth?: Bluetooth | undefined;
  isSecureContext: boolean;
  userAgent: string;
}

export const surroundings = (): Surroundings => ({
  bluetooth: (navigator as { bluetooth?: Bluetooth }).bluetooth,
  isSecureContext: window.isSecureContext,
  userAgent: navigator.userAgent,
});

const ACQUIRE =
  'run “mimamba acquire --source muse:// --to ADDRESS” on a computer near the headset';

/** What to use instead if this page cannot use Bluetooth here; null if it can. */
export function bluetoothObstacle({
  bluetooth,
  isSecureContext,
  userAgent,
}: Surroundings): string | null {
  if (bluetooth) return null;
  if (!isSecureContext)
    return (
      'Browsers give Bluetooth only to pages with an address that starts with https://, or of the ' +
      `same computer: open the page so, or ${ACQUIRE}.`
    );
  if (/iPhone|iPad/.test(userAgent))
    return (
      'Browsers on iPhone and iPad have no Bluetooth: open this page in Chrome or Edge on a computer, ' +
      `or in Chrome on an Android phone, or ${ACQUIRE}.`
    );
  if (/Chrome\//.test(userAgent) && /Linux/.test(userAgent) && !/Android/.test(userAgent))
    return (
      'Chrome on Linux has Bluetooth only after “Experimental Web Platform features” is switched on ' +
      `at chrome://flags: do that, or ${ACQUIRE}.`
    );
  return (
    'This browser has no Bluetooth for pages: open this page in Chrome or Edge, or in Chrome on an ' +
    `Android phone, or ${ACQUIRE}.`
  );
}

/** Error that is a sentence for the person. */
export class HeadsetProblem extends Error {
  override name = 'HeadsetProblem';
}

export const NO_ADAPTER =
  'The browser finds no Bluetooth that is on: switch Bluetooth on, or plug in an adapter.';
export const CANCELLED =
  'No headset was chosen. Is it missing in the list? Switch it on, bring it near, and disconnect it ' +
  'from phones, other programs and other tabs.';
const NOT_ALLOWED =
  'The browser may not use Bluetooth here: allow it in the settings of this page and of the system.';

/** Why the browser's dialog gave no headset. */
export function dialogProblem(error: unknown): string {
  const { name, message } = asError(error);
  // Chrome has one name for a cancelled dialog, a missing adapter and a policy: NotFoundError.
  if (/adapter|not available|turned off/i.test(message)) return NO_ADAPTER;
  if (/disabled|denied|permission|policy/i.test(message) || name === 'NotAllowedError')
    return NOT_ALLOWED;
  if (name === 'SecurityError')
    return 'The browser opens its dialog only for a click: press the button again.';
  if (name === 'NotFoundError' || name === 'AbortError') return CANCELLED;
  return `The browser's Bluetooth failed (${message || name}): switch Bluetooth off and on.`;
}

/** Why connecting failed. */
export function connectProblem(headset: string, error: unknown): string {
  if (error instanceof HeadsetProblem) return error.message;
  const { name, message } = asError(error);
  if (/adapter|not available|turned off/i.test(message)) return NO_ADAPTER;
  if (name === 'NotAllowedError' || name === 'SecurityError') return NOT_ALLOWED;
  if (/already|in progress|busy/i.test(message)) return takenProblem(headset);
  return (
    `${headset} does not answer: switch it on, bring it near, and disconnect it from phones and other ` +
    'programs.'
  );
}

export const takenProblem = (headset: string): string =>
  `${headset} is in use by another program or another tab: close that one, or disconnect there.`;

export const firmwareProblem = (headset: string, firmware: string): string =>
  `${headset} sends no EEG (${firmware}): update its firmware with the Muse app, then switch it off and on.`;

const asError = (error: unknown): Error =>
  error instanceof Error || error instanceof DOMException ? error : new Error(String(error));
