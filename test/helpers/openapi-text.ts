import type { FastifyInstance } from 'fastify'

/** Longest line of the committed document. */
const WIDTH = 180

/** Returns the document in the form that is committed: what fits into a line has one, as in code. */
export function openapiText (app: FastifyInstance): string {
  return shown(withoutAddress(app.swagger()), '', 0) + '\n'
}

/** Returns a document without the address of the service in it, which is each operator's own. */
export function withoutAddress<Document extends object> (document: Document): Document {
  const { externalDocs, ...rest } = document as Document & { externalDocs?: object }
  return { ...rest as Document, servers: [{ url: '/' }] }
}

/** @param before length of the text before the value in its line */
function shown (value: unknown, indent: string, before: number): string {
  const short = inOneLine(value)
  if (typeof value !== 'object' || value === null || indent.length + before + short.length < WIDTH) return short
  const inner = `${indent}  `
  const isList = Array.isArray(value)
  const lines = Object.entries(value).map(([key, one]) => {
    const name = isList ? '' : `${JSON.stringify(key)}: `
    return `${inner}${name}${shown(one, inner, name.length)}`
  })
  return `${isList ? '[' : '{'}\n${lines.join(',\n')}\n${indent}${isList ? ']' : '}'}`
}

function inOneLine (value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(inOneLine).join(', ')}]`
  const fields = Object.entries(value).map(([key, one]) => `${JSON.stringify(key)}: ${inOneLine(one)}`)
  return fields.length === 0 ? '{}' : `{ ${fields.join(', ')} }`
}
