// Clients whose recipe is a function that follows: it passes the newest place as `after`, and hands refusals on as results.

export function following(follow) {
  const subscribe = (query, variables, { next, error, complete }) => {
    follow(query, variables, { next: result => (result.errors ? error(result.errors) : next(result)), error, complete })
  }
  return {
    resumes: false,
    codes: errors => errors.map(each => each.extensions.code),
    subscribe,
    ask: (query, variables) => {
      return new Promise((resolve, reject) => subscribe(query, variables, { next: ({ data }) => resolve(data), error: reject, complete() {} }))
    },
  }
}
