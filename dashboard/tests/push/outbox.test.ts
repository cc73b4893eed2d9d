import { describe, expect, it } from 'vitest';
import type { SensorSamples } from 'mimamba-client';
import { Outbox, type Packet } from '../../src/push/outbox';

const samples = (first: number, count = 12): Pick<Packet, 'first' | 'timestamps' | 'data'> => ({
  first,
  timestamps: new Float64Array(count),
  data: new Float32Array(4 * count),
});
const lost = { state: 'lost', timestamp: 1, detail: 'gone' } as const;

describe('Outbox', () => {
  it('keeps packets until they are acknowledged', () => {
    const outbox = new Outbox(256, () => undefined);
    for (const first of [0, 12, 36]) outbox.put(samples(first));
    outbox.finish();
    expect(outbox.read(0, 9).map(({ first }) => first)).toEqual([0, 12, 36, 48]);
    outbox.acknowledge(1);
    expect(outbox.read(0, 9).map(({ seq }) => seq)).toEqual([2, 3]);
    expect(outbox.delivered).toBe(false);
    outbox.acknowledge(3);
    expect(outbox.delivered).toBe(true);
  });

  it('drops the oldest when it is full, but not their link changes', () => {
    const outbox = new Outbox(256, () => undefined, 1);
    outbox.putChange(lost);
    for (let k = 0; k < 30; k++) outbox.put(samples(12 * k));
    const kept = outbox.read(0, 99);
    expect(kept.reduce((sum, { timestamps }) => sum + timestamps.length, 0)).toBe(252);
    expect(outbox.lost).toBe(30 * 12 - 252);
    expect(kept[0]!.changes).toEqual([lost]);
    expect(kept.at(-1)!.seq).toBe(30);
  });

  it('removes what the service refuses', () => {
    const outbox = new Outbox(256, () => undefined);
    outbox.put(samples(0));
    outbox.put(samples(12));
    expect(outbox.refuse(0)).toBe(12);
    expect(outbox.read(0, 9).map(({ seq }) => seq)).toEqual([1]);
  });

  it('sends what else was measured with the samples, and drops it with them', () => {
    const outbox = new Outbox(256, () => undefined, 1);
    const pulse = (first: number): SensorSamples => ({
      ...{ name: 'ppg', unit: 'counts', sfreq: 64, channels: ['red'], first },
      ...{ timestamps: new Uint8Array(8), data: new Uint8Array(4) },
    });
    for (let k = 0; k < 30; k++) outbox.put(samples(12 * k), [pulse(k)], k);
    outbox.putSensors([pulse(30)]);
    outbox.putSensors([]);
    outbox.finish();
    const kept = outbox.read(0, 99);
    expect(kept.flatMap(({ sensors }) => sensors.map(({ first }) => first))).toEqual(
      Array.from({ length: 22 }, (_, k) => k + 9),
    );
    expect(kept.slice(-3).map(({ battery, ends }) => [battery, ends])).toEqual([
      [29, false],
      [null, false],
      [null, true],
    ]);
    expect(kept.at(-2)!.first).toBe(360);
  });
});
