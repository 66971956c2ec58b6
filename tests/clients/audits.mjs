// All 61 audits of graphql-http's `serverAudits`: of the server at the address given, else of one started for them.
//
//   node audits.mjs [http://127.0.0.1:4000/graphql]
//
// Exits 0 when each answers ok, MUST, SHOULD and MAY alike. They ask for introspection only, so they need no token.

import { auditServer } from 'graphql-http'
import { Server } from './src/server.mjs'

// Of 1.23.1. Another number means that something else was asked.
const AUDITS = 61

const url = process.argv[2] ?? (await Server.start()).http
const results = await auditServer({ url })
const isOk = ({ status }) => status === 'ok'
for (const { id, name, reason, response } of results.filter(result => !isOk(result))) {
  console.error(`not ok ${id} ${name}: ${reason} (${response?.status})`)
}
console.log(`${results.filter(isOk).length} of ${results.length} audits ok`)
process.exit(results.length === AUDITS && results.every(isOk) ? 0 : 1)
