import { test } from 'node:test'
import { offering } from './src/clients/gql.mjs'
import * as refusals from './src/refusals.mjs'
import { ride } from './src/ride.mjs'

const [MODERN, LEGACY] = ['graphql-transport-ws', 'graphql-ws']

for (const [offers, what] of [[null, 'the legacy subprotocol first'], [[MODERN], 'the modern one alone'], [[LEGACY], 'the legacy one alone']]) {
  const open = offering(offers)
  test(`gql, offering ${what}, ends with exactly the log, however often it is cut off`, t => ride(t, { open, cuts: 20, kills: 2, history: 1_000 }))
  test(`gql, offering ${what}, ends a refused subscription and goes on with the others`, t => refusals.refusedSubscriptionsEndAndTheOthersGoOn(t, open))
  test(`gql, offering ${what}, asks for a fresh token when one is not accepted`, t => refusals.aBadTokenIsAskedForAgain(t, open))
  test(`gql, offering ${what}, waits for a token that is out of reach`, t => refusals.aTokenOutOfReachIsWaitedFor(t, open))
}
test('gql shows the codes of errors', t => refusals.codesAreSeen(t, offering(null)))
