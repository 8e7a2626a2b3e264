import type { FastifyInstance } from 'fastify'

/** Returns the document in the form that is committed: references, and lists of words or numbers, have a line each. */
export function openapiText (app: FastifyInstance): string {
  const ofWords = /\[((?:\n *(?:"(?:[^"\\]|\\.)*"|[0-9]+|null),?)+)\n *\]/g
  const short = JSON.stringify(app.swagger(), null, 2)
    .replace(/\{\n *("\$ref": "[^"]*")\n *\}/g, '{ $1 }')
    .replace(ofWords, (_list, words: string) => `[${words.trim().replace(/,\n */g, ', ')}]`)
  return short + '\n'
}
