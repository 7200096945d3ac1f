//! Real processes: a program compared with itself, and with itself slowed by a known fraction.
//!
//! Every block compares a program with itself. In one block of four the program is also slowed. In each round of such a
//! block, it runs five times in a random order: as the baseline, once more unchanged, and slowed by 1, 3 and 10%. The
//! other blocks only show how often the lab errs, because it takes more blocks to measure an error rate of 5% than a
//! power of 90%. A program is slowed by spinning inside each timed part, for that share of the part's own CPU time. The
//! verdicts are about CPU time, because on a shared machine, elapsed time depends on other programs as much as on this
//! one. The looks are those of `lab compare`.

use std::time::Duration;

use crate::compare::interruption::Interruption;
use crate::compare::process;
use crate::compare::protocol::{PROTOCOL, Request};
use crate::environment;
use crate::error::CommandError;
use crate::registry::{Registry, Workload};
use crate::results::{Power, Real, Sample, Share, Verdict};
use crate::statistics::{Hypothesis, Judgement, LOOKS, Looks, Series, judge};

/// Slowdowns as shares: the baseline, the A/A arm, and the slowed arms.
const SLOWDOWNS: [f64; 5] = [0.0, 0.0, 0.01, 0.03, 0.10];

/// Workloads that take little time and have one thread, so that spinning slows them by exactly the share.
const WORKLOADS: [&str; 4] = ["yield", "spawn-batch", "pingpong", "fib-spawn"];
const RUNTIME: &str = "n1";

/// For each workload, one block in this many also measures the slowed programs.
const BLOCKS_PER_SLOWED_BLOCK: u32 = 4;

const BUDGET: Duration = Duration::from_millis(25);
const LIMIT: Duration = Duration::from_secs(20);

pub(super) struct Blocks<'a> {
    pub(super) registry: &'a Registry,
    pub(super) count: u32,
    pub(super) margin: f64,
    pub(super) seed: u64,
    /// The maximum number of rounds per block.
    pub(super) rounds: u32,
}

impl Blocks<'_> {
    /// Measures all blocks. Calls `said` with a line about each.
    ///
    /// # Errors
    /// [`CommandError::Interrupted`] after a signal, [`CommandError::Failed`] if a process gives no figure.
    pub(super) fn measure(&self, said: impl Fn(&str)) -> Result<Real, CommandError> {
        let failed = |what: String| CommandError::Failed(format!("prove: {what}"));
        let interruption = Interruption::listen().map_err(|error| failed(error.to_string()))?;
        let program = process::own_program().map_err(|error| failed(error.to_string()))?;
        let workloads: Vec<&Workload> = WORKLOADS
            .iter()
            .filter(|name| self.registry.entry(name, RUNTIME).is_some())
            .filter_map(|name| self.registry.workload(name))
            .collect();
        if workloads.is_empty() {
            return Err(failed(format!(
                "no workload of {WORKLOADS:?} runs under {RUNTIME}"
            )));
        }
        let mut real = Real {
            workloads: workloads
                .iter()
                .map(|workload| format!("{} under {RUNTIME}", workload.name))
                .collect(),
            ..Real::default()
        };
        let mut random = fastrand::Rng::with_seed(self.seed);
        for block in 0..self.count {
            let workload = workloads[block as usize % workloads.len()];
            let mut ask = |slowdown: f64, round: u32| {
                real.processes += 1;
                let request = self.request(workload, slowdown, round);
                let measured = process::measure(&program, &request, LIMIT, &interruption);
                if interruption.requested() {
                    return Err(CommandError::Interrupted(
                        "interrupted; no certificate was written".to_owned(),
                    ));
                }
                measured
                    .map(|measured| cpu_time_per_op(&measured.samples))
                    .map_err(|(status, error)| {
                        failed(format!("{}: {}: {error}", workload.name, status.describe()))
                    })
            };
            let slowed = (block / workloads.len() as u32).is_multiple_of(BLOCKS_PER_SLOWED_BLOCK);
            let judged = self.block(&mut random, slowed, &mut ask)?;
            add(&mut real, &judged);
            said(&format!(
                "block {} of {}, {}: {}",
                block + 1,
                self.count,
                workload.name,
                in_words(&judged)
            ));
        }
        Ok(real)
    }

    fn request(&self, workload: &Workload, slowdown: f64, round: u32) -> Request {
        Request {
            protocol: PROTOCOL.to_owned(),
            workload: workload.name.to_owned(),
            runtime: RUNTIME.to_owned(),
            workers: environment::cores(),
            policy: None,
            knobs: std::collections::BTreeMap::new(),
            without: std::collections::BTreeSet::new(),
            reactor: None,
            budget_ns: BUDGET.as_nanos() as u64,
            seed: self.seed.wrapping_add(u64::from(round)),
            params: workload
                .parameters
                .iter()
                .map(|parameter| (parameter.name.to_owned(), parameter.default))
                .collect(),
            slowdown: Some(slowdown).filter(|share| *share > 0.0),
            aside: None,
        }
    }

    /// Compares the program with itself and, if `slowed`, with each slowdown. Each comparison is its own family. The
    /// block ends when all are decided, or after the last round.
    fn block(
        &self,
        random: &mut fastrand::Rng,
        slowed: bool,
        ask: &mut dyn FnMut(f64, u32) -> Result<Option<f64>, CommandError>,
    ) -> Result<Vec<Judgement>, CommandError> {
        let mut logs: Vec<Series> = vec![Series::new(); SLOWDOWNS.len()];
        let mut open = SLOWDOWNS.map(|slowdown| slowed || slowdown == 0.0);
        let mut looks = Looks::default();
        let mut judged: Vec<Option<Judgement>> = vec![None; SLOWDOWNS.len()];
        for round in 0..=self.rounds {
            let last = round == self.rounds;
            if last || LOOKS.contains(&round) {
                if last {
                    looks.finish(round);
                } else {
                    looks.interim(round);
                }
                for arm in 1..SLOWDOWNS.len() {
                    if open[arm] {
                        let one = judge(&[hypothesis(&logs, arm)], self.margin.ln_1p(), &looks);
                        open[arm] = one[0].verdict == Verdict::NotEnoughData;
                        judged[arm] = Some(one[0]);
                    }
                }
                if last || !open[1..].contains(&true) {
                    break;
                }
            }
            let mut order: Vec<usize> = (0..SLOWDOWNS.len()).collect();
            random.shuffle(&mut order);
            for arm in order {
                // The A/A arm measures the noise for all others, so it continues.
                if (open[arm] || arm == 1)
                    && let Some(time) = ask(SLOWDOWNS[arm], round)?
                {
                    logs[arm].push((round, time.ln()));
                }
            }
        }
        Ok(judged.into_iter().flatten().collect())
    }
}

/// An arm against the baseline. The A/A comparison has no noise floor, because it would be its own.
fn hypothesis(logs: &[Series], arm: usize) -> Hypothesis {
    let against = |arm: usize| -> Series {
        logs[arm]
            .iter()
            .filter_map(|&(round, log)| {
                let baseline = logs[0].iter().find(|one| one.0 == round)?;
                Some((round, log - baseline.1))
            })
            .collect()
    };
    Hypothesis {
        differences: against(arm),
        noise: if arm == 1 { Series::new() } else { against(1) },
    }
}

fn cpu_time_per_op(samples: &[Sample]) -> Option<f64> {
    let ops: u64 = samples.iter().map(|sample| sample.ops).sum();
    let cpu_ns: u64 = samples.iter().map(|sample| sample.cpu_ns).sum();
    (ops > 0 && cpu_ns > 0).then(|| cpu_ns as f64 / ops as f64)
}

fn in_words(judged: &[Judgement]) -> String {
    let said: Vec<String> = judged
        .iter()
        .zip(&SLOWDOWNS[1..])
        .map(|(one, slowdown)| {
            let ratio = one.estimate.map_or(f64::NAN, f64::exp);
            format!(
                "{}% slower {ratio:.3}x {} after {}",
                slowdown * 100.0,
                one.verdict,
                one.pairs
            )
        })
        .collect();
    said.join("; ")
}

fn add(real: &mut Real, judged: &[Judgement]) {
    for (one, slowdown) in judged.iter().zip(&SLOWDOWNS[1..]) {
        let percent = slowdown * 100.0;
        let different = match one.verdict {
            Verdict::Worse => true,
            Verdict::Better => *slowdown == 0.0,
            _ => false,
        };
        if *slowdown == 0.0 {
            real.false_difference.add(different);
        }
        if real.power.iter().all(|power| power.percent != percent) {
            real.power.push(Power {
                percent,
                different: Share::default(),
                equal: Share::default(),
            });
        }
        if let Some(power) = real.power.iter_mut().find(|power| power.percent == percent) {
            power.different.add(different);
            power.equal.add(one.verdict == Verdict::NoDifference);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_finds_a_planted_slowdown() {
        let registry = Registry::default();
        let blocks = Blocks {
            registry: &registry,
            count: 1,
            margin: 0.02,
            seed: 1,
            rounds: 60,
        };
        let mut noise = fastrand::Rng::with_seed(2);
        let mut asked = 0;
        let mut ask = |slowdown: f64, _: u32| {
            asked += 1;
            Ok(Some((1.0 + slowdown) * (1.0 + noise.f64() * 0.01)))
        };
        let judged = blocks
            .block(&mut fastrand::Rng::with_seed(3), true, &mut ask)
            .unwrap();
        let verdicts: Vec<Verdict> = judged.iter().map(|one| one.verdict).collect();
        assert_eq!(verdicts[0], Verdict::NoDifference);
        assert_eq!(verdicts[2..], [Verdict::Worse, Verdict::Worse]);
        assert!(asked < 60 * 5, "what is decided stops: {asked}");
        let mut real = Real::default();
        add(&mut real, &judged);
        assert_eq!(real.false_difference, Share { happened: 0, of: 1 });
        let found = real.power.iter().find(|one| one.percent == 3.0).unwrap();
        assert_eq!(found.different, Share { happened: 1, of: 1 });
    }

    #[test]
    fn a_block_without_slowed_programs_asks_for_two_processes_a_round() {
        let registry = Registry::default();
        let blocks = Blocks {
            registry: &registry,
            count: 1,
            margin: 0.02,
            seed: 1,
            rounds: 12,
        };
        let mut asked = Vec::new();
        let mut ask = |slowdown: f64, round: u32| {
            asked.push((slowdown, round));
            Ok(Some(1.0 + f64::from(round)))
        };
        let judged = blocks
            .block(&mut fastrand::Rng::with_seed(3), false, &mut ask)
            .unwrap();
        assert_eq!(judged.len(), 1, "{judged:?}");
        assert!(
            asked.iter().all(|&(slowdown, _)| slowdown == 0.0),
            "{asked:?}"
        );
        assert_eq!(asked.len(), 2 * 12);
    }
}
