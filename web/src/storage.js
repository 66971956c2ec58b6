// Where GraphiQL keeps its tabs: apart for each user, so that two users in one browser do not share editors.

/** A Storage whose keys belong to `user`. Tokens are not in it: GraphiQL leaves headers out. */
export function storageOf(user) {
  const prefix = `tidings:${user ?? ''}:`
  const keys = () => Object.keys(localStorage).filter(key => key.startsWith(prefix))
  return {
    getItem: key => localStorage.getItem(prefix + key),
    setItem: (key, value) => localStorage.setItem(prefix + key, value),
    removeItem: key => localStorage.removeItem(prefix + key),
    clear: () => keys().forEach(key => localStorage.removeItem(key)),
    get length() {
      return keys().length
    },
  }
}
