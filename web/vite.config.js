import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { defineConfig } from 'vite'

// The server embeds and sends what lies here, so it is compressed once, now.
const gzip = {
  name: 'gzip',
  apply: 'build',
  writeBundle({ dir }) {
    for (const name of readdirSync(dir, { recursive: true })) {
      const path = join(dir, name)
      if (!statSync(path).isFile()) continue
      writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }))
      rmSync(path)
    }
  },
}

export default defineConfig({
  base: '/playground/',
  // The Content-Security-Policy knows no data: scripts, styles or fonts.
  build: { assetsInlineLimit: 0, chunkSizeWarningLimit: 8000, reportCompressedSize: false },
  plugins: [gzip],
})
