// Where GraphiQL keeps its tabs: apart for each user, so that two users in one browser do not share editors.

/** How wide the side panel is to the rest, until someone drags its border. */
const PANEL_KEY = 'graphiql:docExplorerFlex'
const PANEL_RATIO = '0.25'

/** A Storage whose keys belong to `user`. Tokens are not in it: GraphiQL leaves headers out. */
export function storageOf(user) {
  const prefix = `tidings:${user ?? ''}:`
  if (localStorage.getItem(prefix + PANEL_KEY) === null) localStorage.setItem(prefix + PANEL_KEY, PANEL_RATIO)
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
