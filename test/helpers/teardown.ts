/**
 * Takes down what must be undone, and undoes it at the end, last first. A test of tap is one; helpers ask for no more,
 * so that they serve outside of tap too.
 */
export interface Owner { teardown (undo: () => unknown): unknown }

/** An owner outside of tap. One undo that fails does not keep the others from their turn: it is said aloud. */
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
