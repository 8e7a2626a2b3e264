interface Outputs { stdout: NodeJS.WriteStream, stderr: NodeJS.WriteStream }

/**
 * Handles output that cannot be written, without a stack. If the reader closes the output early, as `head` does, the work
 * continues. Any other fault, such as a full disk, prints one line on standard error and exits with 1, because the lost
 * output may be a secret that is shown once.
 */
export function guardOutput ({ stdout, stderr }: Outputs): void {
  let isReported = false
  stderr.on('error', () => {})
  stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE' || isReported) return
    isReported = true
    stderr.write(`Standard output cannot be written: ${error.message}\n`)
    process.once('exit', () => { process.exitCode ||= 1 })
  })
}
