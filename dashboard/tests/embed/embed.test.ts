import { describe, expect, it } from 'vitest';
import type { SessionSnapshot } from '../../src/state/session.svelte';
import { readQuality, readState } from '../../src/embed/reading';
import { readWishes } from '../../src/embed/wishes';

const wishes = (address: string) => readWishes(new URL(address, 'http://127.0.0.1:8765'));

describe('readWishes', () => {
  it('takes the session, the parts and the token from the address', () => {
    const found = wishes('/eeg/embed/my%20s?show=heart,state&output=arousal&look=light#token=abc');
    expect(found).toMatchObject({ session: 'my s', output: 'arousal', look: 'light' });
    expect([...found.parts]).toEqual(['state', 'heart']);
    expect(found).toMatchObject({ token: 'abc', problem: null });
  });

  it('has usual parts, and no token', () => {
    const found = wishes('/embed/a');
    expect([...found.parts]).toEqual(['state', 'share', 'reason']);
    expect(found).toMatchObject({ token: null, output: null, look: 'dark', problem: null });
  });

  it.each([
    ['?show=state,colour', 'but found “colour”.'],
    ['?look=blue', 'but found “blue”.'],
    ['?token=secret', 'but found “token”.'],
  ])('says what is wrong with %s', (query, said) => {
    expect(wishes(`/embed/a${query}`).problem).toMatch(new RegExp(`^Expected .+, ${said}$`));
  });
});

const snapshot = (more: object): SessionSnapshot =>
  ({
    outputs: { valence: ['low', 'high'], arousal: ['low', 'high'] },
    head: null,
    ...more,
  }) as unknown as SessionSnapshot;
const available = {
  available: true as const,
  outputs: { valence: { low: 0.3, high: 0.7 }, arousal: { low: 0.6, high: 0.4 } },
};

describe('readState', () => {
  it('takes the likeliest label of the first output, or of the one that is asked for', () => {
    const first = { output: 'Valence', state: 'high', share: '70 %', reason: null };
    expect(readState(snapshot({}), available, null)).toEqual(first);
    expect(readState(snapshot({}), available, 'arousal')).toMatchObject({ state: 'low' });
  });

  it('says why there is no state', () => {
    const none = { available: false as const, title: 'Poor signal', reason: 'TP9 is flat.' };
    const reading = readState(snapshot({}), none, null);
    expect(reading).toMatchObject({ state: null, share: null, reason: 'Poor signal.' });
    expect(readState(snapshot({}), available, 'joy').reason).toBe(
      'Expected output=valence or output=arousal, but found “joy”.',
    );
  });

  it('prefers the own output of the person', () => {
    const personal = { probabilities: { calm: 0.9, strained: 0.1 }, state: 'calm', reason: null };
    const own = snapshot({ head: {}, prediction: { personal } });
    expect(readState(own, available, null)).toMatchObject({ state: 'calm', share: '90 %' });
    expect(readState(own, available, 'valence')).toMatchObject({ state: 'high' });
    const unsure = { ...personal, state: null };
    const doubtful = snapshot({ head: {}, prediction: { personal: unsure } });
    expect(readState(doubtful, available, 'personal')).toMatchObject({ state: 'unsure' });
  });
});

describe('readQuality', () => {
  const quality = {
    channels: { TP9: { score: 0.2, reason: 'flat' }, AF7: { score: 1, reason: null } },
  } as unknown as Parameters<typeof readQuality>[0];

  it('names the worst electrode in use', () => {
    expect(readQuality(quality, [])).toBe('TP9: flat');
    expect(readQuality(quality, ['AF7'])).toBe('Signal good');
    expect(readQuality(null, [])).toBe('');
  });
});
