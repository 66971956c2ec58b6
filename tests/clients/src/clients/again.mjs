// Repeating over HTTP, for clients that leave it to the application.

/** Asks again until there is an answer, be it a refusal. */
export async function untilAnswered(ask, isRefusal) {
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (isRefusal(error)) throw error
      await new Promise(resolve => setTimeout(resolve, 5))
    }
  }
}
