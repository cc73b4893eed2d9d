/**
 * Receives notifications with the page's decoder: `node receive.mjs ENTRY` reads runs of notifications
 * as JSON from its input, and writes what the receiver makes of each run.
 *
 * tests/drivers/muse/test_page_decoder.py compares that with the Python decoder.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { json } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import { build } from 'vite';

const folder = mkdtempSync(join(tmpdir(), 'muse-'));
try {
  await build({
    configFile: false,
    logLevel: 'error',
    build: {
      lib: { entry: process.argv[2], formats: ['es'], fileName: () => 'receiver.mjs' },
      outDir: folder,
    },
  });
  const { MuseReceiver } = await import(pathToFileURL(join(folder, 'receiver.mjs')).href);
  const runs = await json(process.stdin);
  process.stdout.write(JSON.stringify(runs.map((run) => receive(new MuseReceiver(), run))));
} finally {
  rmSync(folder, { recursive: true });
}

function receive(receiver, notifications) {
  const chunks = [];
  const sensors = [];
  const take = () => {
    chunks.push(...receiver.takeEeg().map(plain));
    sensors.push(
      ...receiver.takeSensors().map((each) => ({ ...plain(each), sensor: each.sensor })),
    );
  };
  for (const [characteristic, hex, at] of notifications) {
    receiver.feed(characteristic, Buffer.from(hex, 'hex'), at);
    take();
  }
  receiver.flush();
  take();
  return { chunks, sensors, battery: receiver.battery };
}

/** A chunk for JSON, in which NaN is null. */
function plain({ first, timestamps, data }) {
  return { first, timestamps: [...timestamps], data: [...data] };
}
