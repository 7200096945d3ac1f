//! Which processors share a core, a cache or memory.

use alloc::vec::Vec;

/// The distance between two workers' processors, by what they share. A smaller value is nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Distance {
    /// The same core: its hardware threads, or the very same processor.
    Core,
    /// The same last-level cache.
    Cache,
    /// The same memory (NUMA node).
    Node,
    /// Only the machine.
    Machine,
}

impl Distance {
    /// All of them, the nearest first.
    pub const ALL: [Self; 4] = [Self::Core, Self::Cache, Self::Node, Self::Machine];
}

/// A processor, and what it shares with others: two processors are on one core, cache or node if the numbers are
/// equal. The numbers of cores, caches and nodes are unique in the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cpu {
    /// The processor, as the system numbers it.
    pub number: u32,
    /// Its core.
    pub core: u32,
    /// Its last-level cache.
    pub cache: u32,
    /// Its memory.
    pub node: u32,
}

/// The processors that workers run on. Worker `n` has the `n`th one; if there are more workers than processors, they
/// begin again at the first. This is exact if workers are pinned to their processors, and a hint otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// At least one.
    cpus: Vec<Cpu>,
}

impl Topology {
    /// Creates a topology of these processors, in the order of the workers. Without any, it is
    /// [`flat(1)`](Topology::flat).
    pub fn new(cpus: impl IntoIterator<Item = Cpu>) -> Self {
        let cpus: Vec<_> = cpus.into_iter().collect();
        if cpus.is_empty() {
            return Self::flat(1);
        }
        Self { cpus }
    }

    /// Creates a topology of this many processors, at least one, numbered from 0. Each is its own core, and all share
    /// one cache and one node. It is used if a machine's topology can't be read.
    pub fn flat(cpus: u32) -> Self {
        let cpu = |number| Cpu {
            number,
            core: number,
            cache: 0,
            node: 0,
        };
        Self {
            cpus: (0..cpus.max(1)).map(cpu).collect(),
        }
    }

    /// All processors, in the order of the workers.
    pub fn cpus(&self) -> &[Cpu] {
        &self.cpus
    }

    /// The processor of the worker with this number.
    pub fn cpu(&self, worker: usize) -> Cpu {
        self.cpus[worker % self.cpus.len()]
    }

    /// How far two workers are from each other.
    pub fn distance(&self, one: usize, other: usize) -> Distance {
        let (one, other) = (self.cpu(one), self.cpu(other));
        if one.core == other.core {
            Distance::Core
        } else if one.cache == other.cache {
            Distance::Cache
        } else if one.node == other.node {
            Distance::Node
        } else {
            Distance::Machine
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_is_the_nearest_shared_level() {
        // Two nodes, each with one cache for two cores of two threads; the second node has two caches.
        let cpu = |number: u32, cache| Cpu {
            number,
            core: number / 2,
            cache,
            node: number / 4,
        };
        let topology = Topology::new(
            [0, 0, 0, 0, 1, 1, 2, 2]
                .iter()
                .zip(0..)
                .map(|it| cpu(it.1, *it.0)),
        );
        let from_4 = |other| topology.distance(4, other);
        assert_eq!(topology.distance(0, 1), Distance::Core);
        assert_eq!(topology.distance(0, 2), Distance::Cache);
        assert_eq!(
            (from_4(5), from_4(6), from_4(3)),
            (Distance::Core, Distance::Node, Distance::Machine)
        );
        // The ninth worker is on the first processor again.
        assert_eq!(topology.distance(8, 0), Distance::Core);
    }

    #[test]
    fn a_topology_without_processors_has_one() {
        assert_eq!(Topology::new([]), Topology::flat(1));
        assert_eq!(Topology::flat(0).cpus().len(), 1);
        let flat = Topology::flat(3);
        assert!(flat.distance(0, 1) == Distance::Cache && flat.distance(2, 1) == Distance::Cache);
    }
}
