//! `nqueens`: the number of ways to place n queens on a board so that none attacks another.
//!
//! A search without memory traffic, whose pieces differ in length: one task per placement of the queens in the first
//! two rows. It shows how well a scheduler balances uneven work.
//!
//! One op is one whole board. The check is the known number of solutions.

use runtime_core::Runtime;

use super::{Program, check, lost, size};
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Group, Mode, Params, Workload};

/// Solutions for n = 0, 1, 2, ... (OEIS A000170).
const SOLUTIONS: [u64; 19] = [
    1,
    1,
    0,
    0,
    2,
    10,
    4,
    40,
    92,
    352,
    724,
    2_680,
    14_200,
    73_712,
    365_596,
    2_279_184,
    14_772_512,
    95_815_104,
    666_090_624,
];

/// Counts the solutions of the n queens problem.
pub struct NQueens;

impl Program for NQueens {
    const INFO: Workload = Workload {
        name: "nqueens",
        group: Group::Cpu,
        mode: Mode::Batch,
        about: "counts the solutions of the n queens problem: a search in uneven pieces",
        op: "one board",
        parameters: &[size("queens", 12, 4, 18)],
        metric: "wall_ns_per_op",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let queens = params.value("size") as u32;
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let handles: Vec<_> = openings(queens)
                .into_iter()
                .map(|board| rt.spawn(async move { board.solutions() }))
                .collect();
            let mut found = 0;
            for handle in handles {
                found += handle.await.map_err(lost)?;
            }
            check("the number of solutions", found, known(queens))?;
            repetitions.done(meter, 1);
        }
        Ok(())
    }
}

/// A board whose upper rows are filled, represented by the columns that are attacked in the next row.
#[derive(Clone, Copy, Debug)]
pub struct Board {
    /// One bit per column of the board.
    all: u32,
    columns: u32,
    /// Columns attacked along diagonals that go down to the left; shifted with each row.
    left: u32,
    right: u32,
}

impl Board {
    /// The empty board.
    pub fn empty(queens: u32) -> Self {
        Self {
            all: (1 << queens) - 1,
            columns: 0,
            left: 0,
            right: 0,
        }
    }

    /// The boards with one more row, one per square that is not attacked.
    fn next(self) -> impl Iterator<Item = Self> {
        let mut free = self.all & !(self.columns | self.left | self.right);
        std::iter::from_fn(move || {
            let queen = free & free.wrapping_neg();
            free ^= queen;
            (queen != 0).then_some(Self {
                all: self.all,
                columns: self.columns | queen,
                left: (self.left | queen) << 1,
                right: (self.right | queen) >> 1,
            })
        })
    }

    /// The number of ways to fill the remaining rows.
    pub fn solutions(self) -> u64 {
        if self.columns == self.all {
            return 1;
        }
        self.next().map(Self::solutions).sum()
    }
}

/// Every way to fill the first two rows: the pieces of the search.
pub fn openings(queens: u32) -> Vec<Board> {
    Board::empty(queens).next().flat_map(Board::next).collect()
}

/// The known number of solutions.
///
/// # Panics
/// If `queens` is above 18.
pub fn known(queens: u32) -> u64 {
    SOLUTIONS[queens as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_search_finds_the_known_numbers() {
        for queens in 4..=10 {
            assert_eq!(Board::empty(queens).solutions(), known(queens));
            let pieces = openings(queens).into_iter().map(Board::solutions);
            assert_eq!(pieces.sum::<u64>(), known(queens));
        }
    }
}
