import { test } from 'node:test'
import { open } from './src/clients/urql.mjs'
import * as refusals from './src/refusals.mjs'
import { ride } from './src/ride.mjs'

test('urql ends with exactly the log, however often it is cut off', t => ride(t, { open, cuts: 20, kills: 2, silences: 1, history: 1_000 }))
test('urql shows the codes of errors', t => refusals.codesAreSeen(t, open))
test('urql ends a refused subscription and goes on with the others', t => refusals.refusedSubscriptionsEndAndTheOthersGoOn(t, open))
test('urql asks for a fresh token when one is not accepted', t => refusals.aBadTokenIsAskedForAgain(t, open))
test('urql waits for a token that is out of reach', t => refusals.aTokenOutOfReachIsWaitedFor(t, open))
test('urql loses nothing when its token expires', t => refusals.anExpiringTokenCostsNothing(t, open))
