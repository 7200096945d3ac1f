//! Conditions that make figures doubtful, in words.

use crate::results::{Conditions, Environment};

/// More waiting threads per core than this before measuring mean that other programs are at work.
const BUSY: f64 = 0.5;
/// A larger share of stolen time is visible in the figures.
const STOLEN: f64 = 0.01;

/// The reasons to doubt the figures of `environment` under `conditions`, in a few words each.
pub(super) fn about(environment: &Environment, conditions: &Conditions) -> Vec<String> {
    let mut doubts = Vec::new();
    let cores = environment.cores.max(1);
    if let Some(load) = conditions.load_average_before
        && load > BUSY * cores as f64
    {
        doubts.push(format!(
            "the load average was {load:.1} on {cores} cores before it began"
        ));
    }
    let shares = [conditions.steal_before, conditions.steal_during];
    let stolen = shares.into_iter().flatten().fold(0.0, f64::max);
    if stolen > STOLEN {
        doubts.push(format!(
            "other virtual machines took {:.1}% of the time",
            stolen * 100.0
        ));
    }
    if let Some(times) = conditions.throttled.filter(|times| *times > 0) {
        doubts.push(format!("the CPU quota stopped it {times} times"));
    }
    if let Some(governor) = conditions.governor.as_deref()
        && governor != "performance"
    {
        doubts.push(format!("the clock's governor is {governor}"));
    }
    let optimised = environment.profile_settings.get("opt-level");
    if optimised.is_some_and(|level| level == "0") {
        doubts.push("the build is not optimised".to_owned());
    }
    doubts
}

/// One line with all of them; `None` if there are none.
pub(crate) fn line(environment: &Environment) -> Option<String> {
    let doubts = &environment.conditions.as_ref()?.doubts;
    (!doubts.is_empty()).then(|| format!("figures are doubtful: {}", doubts.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        Environment {
            cores: 2,
            ..Environment::default()
        }
    }

    #[test]
    fn a_quiet_machine_gives_no_doubt() {
        let quiet = Conditions {
            load_average_before: Some(0.9),
            steal_before: Some(0.0),
            steal_during: Some(0.009),
            throttled: Some(0),
            governor: Some("performance".to_owned()),
            ..Conditions::default()
        };
        assert_eq!(about(&environment(), &quiet), [""; 0]);
        assert_eq!(
            about(&environment(), &Conditions::default()),
            [""; 0],
            "unknown is no doubt"
        );
    }

    #[test]
    fn each_doubt_is_named_in_one_line() {
        let bad = Conditions {
            load_average_before: Some(1.1),
            steal_during: Some(0.031),
            throttled: Some(7),
            governor: Some("powersave".to_owned()),
            ..Conditions::default()
        };
        let mut environment = environment();
        let settings = &mut environment.profile_settings;
        settings.insert("opt-level".to_owned(), "0".to_owned());
        let doubts = about(&environment, &bad);
        assert_eq!(doubts.len(), 5);
        environment.conditions = Some(Conditions { doubts, ..bad });
        let line = line(&environment).unwrap();
        for part in [
            "1.1 on 2 cores",
            "3.1%",
            "7 times",
            "powersave",
            "not optimised",
        ] {
            assert!(line.contains(part), "{line}");
        }
        assert!(!line.contains('\n'));
    }
}
