import type { CalibrationProgress, HeadCard, VerdictNote } from 'mimamba-client';
import { type Calibration, USUAL_PLAN } from '../../src/requests/calibration';

export const progress = (change: Partial<CalibrationProgress> = {}): CalibrationProgress => ({
  ...{ phase: 'block', block: 1, of: 12, kind: null, left: 10, total: 30, rating_due: false },
  ...{ repeat: null, extra: 0, status: 'ok', reason: null, number: null, step: null },
  ...change,
});

export const verdict = (change: Partial<VerdictNote> = {}): VerdictNote => ({
  ...{ name: 'reliable', served: 'yes', sentence: 'Reliable today: your own output told them.' },
  ...{ accuracy: 0.76, interval: [0.62, 0.88], p: 0.004, attempts: 1, tests: 2 },
  ...{ n_blocks: [6, 6], doubtful: 1, poor: 0.02, reason: null },
  ...{ model: { accuracy: 0.58, interval: [0.4, 0.7], p: 0.3 }, muscle: null, time: null },
  ...change,
});

export const calibration = (change: Partial<Calibration> = {}): Calibration => ({
  ...{ id: 'c1', session: 'a', person: 'P01', contrast: 'calm-strained' },
  ...{ kinds: ['calm', 'strained'], dimension: 'arousal', ...USUAL_PLAN, day: '2026-11-29' },
  ...{ attempt: 1, purpose: 'calibrate', resumed: 0, plan_hash: 'ab', plan: null, blocks: [] },
  ...{ repeated: 0, verdict: null, reason: null, progress: progress() },
  ...change,
});

export const head = (change: Partial<HeadCard> = {}): HeadCard => ({
  ...{ id: 'h1', person: 'P01', contrast: 'calm-strained', kinds: ['calm', 'strained'] },
  ...{ dimension: 'arousal', day: '2026-11-28', verdict: 'reliable', served: 'yes' },
  ...{ sentence: 'Reliable today: it told them.', accuracy: 0.76, interval: [0.62, 0.88] },
  ...{ p: 0.004, attempts: 1, confirmed: true, right: 0, checked: 0, half_life: 5, delay: 8.7 },
  ...{ usable: true, days: [], ratings: 0 },
  ...change,
});
