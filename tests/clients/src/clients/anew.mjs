// Subscribing anew after a loss, for clients that leave it to the application.

/**
 * `begin(variables, sink)` subscribes once. Whatever the network does ends that; then it is begun again from the last cursor. An error
 * of GraphQL is the end, and so is the test's: else it would go on for ever against a server that is gone.
 */
export function anew(t, begin, isRefusal, online, { ...variables }, sink) {
  let over = false
  t.after(() => { over = true })
  const next = result => {
    if (result.extensions?.cursor) variables.after = result.extensions.cursor
    sink.next(result)
  }
  const lost = async error => {
    if (isRefusal(error)) return sink.error(error)
    await new Promise(resolve => setTimeout(resolve, 5))
    await online()
    if (!over) again()
  }
  const again = () => begin({ ...variables }, { next, error: lost, complete: sink.complete })
  again()
}
