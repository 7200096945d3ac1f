//! A scheduler with choices: the loop of `runtime-n1` behind two policies, two knobs and three parts, all of which it
//! ignores.

use std::future::Future;
use std::io;

use bench_suite::launcher::Reactor;
use bench_suite::registry::RuntimeInfo;
use runtime_core::{Choice, Knob, Launch, LaunchConfig};
use runtime_n1::{Handle, N1};

pub(crate) struct Chooser;

const fn part(name: &'static str, about: &'static str) -> Choice {
    Choice { name, about }
}

impl Chooser {
    pub(crate) const INFO: RuntimeInfo =
        RuntimeInfo::new("chooser", "a test's").launched_by::<Self>(Reactor::Chosen);
}

impl Launch for Chooser {
    type Runtime = Handle;

    const POLICIES: &'static [Choice] = &[
        Choice {
            name: "quick",
            about: "does the work once",
        },
        Choice {
            name: "thorough",
            about: "does it four times",
        },
    ];

    const KNOBS: &'static [Knob] = &[
        Knob {
            name: "grain",
            about: "how much at once",
            values: "coarse, fine",
        },
        Knob {
            name: "reactor",
            about: "how readiness is asked for",
            values: "epoll, polling",
        },
    ];

    const PARTS: &'static [Choice] = &[
        part("counters", "counts"),
        part("monitor", "looks after the loop"),
        part("sharing", "shares"),
    ];

    fn run<F, R>(config: &LaunchConfig, root: F) -> io::Result<R::Output>
    where
        F: FnOnce(Handle) -> R + Send + 'static,
        R: Future + Send + 'static,
        R::Output: Send + 'static,
    {
        let refuse = |why: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        let policy = config.policy.as_deref().unwrap_or("quick");
        if Self::POLICIES.iter().all(|known| known.name != policy) {
            return refuse("there is no such policy");
        }
        let mut plain = config.clone();
        for (name, value) in &config.knobs {
            match (name.as_str(), value.as_str()) {
                ("grain", "fine") if policy == "thorough" => {
                    return refuse("what is thorough can't be fine");
                }
                ("grain", "coarse" | "fine") => {}
                ("reactor", name) => match name.parse() {
                    Ok(kind) => plain.reactor = kind,
                    Err(_) => return refuse("there is no such reactor"),
                },
                _ => return refuse("there is no such grain"),
            }
        }
        if config.without.contains("monitor") && policy == "thorough" {
            return refuse("what is thorough needs a monitor");
        }
        plain.without.clear();
        plain.policy = None;
        plain.knobs.clear();
        N1::run(&plain, root)
    }
}
