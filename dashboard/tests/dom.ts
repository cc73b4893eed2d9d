import { type Component, flushSync, mount, unmount } from 'svelte';
import { afterEach } from 'vitest';

let mounted: Record<string, unknown> | null = null;

/** Mount a component in the document; it is removed after the test. */
export function render<Props extends Record<string, unknown>>(
  component: Component<Props>,
  props: Props,
): void {
  mounted = mount(component, { target: document.body, props });
  flushSync();
}

/** Remove the mounted component. */
export async function clear(): Promise<void> {
  if (mounted) await unmount(mounted);
  mounted = null;
  document.body.replaceChildren();
}

afterEach(clear);

/** Wait for resolved promises, and update the document. */
export async function settled(): Promise<void> {
  flushSync();
  await new Promise((resolve) => setTimeout(resolve, 0));
  flushSync();
}

/** Element of a test id; throws if there is none. */
export function find<T extends HTMLElement>(testid: string): T {
  const found = document.querySelector<T>(`[data-testid="${testid}"]`);
  if (!found) throw new Error(`expected an element with test id ${testid}, found none`);
  return found;
}

export const text = (testid: string): string =>
  find(testid).textContent.replace(/\s+/g, ' ').trim();

export const there = (testid: string): boolean =>
  document.querySelector(`[data-testid="${testid}"]`) !== null;

/** Type a value into a field, and send these events. */
export function enter(testid: string, value: string, ...events: string[]): void {
  const field = find<HTMLInputElement>(testid);
  field.value = value;
  for (const event of events.length ? events : ['input', 'change'])
    field.dispatchEvent(new Event(event, { bubbles: true }));
  flushSync();
}

export async function click(testid: string): Promise<void> {
  find(testid).click();
  await settled();
}
