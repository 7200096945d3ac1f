//! What would make another model the better choice, and from which figures on.

use super::known::Known;
use super::mix::Mix;
use crate::answer::Model;
use crate::units;

/// The text.
pub(super) fn change(winner: &Known, known: &[Known], mix: &Mix) -> String {
    let mut said = Vec::new();
    // Below their capacity, other models may cost less.
    for one in known.iter().filter(|one| one.model != winner.model) {
        let (Some(rate), Some(cpu), Some(own)) = (one.capacity.per_s, one.cpu_ns, winner.cpu_ns)
        else {
            continue;
        };
        if cpu < own && one.capacity.ratio.is_some_and(|ratio| ratio < 0.95) {
            said.push(format!(
                "below {}/s {} keeps the target, too, for {} of the CPU time",
                units::rate(rate),
                one.model.name(),
                units::ratio(Some(cpu / own), None)
            ));
        }
    }
    let own_target = units::duration_ns(mix.p99_ms * 1e6);
    said.push(match winner.model {
        Model::OneThread => {
            let full = winner.cpu_ns.filter(|cpu| *cpu > 0.0).map_or_else(String::new, |cpu| {
                format!(", about {}/s,", units::rate(1e9 / cpu))
            });
            format!(
                "M:N, for more than one core does{full}, or when single requests compute for as long as {own_target}: \
                 all others wait meanwhile"
            )
        }
        Model::FewThreads => format!(
            "1:1, when requests block or compute for as long as {own_target} and connections are few; N:1, when one \
             core is enough"
        ),
        Model::ThreadEach => {
            let memory = winner.rss_bytes.map_or_else(String::new, |bytes| {
                format!(", and {} took {} here", mix.connections, units::bytes(bytes))
            });
            format!("M:N, with more connections: each takes a thread{memory}")
        }
    });
    said.join("; ")
}
