/** Reader with a fault behind four letters in order, of which each is a branch of its own. */
export function planted (text: string): number {
  if (text[0] !== 'o') return 0
  if (text[1] !== 't') return 1
  if (text[2] !== 'p') return 2
  if (text[3] !== '!') return 3
  throw new Error('found')
}
