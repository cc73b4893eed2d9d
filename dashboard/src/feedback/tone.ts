/** A soft tone that swells while there is feedback, and fades when there is none. */

/** Two notes a fifth apart, Hz. */
const NOTES = [220, 330];
/** Loudness, of 1. */
const LOUDNESS = 0.12;
/** Time constants in which it swells and fades, seconds. */
const SWELL = 0.25;
const FADE = 0.12;

export class FeedbackTone {
  private gain: GainNode | null = null;
  private oscillators: OscillatorNode[] = [];

  /** Sound, or be silent. */
  set(context: AudioContext, on: boolean): void {
    if (!this.gain) {
      if (!on) return;
      this.build(context);
    }
    this.gain!.gain.setTargetAtTime(on ? LOUDNESS : 0, context.currentTime, on ? SWELL : FADE);
  }

  /** End it for good. */
  stop(): void {
    for (const each of this.oscillators) each.stop();
    this.gain?.disconnect();
    [this.gain, this.oscillators] = [null, []];
  }

  private build(context: AudioContext): void {
    const gain = context.createGain();
    gain.gain.value = 0;
    gain.connect(context.destination);
    this.oscillators = NOTES.map((hz) => {
      const oscillator = context.createOscillator();
      oscillator.type = 'sine';
      oscillator.frequency.value = hz;
      oscillator.connect(gain);
      oscillator.start();
      return oscillator;
    });
    this.gain = gain;
  }
}
