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

// `npm run dev` asks a server that runs beside it.
const SERVER = process.env.TIDINGS_URL ?? 'http://127.0.0.1:4000'

export default defineConfig({
  base: '/playground/',
  build: {
    // The licences of what is in the bundle travel with it.
    license: { fileName: 'licenses.md' },
    // The Content-Security-Policy lets neither scripts nor styles be data: addresses.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 8000,
    reportCompressedSize: false,
  },
  server: { proxy: { '/graphql': { target: SERVER, ws: true }, '/playground/config.json': { target: SERVER } } },
  plugins: [gzip],
})
