// The recipes that README.md and docs/clients.md print are the clients that are tested: they are run as they stand, with the
// server under test in place of the printed addresses.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'

const page = name => readFileSync(new URL(`../../../${name}`, import.meta.url), 'utf8')
const CLIENTS = page('docs/clients.md')
const README = page('README.md')
const IMPORT = /^import (\{.*?\}) from '(.*?)'$/gm
const EXPORT = /^export (?=(?:const|(?:async )?function) (\w+))/gm

/** The block of code under a heading of docs/clients.md. */
export function block(heading, language) {
  const section = CLIENTS.split(`\n## ${heading}\n`)[1]?.split('\n## ')[0]
  const code = section?.match(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\``, 'ms'))?.[1]
  assert.ok(code, `docs/clients.md has a block of ${language} under "${heading}"`)
  return code
}

/** The same, with these addresses in it. */
export function addressed(code, { ws, http }) {
  const place = (text, printed, own) => text.replaceAll(new RegExp(`(['"])${printed}\\1`, 'g'), JSON.stringify(own))
  return place(place(code, 'ws://127\\.0\\.0\\.1:4000/graphql', ws), 'http://127\\.0\\.0\\.1:4000/graphql', http)
}

/**
 * What a block of JavaScript exports. `scope` holds the names that it leaves to the application; `instead` holds what takes
 * the place of an import, by name.
 */
export async function printed(heading, places, scope, instead = {}) {
  const code = block(heading, 'js')
  const exports = [...code.matchAll(EXPORT)].map(([, name]) => name)
  assert.ok(exports.length, `the block under "${heading}" exports something`)
  const modules = {}
  for (const [, , name] of code.matchAll(IMPORT)) modules[name] = { ...(await import(name)), ...instead }
  const body = addressed(code, places)
    .replaceAll(IMPORT, (_, names, name) => `const ${names} = modules[${JSON.stringify(name)}]`)
    .replaceAll(EXPORT, '')
  const returned = `${body}\nreturn { ${exports.join(', ')} }`
  return new Function('modules', ...Object.keys(scope), returned)(modules, ...Object.values(scope))
}

assert.ok(README.includes(block('graphql-ws 6', 'js')), 'README.md prints the same recipe for graphql-ws')
