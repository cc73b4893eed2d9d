/** In-place radix-2 FFT of a power of two of values, with precomputed tables. */
export class FFT {
  private readonly cos: Float64Array;
  private readonly sin: Float64Array;
  private readonly order: Uint32Array;

  constructor(readonly size: number) {
    const bits = Math.log2(size);
    if (!Number.isInteger(bits)) throw new RangeError(`expected a power of two, found ${size}`);
    const angle = (i: number): number => (-2 * Math.PI * i) / size;
    this.cos = Float64Array.from({ length: size / 2 }, (_, i) => Math.cos(angle(i)));
    this.sin = Float64Array.from({ length: size / 2 }, (_, i) => Math.sin(angle(i)));
    this.order = new Uint32Array(size);
    for (let i = 1; i < size; i++)
      this.order[i] = (this.order[i >> 1]! >> 1) | (i & 1 ? size >> 1 : 0);
  }

  /** Replace the values with their transform. */
  run(real: Float64Array, imaginary: Float64Array): void {
    this.shuffle(real);
    this.shuffle(imaginary);
    for (let half = 1; half < this.size; half *= 2)
      for (let start = 0; start < this.size; start += 2 * half)
        for (let k = 0; k < half; k++)
          this.butterfly(real, imaginary, start + k, half, (k * this.size) / (2 * half));
  }

  private butterfly(re: Float64Array, im: Float64Array, a: number, half: number, t: number): void {
    const b = a + half;
    const c = this.cos[t]!;
    const s = this.sin[t]!;
    const x = re[b]! * c - im[b]! * s;
    const y = re[b]! * s + im[b]! * c;
    re[b] = re[a]! - x;
    im[b] = im[a]! - y;
    re[a] = re[a]! + x;
    im[a] = im[a]! + y;
  }

  private shuffle(values: Float64Array): void {
    for (let i = 0; i < this.size; i++) {
      const j = this.order[i]!;
      if (j <= i) continue;
      const value = values[i]!;
      values[i] = values[j]!;
      values[j] = value;
    }
  }
}
