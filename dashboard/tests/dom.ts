/** The element of a test id; throws where there is none. */
export function find<T extends HTMLElement>(testid: string): T {
  const found = document.querySelector<T>(`[data-testid="${testid}"]`);
  if (!found) throw new Error(`there is no ${testid}`);
  return found;
}

export const text = (testid: string): string =>
  find(testid).textContent.replace(/\s+/g, ' ').trim();

export const there = (testid: string): boolean =>
  document.querySelector(`[data-testid="${testid}"]`) !== null;
