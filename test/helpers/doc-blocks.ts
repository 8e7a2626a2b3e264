/** Returns the code blocks of a document that directly follow the comment `<!-- name -->`. */
export function blocksAfter (document: string, name: string): string[] {
  const comment = `<!-- ${name} -->`
  return [...document.matchAll(/^(<!-- .* -->)\n```\w*\n([^]*?)\n```$/gm)]
    .filter(([, found]) => found === comment)
    .map(([,, code = '']) => code)
}
