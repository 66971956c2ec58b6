// The playground: GraphiQL with examples in tabs, and the lobby beside them.

import 'graphiql/setup-workers/vite'
import 'graphiql/style.css'
import './style.css'

import { GraphiQL, HISTORY_PLUGIN } from 'graphiql'
import { createRoot } from 'react-dom/client'

import { examples } from './examples.js'
import { fetcher, post } from './fetcher.js'
import { lobby } from './lobby.jsx'
import { storageOf } from './storage.js'

const root = createRoot(document.getElementById('playground'))

/** The log's end as this page opens: where the resume example begins. */
async function headOf(config, headers) {
  if (!config.token) return null
  try {
    const answer = await post(config.graphqlPath, { query: '{ head }' }, headers)
    return answer.data?.head ?? null
  } catch {
    return null
  }
}

function Who({ user, token, notice }) {
  if (!token) return <span className="tidings-who">Tidings {notice && `· ${notice}`}</span>
  const other = user === 'bob' ? 'ada' : 'bob'
  return (
    <span className="tidings-who">
      you are <b>{user}</b> ·{' '}
      <a href={`/?user=${other}`} target="_blank" rel="noreferrer" title="In another tab of the browser">
        be {other} too
      </a>
    </span>
  )
}

async function start() {
  const asked = new URLSearchParams(location.search).get('user')
  const query = asked ? `?user=${encodeURIComponent(asked)}` : ''
  const response = await fetch(`/playground/config.json${query}`)
  if (!response.ok) throw new Error(await response.text())
  const config = await response.json()
  const headers = config.token ? { Authorization: `Bearer ${config.token}` } : { Authorization: 'Bearer ' }
  const live = lobby(config, headers)
  root.render(
    <GraphiQL
      fetcher={fetcher(config.graphqlPath, headers)}
      defaultTabs={examples(config.user, await headOf(config, headers))}
      defaultHeaders={JSON.stringify(headers, null, 2)}
      defaultEditorToolsVisibility={config.token ? 'variables' : 'headers'}
      inputValueDeprecation
      schemaDescription
      plugins={[live, HISTORY_PLUGIN]}
      visiblePlugin={live}
      storage={storageOf(config.user)}
    >
      <GraphiQL.Logo>
        <Who {...config} />
      </GraphiQL.Logo>
    </GraphiQL>,
  )
}

start().catch(error => root.render(<p role="alert">The playground could not start: {error.message}</p>))
