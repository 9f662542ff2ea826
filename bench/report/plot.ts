import type { Table } from '../results.ts';
import { median, range } from './statistics.ts';

const width = 720;
const letter = 6.6; // of this font, on average
const bar = 18;
const gap = 10;
const top = 34;
const figures = 90; // room for the number behind the longest bar

const escape = (text: string): string =>
  text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`);

/** One bar per subject: the median, with a line from the least to the most. Nothing outside it is needed. */
export function plot({ title, unit, rows }: Table): string {
  const all = rows.map(({ subject, samples }) => {
    const totals = samples.map(({ total }) => total);
    return { subject, middle: median(totals), ends: range(totals) };
  });
  const labels = 20 + letter * Math.max(...rows.map(({ subject }) => subject.length));
  const most = Math.max(...all.map(({ ends }) => ends[1]));
  const x = (value: number): string =>
    (labels + (value / most) * (width - labels - figures)).toFixed(1);
  const height = top + all.length * (bar + gap);
  const bars = all.map(({ subject, middle, ends: [least, highest] }, at) => {
    const y = top + at * (bar + gap);
    const line = y + bar / 2;
    const length = (Number(x(middle)) - labels).toFixed(1);
    return [
      `<text x="${labels - 8}" y="${y + 13}" text-anchor="end">${escape(subject)}</text>`,
      `<rect x="${labels}" y="${y}" width="${length}" height="${bar}" fill="${at === 0 ? '#2b6cb0' : '#a0aec0'}"/>`,
      `<path d="M${x(least)} ${line}H${x(highest)}M${x(least)} ${line - 4}v8M${x(highest)} ${line - 4}v8" stroke="#1a202c"/>`,
      `<text x="${Number(x(highest)) + 6}" y="${y + 13}">${middle.toPrecision(3)}</text>`,
    ].join('\n');
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
<text x="8" y="20" font-weight="bold">${escape(`${title}: ${unit}`)}</text>
${bars.join('\n')}
</svg>
`;
}
