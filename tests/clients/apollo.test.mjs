import { test } from 'node:test'
import { open } from './src/clients/apollo.mjs'
import * as refusals from './src/refusals.mjs'
import { ride } from './src/ride.mjs'

test('Apollo Client ends with exactly the log, however often it is cut off', t => ride(t, { open, cuts: 20, kills: 2, silences: 1, history: 1_000 }))
test('Apollo Client shows the codes of errors', t => refusals.codesAreSeen(t, open))
test('Apollo Client ends a refused subscription and goes on with the others', t => refusals.refusedSubscriptionsEndAndTheOthersGoOn(t, open))
test('Apollo Client asks for a fresh token when one is not accepted', t => refusals.aBadTokenIsAskedForAgain(t, open))
test('Apollo Client waits for a token that is out of reach', t => refusals.aTokenOutOfReachIsWaitedFor(t, open))
test('Apollo Client keeps two equal subscriptions apart', t => refusals.equalSubscriptionsAreEachWhole(t, open))
test('Apollo Client loses nothing when its token expires', t => refusals.anExpiringTokenCostsNothing(t, open))
