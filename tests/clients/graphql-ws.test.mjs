import { test } from 'node:test'
import { open } from './src/clients/graphql-ws.mjs'
import { noLinks } from './src/link.mjs'
import * as refusals from './src/refusals.mjs'
import { ride } from './src/ride.mjs'

test('graphql-ws ends with exactly the log, however often it is cut off', t => ride(t, { open, cuts: 200, kills: 10, history: 2_000, links: noLinks }))
test('graphql-ws ends with exactly the log, however bad its networks are', t => ride(t, { open, cuts: 20, kills: 2, silences: 2, history: 1_000 }))
test('graphql-ws shows the codes of errors', t => refusals.codesAreSeen(t, open))
test('graphql-ws ends a refused subscription and goes on with the others', t => refusals.refusedSubscriptionsEndAndTheOthersGoOn(t, open))
test('graphql-ws asks for a fresh token when one is not accepted', t => refusals.aBadTokenIsAskedForAgain(t, open))
test('graphql-ws waits for a token that is out of reach', t => refusals.aTokenOutOfReachIsWaitedFor(t, open))
test('graphql-ws loses nothing when its token expires', t => refusals.anExpiringTokenCostsNothing(t, open))
