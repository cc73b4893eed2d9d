import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import type { Plugin } from 'vite';
import { defineConfig } from 'vitest/config';

/** A running service, for `npm run dev`. */
const service = process.env['MIMAMBA_URL'] ?? 'http://127.0.0.1:8000';

/** Put a FILE.gz beside each file of text, which service/http/page.py sends in its place. */
function compress(): Plugin {
  let folder = '';
  return {
    name: 'compress',
    apply: 'build',
    configResolved({ root, build }) {
      folder = resolve(root, build.outDir);
    },
    closeBundle() {
      for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
        if (!entry.isFile() || !/\.(css|html|js|md|svg)$/.test(entry.name)) continue;
        const file = join(entry.parentPath, entry.name);
        writeFileSync(`${file}.gz`, gzipSync(readFileSync(file), { level: 9 }));
      }
    },
  };
}

export default defineConfig({
  plugins: [svelte(), compress()],
  // Svelte's own tests need its browser side; without this, Vitest takes the server's.
  resolve: {
    alias: { 'mimamba-client': fileURLToPath(new URL('client/src/index.ts', import.meta.url)) },
    ...(process.env['VITEST'] && { conditions: ['browser'] }),
  },
  base: './', // a proxy may show the page below a prefix
  build: {
    // Inside the Python package, so that one rule finds it in every kind of installation.
    outDir: '../service/dist',
    emptyOutDir: true,
    // The page, and the view for frames, which is served as /embed/SESSION.
    rolldownOptions: { input: ['index.html', 'embed/index.html'] },
    assetsInlineLimit: 0, // a data: URL would need more than 'self' in the page's policy
    target: 'es2022',
    modulePreload: { polyfill: false },
    license: { fileName: 'licenses.md' }, // the libraries' licences go where their code goes
  },
  server: { proxy: { '/v1': { target: service, ws: true } } },
  test: {
    include: ['tests/**/*.test.ts'],
    restoreMocks: true,
    // Vitest's 5 s are too few on a machine that also does something else.
    testTimeout: 60_000,
    hookTimeout: 60_000,
  },
});
