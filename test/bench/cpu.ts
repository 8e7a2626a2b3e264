import { readdir, readFile } from 'node:fs/promises'

/** Returns the CPU time of all threads of a process so far, in microseconds, from the kernel's accounting. Needs Linux. */
export async function cpuUs (pid: number): Promise<number> {
  const tasks = `/proc/${pid}/task`
  const threads = await Promise.all(
    (await readdir(tasks)).map((thread) => readFile(`${tasks}/${thread}/schedstat`, 'utf8').catch(() => '0'))
  )
  return threads.reduce((sum, line) => sum + Number(line.split(' ')[0]) / 1000, 0)
}

/** Returns the CPU time of the first thread, which runs JavaScript. Other threads hash passwords and collect part of the garbage. */
export async function mainThreadCpuUs (pid: number): Promise<number> {
  return Number((await readFile(`/proc/${pid}/task/${pid}/schedstat`, 'utf8')).split(' ')[0]) / 1000
}
