import type uPlot from 'uplot';

/** Line that breaks at NaN. uPlot's own builders need null, which typed arrays cannot hold. */
export const brokenLine: uPlot.Series.PathBuilder = (u, series, from, to) => {
  const xs = u.data[0];
  const ys = u.data[series]!;
  const x = u.scales['x']!;
  const y = u.scales['y']!;
  const { left, top, width, height } = u.bbox;
  const xUnit = width / (x.max! - x.min!);
  const yUnit = height / (y.max! - y.min!);
  const stroke = new Path2D();
  let drawing = false;
  for (let i = from; i <= to; i++) {
    const value = ys[i]!;
    if (Number.isNaN(value)) {
      drawing = false;
      continue;
    }
    const px = left + (xs[i]! - x.min!) * xUnit;
    const py = top + (y.max! - value) * yUnit;
    if (drawing) stroke.lineTo(px, py);
    else stroke.moveTo(px, py);
    drawing = true;
  }
  return { stroke, fill: null, clip: null, flags: 0 };
};

export const FONT = '12px system-ui, sans-serif';
