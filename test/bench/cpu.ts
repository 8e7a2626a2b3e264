import { readdir, readFile } from 'node:fs/promises'

/** Microseconds that the threads of a process were on a CPU so far, by the kernel's accounts. Needs Linux. */
export async function cpuUs (pid: number): Promise<number> {
  const tasks = `/proc/${pid}/task`
  const threads = await Promise.all((await readdir(tasks)).map((thread) => readFile(`${tasks}/${thread}/schedstat`, 'utf8').catch(() => '0')))
  return threads.reduce((sum, line) => sum + Number(line.split(' ')[0]) / 1000, 0)
}

/** The same of its first thread alone, which runs JavaScript: password hashes, and part of the garbage collection, are done by others. */
export async function mainThreadCpuUs (pid: number): Promise<number> {
  return Number((await readFile(`/proc/${pid}/task/${pid}/schedstat`, 'utf8')).split(' ')[0]) / 1000
}
