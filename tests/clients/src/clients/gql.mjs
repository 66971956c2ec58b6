// PyPI gql 4 in a Python process, told what to do line by line. It has no resume of its own: gql_client.py subscribes
// anew with `after`.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Watched } from '../wait.mjs'

const file = path => fileURLToPath(new URL(path, import.meta.url))

/** The interpreter that has requirements.txt installed. */
export const python = process.env.TIDINGS_PYTHON ?? file('../../../../target/venv/bin/python')

export async function open(t, { ws, http, token }) {
  if (!existsSync(python)) throw new Error(`no Python with requirements.txt at ${python}: set TIDINGS_PYTHON`)
  const child = spawn(python, ['-u', file('./gql_client.py'), ws, http, token()], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  const say = line => child.stdin.write(`${JSON.stringify(line)}\n`)
  const sinks = []
  const answers = []
  const told = new Watched()
  let last = []
  child.once('exit', code => {
    const ended = new Error(`gql_client.py ended (${code})`)
    told.failed(ended)
    for (const { reject } of answers) reject(ended)
    for (const sink of sinks) sink.error(ended)
  })
  createInterface({ input: child.stdout }).on('line', line => {
    const { ping, subscription, next, error, answer, data } = JSON.parse(line)
    if (ping) {
      last = Object.values(ping)
      told.changed()
    }
    if (next) sinks[subscription].next(next)
    if (error && subscription !== undefined) sinks[subscription].error(error)
    if (answer !== undefined) error ? answers[answer].reject(error) : answers[answer].resolve(data)
  })
  return {
    resumes: false,
    codes: errors => errors.map(error => error.extensions.code),
    positions: (wanted, what) => told.until(() => wanted(last), () => `${what}: the last ping said ${JSON.stringify(last)}`),
    subscribe: (query, variables, sink) => say({ subscription: sinks.push(sink) - 1, query, variables }),
    ask: (query, variables) => {
      return new Promise((resolve, reject) => say({ answer: answers.push({ resolve, reject }) - 1, query, variables }))
    },
  }
}
