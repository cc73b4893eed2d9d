import { describe, expect, it } from 'vitest';
import { gainFor } from '../../src/calibration/music';
import { SOUNDS, Sounds, localVoice } from '../../src/calibration/sounds';

describe('Sounds', () => {
  it('are silent before a click, and without a sound device', () => {
    const sounds = new Sounds(() => {
      throw new Error('no device');
    }, undefined);
    sounds.play('begin');
    expect(sounds.unlock()).toBeNull();
    sounds.play('begin');
    expect(sounds.audio).toBeNull();
    expect(sounds.say('hello')).toBe(false);
  });

  it('differ in the order of their tones', () => {
    const pitches = Object.values(SOUNDS).map((tones) => tones.map(({ hz }) => hz).join());
    expect(new Set(pitches).size).toBe(pitches.length);
    expect(SOUNDS.first.map(({ hz }) => hz)).toEqual(SOUNDS.second.map(({ hz }) => hz).reverse());
  });
});

describe('localVoice', () => {
  const voice = (lang: string, localService: boolean): SpeechSynthesisVoice =>
    ({ lang, localService }) as SpeechSynthesisVoice;

  it('is a voice of this device in English, or none', () => {
    const local = voice('en-GB', true);
    expect(localVoice([voice('de-DE', true), voice('en-US', false), local])).toBe(local);
    expect(localVoice([voice('en-US', false)])).toBeNull();
  });
});

describe('gainFor', () => {
  const sine = (size: number): Float32Array =>
    Float32Array.from({ length: 1000 }, (_, n) => size * Math.sin(n / 5));
  const loudness = (samples: Float32Array): number =>
    gainFor([samples]) * Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);

  it('makes pieces equally loud', () => {
    expect(loudness(sine(0.5))).toBeCloseTo(loudness(sine(0.05)), 5);
  });

  it('does not clip, and leaves silence alone', () => {
    const spike = new Float32Array(10_000);
    spike[5] = 1;
    expect(gainFor([spike])).toBeLessThanOrEqual(1);
    expect(gainFor([new Float32Array(5)])).toBe(1);
    expect(gainFor([])).toBe(1);
    expect(gainFor([sine(1e-6)])).toBeLessThanOrEqual(8);
  });
});
