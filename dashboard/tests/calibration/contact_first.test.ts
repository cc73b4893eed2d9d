import { describe, expect, it } from 'vitest';
import type { QualityMessage } from 'mimamba-client';
import { ContactFirst } from '../../src/calibration/contact_first';

const measured = (timestamp: number, score: number): QualityMessage =>
  ({ timestamp, channels: { TP9: { score, reason: score < 0.7 ? 'flat' : null } } }) as never;

describe('ContactFirst', () => {
  it('shows contact first once it is poor for a while, and until it is good for longer', () => {
    const contact = new ContactFirst();
    const at = (time: number, score: number) => contact.add(measured(time, score), ['TP9']);
    expect([at(0, 1), at(1, 0.1), at(2.5, 0.1)]).toEqual([false, false, true]);
    expect([at(3, 1), at(4, 0.2), at(6, 1), at(9.5, 1)]).toEqual([true, true, true, false]);
    expect(at(1, 0.1)).toBe(false); // a new epoch, whose clock may go back
  });

  it('ignores electrodes that are not used', () => {
    const contact = new ContactFirst();
    for (const time of [0, 2, 4, 6]) expect(contact.add(measured(time, 0), [])).toBe(false);
  });
});
