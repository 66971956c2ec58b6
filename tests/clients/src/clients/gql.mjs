// PyPI gql 4 as docs/clients.md prints it, in a Python process that is told what to do line by line.

import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { addressed, block } from '../printed.mjs'

const file = path => fileURLToPath(new URL(path, import.meta.url))

/** The interpreter that has requirements.txt installed. */
export const python = process.env.TIDINGS_PYTHON ?? file('../../../../target/venv/bin/python')

/** Its client that offers these subprotocols; without any said, those that it offers by itself. */
export const offering = offers => (t, places) => open(t, places, offers)

export async function open(t, places, offers = null) {
  const { http } = places
  if (!existsSync(python)) throw new Error(`no Python with requirements.txt at ${python}: set TIDINGS_PYTHON`)
  const recipe = addressed(block('gql 4 (Python)', 'python'), places)
  const told = { recipe, offers, http }
  const child = spawn(python, ['-u', file('./gql_client.py'), JSON.stringify(told)], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.after(() => child.kill('SIGKILL'))
  const say = line => child.stdin.write(`${JSON.stringify(line)}\n`)
  const sinks = []
  const answers = []
  child.once('exit', code => {
    const ended = new Error(`gql_client.py ended (${code})`)
    for (const { reject } of answers) reject(ended)
    for (const sink of sinks) sink.error(ended)
  })
  /** A token, or nothing where there is none to be had. */
  const token = () => {
    try {
      return places.token()
    } catch {
      return null
    }
  }
  createInterface({ input: child.stdout }).on('line', line => {
    const { wants, subscription, next, error, answer, data } = JSON.parse(line)
    if (wants) say({ token: token() })
    if (next) sinks[subscription].next(next)
    if (error && subscription !== undefined) sinks[subscription].error(error)
    if (answer !== undefined) error ? answers[answer].reject(error) : answers[answer].resolve(data)
  })
  return {
    resumes: false,
    codes: errors => errors.map(error => error.extensions.code),
    subscribe: (query, variables, sink) => say({ subscription: sinks.push(sink) - 1, query, variables }),
    ask: (query, variables) => {
      return new Promise((resolve, reject) => say({ answer: answers.push({ resolve, reject }) - 1, query, variables }))
    },
  }
}
