/** The code blocks of a document that stand right after the comment `<!-- name -->`. */
export function blocksAfter (document: string, name: string): string[] {
  const comment = `<!-- ${name} -->`
  return [...document.matchAll(/^(<!-- .* -->)\n```\w*\n([^]*?)\n```$/gm)]
    .filter(([, found]) => found === comment)
    .map(([,, code = '']) => code)
}
