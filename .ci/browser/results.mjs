// Results that are made up, for the tests of the report. The schema is `lab.results/1`.

import { deflateRawSync } from "node:zlib";
import { small } from "./traces.mjs";

const RUNTIMES = ["n1", "mn", "threads", "tokio-mt"];
const ROUNDS = 8;

/** Every run of one workload: the first runtime is the baseline and is measured twice. */
function runs(workload, scale, latency) {
  const all = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    [...RUNTIMES, "again"].forEach((name, index) => {
      const repeat = name === "again";
      const factor = repeat ? 1 : scale ** index;
      const wall = Math.round(1e6 * factor * (1 + ((round * 7 + index * 3) % 10) / 50));
      all.push({
        environment: "e1",
        workload,
        params: { size: 100 },
        mode: latency ? "closed" : "batch",
        runtime: repeat ? RUNTIMES[0] : name,
        role: repeat ? "a/a" : "arm",
        config: { workers: 2 },
        round,
        status: "ok",
        error: null,
        flags: latency ? ["shares_cores"] : [],
        ops: 1000,
        wall_ns: wall,
        cpu_ns: Math.round(wall * 0.7),
        peak_rss_bytes: 12_000_000 + index * 1_000_000,
        voluntary_switches: index * 10,
        involuntary_switches: 1,
        page_faults: 3,
        samples: [],
        extra: {},
        latency_ns: latency ? { p50: wall, p90: wall * 2, p99: wall * 5, p999: wall * 9, max: wall * 20 } : null,
      });
    });
  }
  return all;
}

/** The comparisons of one workload. */
function comparisons(workload, scale, metric) {
  return RUNTIMES.slice(1).map((runtime, index) => ({
    workload,
    params: { size: 100 },
    mode: "batch",
    metric,
    runtime,
    role: "arm",
    config: { workers: 2 },
    baseline: RUNTIMES[0],
    baseline_config: { workers: 2 },
    ratio: scale ** (index + 1),
    ci95: [scale ** (index + 1) * 0.9, scale ** (index + 1) * 1.12],
    noise_floor: 0.03,
    verdict: scale > 1 ? "worse" : "better",
  }));
}

/** Traced runs of one workload under the models: the last one failed. */
function traced(workload) {
  const params = { size: 100 };
  return small().runs.map((run, index) => {
    const [running, scheduling, searching, asleep, kernel, waiting, idle] = [50 - 10 * index, 10, 5, 20, 1, 4, 10];
    const million = (share) => share * 1_000_000;
    const excerpt = {
      wall_ns: run.wall_ns * 3,
      window_ns: run.wall_ns,
      events: run.events.t_ns.length,
      time: {
        threads: index + 1,
        running_ns: million(running),
        scheduling_ns: million(scheduling),
        searching_ns: million(searching),
        asleep_with_work_ns: million(asleep + 10 * index),
        kernel_ns: million(kernel),
        waiting_for_io_ns: million(waiting),
        idle_ns: million(idle),
        total_ns: million(100),
      },
      queued_while_a_worker_slept_ns: million(30),
      longest_queued_while_a_worker_slept_ns: million(2),
      timeline_deflate_base64: deflateRawSync(JSON.stringify(run)).toString("base64"),
    };
    const failed = workload === "spawn" && index === 2;
    return {
      workload,
      params,
      runtime: run.runtime,
      config: { workers: 2 },
      excerpt: failed ? null : excerpt,
      error: failed ? "timed out: <b>no answer</b>" : null,
    };
  });
}

/** Two workloads, one of them with values far apart; and a runtime that failed with markup in its message. */
export function results() {
  const [failed] = runs("spawn", 6, false);
  return {
    schema: "lab.results/1",
    environments: [
      {
        id: "e1",
        cpu: "A <b>processor</b>",
        cores: 2,
        memory_bytes: 1,
        kernel: "6",
        rustc: "1",
        profile: "release",
        seed: 1,
        versions: {},
      },
    ],
    workloads: [
      {
        name: "echo",
        group: "IO-bound",
        about: "values near each other",
        op: "one request",
        metric: "cpu_ns_per_op",
      },
      { name: "spawn", group: "CPU-bound", about: "values far apart", op: "one task", metric: "wall_ns_per_op" },
    ],
    runs: [
      ...runs("echo", 1.2, true),
      ...runs("spawn", 6, false),
      { ...failed, runtime: "smol", status: "crashed", error: "<script>document.title='broken'</script>" },
    ],
    traced: [...traced("echo"), ...traced("spawn")],
    comparisons: [...comparisons("echo", 1.2, "cpu_ns_per_op"), ...comparisons("spawn", 6, "wall_ns_per_op")],
  };
}
