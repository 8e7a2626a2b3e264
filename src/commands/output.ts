interface Outputs { stdout: NodeJS.WriteStream, stderr: NodeJS.WriteStream }

/**
 * Keeps a process from ending with a stack because its output cannot be written. A reader that leaves early, as `head`
 * does, is no failure: the work goes on. Any other fault, such as a full disk, is one line on standard error and exit
 * code 1, since the output may have been a secret that is shown once.
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
