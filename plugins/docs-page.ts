import type { FastifySwaggerUiOptions } from '@fastify/swagger-ui'

/** Tag of the operations that the page shows first. Only the page has it: `/openapi.json` keeps one tag for each operation. */
const START = 'Start here'
const STARTING: ReadonlyArray<readonly [path: string, method: string]> = [
  ['/users', 'post'], ['/token', 'post'], ['/totp/create', 'post'], ['/totp/login', 'post']
]

/**
 * Plugin of Swagger UI, which runs in the browser: an answer with an access token has a button that authorizes with it, and a QR
 * code is shown as a picture.
 */
const PLUGIN = `globalThis.countersignPlugin = ({ React }) => ({
  wrapComponents: {
    responseBody: (Original, system) => (props) => {
      const answer = read(props.content)
      const parts = []
      if (typeof answer.access === 'string') {
        parts.push(React.createElement('button', {
          key: 'token',
          className: 'btn authorize countersign-token',
          onClick: () => system.authActions.authorizeWithPersistOption({
            bearer: { name: 'bearer', schema: { type: 'http', scheme: 'bearer' }, value: answer.access }
          })
        }, 'Use this access token'))
      }
      if (typeof answer.otpQr === 'string' && answer.otpQr.startsWith('data:image/png;base64,')) {
        parts.push(React.createElement('img', {
          key: 'qr', className: 'countersign-qr', src: answer.otpQr, alt: 'QR code for an authenticator app'
        }))
      }
      return React.createElement('div', null, ...parts, React.createElement(Original, props))
    }
  }
})
function read (content) {
  try {
    const value = JSON.parse(content)
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}
`

const STYLE = '.countersign-token { margin: 8px 0 } .countersign-qr { display: block; margin: 8px 0; background: #fff; padding: 8px }'

const LOGO = `<svg xmlns="http://www.w3.org/2000/svg" width="220" height="40" viewBox="0 0 220 40"><text x="0" y="28"
  font-family="sans-serif" font-size="26" font-weight="600" fill="#fff">Countersign</text></svg>`

// Both are written into a script of the page, by their source.
const download = 'SwaggerUIBundle.plugins.DownloadUrl'
const inPage = (expression: string): unknown => Object.assign(() => {}, { toString: () => expression })

/**
 * Returns the options of the page at `/docs`. It loads from its own origin alone, and works without TLS.
 *
 * @param prefix path at the proxy in front, which removes it; empty if there is none
 */
export const docsPageOf = (prefix: string): FastifySwaggerUiOptions => ({
  routePrefix: '/docs',
  indexPrefix: prefix,
  staticCSP: true,
  transformStaticCSP: (header) => header.replace(' validator.swagger.io', '').replace(/ *upgrade-insecure-requests;?/, ''),
  uiConfig: {
    persistAuthorization: true,
    tryItOutEnabled: true,
    displayRequestDuration: true,
    plugins: [inPage(download), inPage('(system) => countersignPlugin(system)')]
  } as NonNullable<FastifySwaggerUiOptions['uiConfig']>,
  logo: { type: 'image/svg+xml', content: LOGO, href: `${prefix}/docs` },
  theme: {
    title: 'Countersign',
    js: [{ filename: 'countersign.js', content: PLUGIN }],
    css: [{ filename: 'countersign.css', content: STYLE }]
  },
  transformSpecification: (document) => startingFirst(document as unknown as Document) as never
})

interface Document { tags: Array<{ name: string, description: string }>, paths: Record<string, Record<string, { tags: string[] }>> }

/** Adds a first group with the operations of the walk through the page, beside their own groups. @param document a copy */
function startingFirst (document: Document): Document {
  for (const [path, method] of STARTING) {
    const operation = document.paths[path]?.[method]
    if (operation !== undefined) operation.tags = [START, ...operation.tags]
  }
  // In the order of the walk, which is that of the paths.
  const first = STARTING.map(([path]) => path).filter((path) => path in document.paths)
  document.paths = { ...Object.fromEntries(first.map((path) => [path, document.paths[path]!])), ...document.paths }
  document.tags.unshift({ name: START, description: 'Sign up, log in, set up an authenticator app, verify' })
  return document
}
