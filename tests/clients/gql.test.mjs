import { test } from 'node:test'
import { open } from './src/clients/gql.mjs'
import * as refusals from './src/refusals.mjs'
import { ride } from './src/ride.mjs'

test('gql ends with exactly the log, however often it is cut off', t => ride(t, { open, cuts: 20, kills: 2, history: 1_000 }))
test('gql shows the codes of errors', t => refusals.codesAreSeen(t, open))
test('gql ends a refused subscription and goes on with the others', t => refusals.refusedSubscriptionsEndAndTheOthersGoOn(t, open))
