/**
 * What was typed as a number; what is no number stays a text, so that the service can say so.
 *
 * So does "1,200": its comma may group thousands, or stand before a fraction.
 */
export function typedNumber(typed: string): number | string {
  if (/^[1-9]\d{0,2}(,\d{3})+$/.test(typed)) return typed;
  const number = Number(typed.replace(',', '.'));
  return Number.isFinite(number) ? number : typed;
}
