import { test } from 'node:test'
import { open } from './src/clients/graphql-sse.mjs'
import * as refusals from './src/refusals.mjs'
import { ride } from './src/ride.mjs'
import { aSilentLineIsNoticed, noWaitGrowsWithoutEnd } from './src/waits.mjs'

test('graphql-sse ends with exactly the log, however often it is cut off', t => ride(t, { open, cuts: 20, kills: 2, silences: 1, history: 1_000, haste: 12.5 }))
test('graphql-sse ends a refused subscription and goes on with the others', t => refusals.refusedSubscriptionsEndAndTheOthersGoOn(t, open))
test('graphql-sse asks for a fresh token when one is not accepted', t => refusals.aBadTokenIsAskedForAgain(t, open))
test('graphql-sse waits for a token that is out of reach', t => refusals.aTokenOutOfReachIsWaitedFor(t, open))
test('graphql-sse notices a line that has gone silent', t => aSilentLineIsNoticed(t, open))
test('graphql-sse comes back within a minute, however often it was cut', t => noWaitGrowsWithoutEnd(t, open))
