/**
 * What a process and its children use, from `/proc` or `ps`.
 * @module
 */

/** Clock ticks a second in `/proc`: 100 on every Linux that Deno runs on. */
const TICKS = 100;

/** Memory and time of a process. */
export interface Usage {
  /** Resident memory in megabytes. */
  rssMb: number;
  /** CPU time so far in milliseconds. */
  cpuMs: number;
}

/** Usage of a live process; zeros of one that is gone. */
export async function usageOf(pid: number): Promise<Usage> {
  if (Deno.build.os !== "linux") return await usageByPs(pid);
  try {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const status = await Deno.readTextFile(`/proc/${pid}/status`);
    return {
      rssMb: Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) / 1024,
      cpuMs: (Number(fields[11]) + Number(fields[12])) * 1000 / TICKS,
    };
  } catch {
    return { rssMb: 0, cpuMs: 0 };
  }
}

async function usageByPs(pid: number): Promise<Usage> {
  const { stdout } = await new Deno.Command("ps", {
    args: ["-o", "rss=,time=", "-p", String(pid)],
    stderr: "null",
  }).output();
  const [rss = "0", time = "0:00"] = new TextDecoder().decode(stdout).trim().split(/\s+/);
  const seconds = time.split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
  return { rssMb: Number(rss) / 1024, cpuMs: seconds * 1000 };
}

/**
 * CPU time so far of a process and its children, those that have ended included, in milliseconds;
 * NaN where `/proc` is not there.
 */
export async function treeCpuMs(pid: number): Promise<number> {
  if (Deno.build.os !== "linux") return NaN;
  const own = await Deno.readTextFile(`/proc/${pid}/stat`).catch(() => "");
  const [, , ended = 0, endedInKernel = 0] = own.slice(own.lastIndexOf(")") + 2).split(" ")
    .slice(11, 15).map(Number);
  let sum = (await usageOf(pid)).cpuMs + (ended + endedInKernel) * 1000 / TICKS;
  for await (const { name } of Deno.readDir("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await Deno.readTextFile(`/proc/${name}/stat`).catch(() => "");
    const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    if (parent === pid) sum += (await usageOf(Number(name))).cpuMs;
  }
  return sum;
}
