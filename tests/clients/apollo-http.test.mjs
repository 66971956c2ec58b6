import { test } from 'node:test'
import { open } from './src/clients/apollo-http.mjs'
import * as refusals from './src/refusals.mjs'
import { ride } from './src/ride.mjs'

const name = 'Apollo Client over HTTP'

test(`${name} ends with exactly the log, however often it is cut off`, t => ride(t, { open, cuts: 20, kills: 2, history: 1_000 }))
test(`${name} ends a refused subscription and goes on with the others`, t => refusals.refusedSubscriptionsEndAndTheOthersGoOn(t, open))
test(`${name} asks for a fresh token when one is not accepted`, t => refusals.aBadTokenIsAskedForAgain(t, open))
test(`${name} waits for a token that is out of reach`, t => refusals.aTokenOutOfReachIsWaitedFor(t, open))
