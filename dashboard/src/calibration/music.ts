/**
 * Music of the person's own, from a local file. It is decoded and played in the page, and never
 * sent anywhere.
 */

/** A larger file is refused: decoded, it would take more memory than a phone has. */
export const MAX_MUSIC_BYTES = 20_000_000;
/** Root mean square at which music is played, so that both pieces are equally loud. */
const LEVEL = 0.08;
/** Largest gain: a nearly silent file stays quiet. */
const MAX_GAIN = 8;
/** Seconds in which the music fades in and out. */
const FADE = 1.5;

/** Gain that brings samples to the common loudness. */
export function gainFor(channels: readonly Float32Array[]): number {
  let [sum, count, peak] = [0, 0, 0];
  for (const samples of channels)
    for (const sample of samples) {
      sum += sample * sample;
      count += 1;
      peak = Math.max(peak, Math.abs(sample));
    }
  if (!count || !sum) return 1;
  return Math.min(LEVEL / Math.sqrt(sum / count), MAX_GAIN, 1 / peak);
}

interface Piece {
  name: string;
  buffer: AudioBuffer;
  gain: number;
  /** Position at which it continues in the next block, seconds. */
  offset: number;
}

/** Pieces of music by state. */
export class Music {
  private readonly pieces = new Map<string, Piece>();
  private playing: { source: AudioBufferSourceNode; gain: GainNode } | null = null;

  /** Load the file for a state. Throws an Error if it cannot be played. */
  async load(context: BaseAudioContext, state: string, file: File): Promise<void> {
    if (file.size > MAX_MUSIC_BYTES)
      throw new Error(`use a file of up to ${MAX_MUSIC_BYTES / 1e6} MB; this one is larger`);
    const buffer = await context.decodeAudioData(await file.arrayBuffer()).catch(() => {
      throw new Error(
        `this browser cannot play ${file.name}; use another file, such as MP3 or WAV`,
      );
    });
    const channels = Array.from({ length: buffer.numberOfChannels }, (_, n) =>
      buffer.getChannelData(n),
    );
    this.pieces.set(state, { name: file.name, buffer, gain: gainFor(channels), offset: 0 });
  }

  remove(state: string): void {
    this.pieces.delete(state);
  }

  /** Name of the file for a state; null if there is none. */
  nameOf(state: string): string | null {
    return this.pieces.get(state)?.name ?? null;
  }

  /** Play the piece of a state, from where it stopped before, for so many seconds. */
  play(context: AudioContext, state: string, seconds: number): void {
    this.stop(context);
    const piece = this.pieces.get(state);
    if (!piece || seconds <= 0) return;
    const [source, gain] = [context.createBufferSource(), context.createGain()];
    const [start, end] = [context.currentTime, context.currentTime + seconds];
    source.buffer = piece.buffer;
    source.loop = true;
    gain.gain.setValueAtTime(0, start);
    gain.gain.linearRampToValueAtTime(piece.gain, start + FADE);
    gain.gain.setValueAtTime(piece.gain, Math.max(start + FADE, end - FADE));
    gain.gain.linearRampToValueAtTime(0, end);
    source.connect(gain).connect(context.destination);
    source.start(start, piece.offset);
    source.stop(end);
    piece.offset = (piece.offset + seconds) % piece.buffer.duration;
    this.playing = { source, gain };
  }

  /** Stop the music that plays now. */
  stop(context: AudioContext): void {
    if (!this.playing) return;
    const { source, gain } = this.playing;
    gain.gain.cancelScheduledValues(context.currentTime);
    gain.gain.setTargetAtTime(0, context.currentTime, EDGE);
    source.stop(context.currentTime + 5 * EDGE);
    this.playing = null;
  }
}

/** Time constant of an early stop, seconds. */
const EDGE = 0.05;
