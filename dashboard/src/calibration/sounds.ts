/** Cues by sound, so that the eyes may stay closed: tones, and a voice where the device has one. */

/** One tone of a sound; `at` and `seconds` in seconds. */
export interface Tone {
  hz: number;
  at: number;
  seconds: number;
}

export type Sound = 'first' | 'second' | 'begin' | 'end' | 'again' | 'done';

const tones = (seconds: number, ...pitches: number[]): Tone[] =>
  pitches.map((hz, n) => ({ hz, at: n * seconds, seconds }));

/** Two tones up for the first state, two down for the second; three for the end of a block. */
export const SOUNDS: Record<Sound, readonly Tone[]> = {
  first: tones(0.3, 392, 587),
  second: tones(0.3, 587, 392),
  begin: tones(0.25, 440),
  end: tones(0.2, 660, 660, 660),
  again: tones(0.3, 330, 330),
  done: tones(0.25, 392, 494, 587, 784),
};

export const isSound = (name: string): name is Sound => Object.hasOwn(SOUNDS, name);

/** Loudness of a tone at its loudest, of 1. */
const LOUDNESS = 0.25;
/** Seconds in which a tone rises and falls: a sudden one would click, and startle. */
const EDGE = 0.04;

/** A voice of this device in English; null if there is none. Others would send the text away. */
export const localVoice = (voices: readonly SpeechSynthesisVoice[]): SpeechSynthesisVoice | null =>
  voices.find(({ localService, lang }) => localService && /^en\b/i.test(lang)) ?? null;

/** Plays tones and speaks. Browsers allow sound only after `unlock` within a click or a key press. */
export class Sounds {
  private context: AudioContext | null = null;

  constructor(
    private readonly makeContext: () => AudioContext = () => new AudioContext(),
    private readonly speech: SpeechSynthesis | undefined = globalThis.speechSynthesis,
  ) {
    this.speech?.getVoices(); // some browsers load their voices at the first question
  }

  /** The audio context; null before `unlock`. */
  get audio(): AudioContext | null {
    return this.context;
  }

  /** Allow sound. */
  unlock(): AudioContext | null {
    try {
      this.context ??= this.makeContext();
      void this.context.resume().catch(() => undefined);
    } catch {
      // a device without sound: the page shows all cues too
    }
    return this.context;
  }

  /** Play a sound; silent before `unlock`. */
  play(sound: Sound): void {
    if (!this.context) return;
    const now = this.context.currentTime;
    for (const { hz, at, seconds } of SOUNDS[sound]) {
      const [tone, gain] = [this.context.createOscillator(), this.context.createGain()];
      const [start, stop] = [now + at, now + at + seconds];
      tone.frequency.value = hz;
      gain.gain.setValueAtTime(0, start);
      gain.gain.linearRampToValueAtTime(LOUDNESS, start + EDGE);
      gain.gain.setValueAtTime(LOUDNESS, Math.max(start + EDGE, stop - EDGE));
      gain.gain.linearRampToValueAtTime(0, stop);
      tone.connect(gain).connect(this.context.destination);
      tone.start(start);
      tone.stop(stop);
    }
  }

  /** Speak a text with a voice of this device; false if there is none. */
  say(text: string): boolean {
    const voice = localVoice(this.speech?.getVoices() ?? []);
    if (!this.speech || !voice) return false;
    const spoken = new SpeechSynthesisUtterance(text);
    [spoken.voice, spoken.lang, spoken.rate] = [voice, voice.lang, 0.95];
    this.speech.cancel();
    this.speech.speak(spoken);
    return true;
  }

  /** Stop speaking. */
  hush(): void {
    if (this.context) this.speech?.cancel();
  }
}
