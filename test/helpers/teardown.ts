/**
 * Registers functions that undo something at the end, in reverse order. A tap test is an owner; helpers require no more, so
 * that they also work outside of tap.
 */
export interface Owner { teardown (undo: () => unknown): unknown }

/** Creates an owner outside of tap. If one function fails, the others still run, and the error is printed. */
export function createOwner (): Owner & { end (): Promise<void> } {
  const undos: Array<() => unknown> = []
  return {
    teardown: (undo) => undos.push(undo),
    async end () {
      for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) {
        try {
          await undo()
        } catch (error) {
          console.error(error)
        }
      }
    }
  }
}
