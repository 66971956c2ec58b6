// The clients that README.md prints are the ones tested: its snippets are run as they stand, with the server under test
// in place of the printed address.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'

const README = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8')
const IMPORT = /^import (\{.*?\}) from '(.*?)'$/gm
const EXPORT = /^export const \w+ =/m

/**
 * What the snippet after `mark` exports. `scope` holds the names that it leaves to the application; `instead` holds what
 * takes the place of an import, by name.
 */
export async function printed(mark, { ws, http }, scope, instead = {}) {
  const snippet = README.split(mark)[1]?.match(/^```js\n(.*?)^```/ms)?.[1]
  assert.ok(snippet, `README.md has a js snippet after "${mark}"`)
  assert.match(snippet, EXPORT)
  const modules = {}
  for (const [, , name] of snippet.matchAll(IMPORT)) modules[name] = { ...(await import(name)), ...instead }
  const body = snippet
    .replaceAll(IMPORT, (_, names, name) => `const ${names} = modules[${JSON.stringify(name)}]`)
    .replaceAll(/'ws:\/\/127\.0\.0\.1:4000\/graphql'/g, JSON.stringify(ws))
    .replaceAll(/'http:\/\/127\.0\.0\.1:4000\/graphql'/g, JSON.stringify(http))
    .replace(EXPORT, 'return')
  return new Function('modules', ...Object.keys(scope), body)(modules, ...Object.values(scope))
}
