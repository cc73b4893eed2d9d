import { describe, expect, it } from 'vitest';
import type { ChannelQuality, QualityMessage } from 'mimamba-client';
import { GOOD_SECONDS, GoodContact, poorChannels } from '../../src/calibration/contact';
import { quality } from '../service';

const CHANNELS = ['TP9', 'AF7'];
const GOOD: ChannelQuality = { score: 0.9, reason: null };
const LOOSE: ChannelQuality = { score: 0.2, reason: 'no contact' };

const at = (seconds: number, second = GOOD): QualityMessage =>
  quality('a', 0, seconds * 256, { TP9: GOOD, AF7: second });

describe('poorChannels', () => {
  it('names what is poor, and what was not measured', () => {
    expect(poorChannels(at(1), CHANNELS)).toEqual([]);
    expect(poorChannels(at(1, LOOSE), [...CHANNELS, 'AF8'])).toEqual([
      { channel: 'AF7', reason: 'no contact' },
      { channel: 'AF8', reason: 'not measured yet' },
    ]);
    expect(poorChannels(null, ['TP9'])).toHaveLength(1);
  });
});

describe('GoodContact', () => {
  it('counts the seconds in a row', () => {
    const contact = new GoodContact();
    for (let n = 0; n <= GOOD_SECONDS; n++) expect(contact.add(at(n), CHANNELS)).toBe(n);
    expect(contact.add(at(GOOD_SECONDS + 1, LOOSE), CHANNELS)).toBe(0);
    expect(contact.add(at(GOOD_SECONDS + 2), CHANNELS)).toBe(0);
    expect(contact.add(at(GOOD_SECONDS + 3), CHANNELS)).toBe(1);
  });

  it('begins again after a pause, a clock that steps back, or without channels', () => {
    const contact = new GoodContact();
    contact.add(at(0), CHANNELS);
    expect(contact.add(at(1), CHANNELS)).toBe(1);
    expect(contact.add(at(9), CHANNELS)).toBe(0);
    expect(contact.add(at(10), CHANNELS)).toBe(1);
    expect(contact.add(at(3), CHANNELS)).toBe(0);
    expect(contact.add(at(4), [])).toBe(0);
  });
});
