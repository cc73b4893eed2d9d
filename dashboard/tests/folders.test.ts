import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const SOURCES = join(import.meta.dirname, '../src');
const MAX_FILES = 15;

/** A folder may import from folders after it only; see README.md. */
const ORDER = [
  '',
  'components/people',
  'components/access',
  'embed',
  'components/recordings',
  'components/session',
  'components/study',
  'components/feedback',
  'components/calibration',
  'components/start',
  'components/predictions',
  'components/signal',
  'components/player',
  'components/muse',
  'components/page',
  'styles',
  'plots',
  'feedback',
  'study',
  'calibration',
  'text',
  'state',
  'requests',
  'muse',
  'push',
  'signal',
];

const files = readdirSync(SOURCES, { recursive: true, withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => relative(SOURCES, join(entry.parentPath, entry.name)));
const folderOf = (path: string): string => dirname(path).replace(/^\.$/, '');

/** Folders that a file imports from, without its own. */
function imports(file: string): string[] {
  const text = readFileSync(join(SOURCES, file), 'utf-8');
  return [...text.matchAll(/(?:from|import)\s+'(\.[^']*)'/g)]
    .map(([, path]) => folderOf(normalize(join(dirname(file), path!))))
    .filter((folder) => folder !== folderOf(file));
}

describe('source folders', () => {
  it('are all in the order', () => {
    expect([...new Set(files.map(folderOf))].sort()).toEqual([...ORDER].sort());
  });

  it.each(ORDER)('"%s" has few files', (folder) => {
    const own = files.filter((file) => folderOf(file) === folder);
    expect(own.length).toBeLessThanOrEqual(MAX_FILES);
  });

  it.each(files)('%s imports from lower folders only', (file) => {
    const rank = ORDER.indexOf(folderOf(file));
    const wrong = imports(file).filter((folder) => ORDER.indexOf(folder) <= rank);
    expect(wrong).toEqual([]);
  });
});
