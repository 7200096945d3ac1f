//! `matmul`: the product of two square matrices, with the rows split over tasks.
//!
//! This is plain computing with shared read-only memory. Only more cores help; the best a scheduler can do is not to
//! get in the way. The rows are cut into a few pieces per worker, and each piece is one task.
//!
//! One op is one whole product. The check is Freivalds' (R. Freivalds, 1979): `A (B x) = C x` for a random `x`. It
//! costs a thousandth of the product, and hardly ever misses a wrong matrix. All numbers are small integers, so
//! floating point is exact, and so is the comparison.

use std::ops::Range;
use std::sync::Arc;

use runtime_core::Runtime;

use super::random::SplitMix64;
use super::{Program, lost, pieces, size};
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Group, Mode, Params, Workload};

/// The product of two matrices.
pub struct MatMul;

impl Program for MatMul {
    const INFO: Workload = Workload {
        name: "matmul",
        group: Group::Cpu,
        mode: Mode::Batch,
        about: "the product of two matrices, split by rows over tasks: plain computing",
        op: "one matrix product",
        parameters: &[size("rows and columns of the matrices", 256, 1, 8_192)],
        metric: "wall_ns_per_op",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let input = Arc::new(Input::new(params.value("size") as usize, params.seed));
        let pieces = pieces(&rt, params);
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let handles: Vec<_> = cut(input.n, pieces)
                .map(|rows| {
                    let input = Arc::clone(&input);
                    rt.spawn(async move { input.product_rows(rows) })
                })
                .collect();
            let mut product = Vec::with_capacity(input.n * input.n);
            for handle in handles {
                product.extend(handle.await.map_err(lost)?);
            }
            input.check(&product)?;
            repetitions.done(meter, 1);
        }
        Ok(())
    }
}

/// The two matrices, stored by rows.
pub struct Input {
    /// The number of rows and columns.
    pub n: usize,
    a: Vec<f64>,
    b: Vec<f64>,
}

impl Input {
    /// Seeded matrices of small integers.
    pub fn new(n: usize, seed: u64) -> Self {
        let mut random = SplitMix64::new(seed);
        let mut matrix = || (0..n * n).map(|_| (random.next() % 8) as f64).collect();
        Self {
            n,
            a: matrix(),
            b: matrix(),
        }
    }

    /// Rows of the product.
    pub fn product_rows(&self, rows: Range<usize>) -> Vec<f64> {
        let mut product = vec![0.0; rows.len() * self.n];
        for (row, result) in rows.zip(product.chunks_exact_mut(self.n)) {
            self.product_row(row, result);
        }
        product
    }

    /// Adds one row of the product to `result`, which must be zero. The innermost loop runs along rows of `b` and of
    /// the result, so that the compiler vectorises it.
    pub fn product_row(&self, row: usize, result: &mut [f64]) {
        let n = self.n;
        for (factor, b_row) in self.a[row * n..][..n].iter().zip(self.b.chunks_exact(n)) {
            for (sum, b) in result.iter_mut().zip(b_row) {
                *sum += factor * b;
            }
        }
    }

    /// Freivalds' check.
    ///
    /// # Errors
    /// [`Failure::WrongAnswer`].
    pub fn check(&self, product: &[f64]) -> Result<(), Failure> {
        let n = self.n;
        if product.len() != n * n {
            return Err(Failure::WrongAnswer(format!(
                "the product has {} elements and should have {}",
                product.len(),
                n * n
            )));
        }
        let mut random = SplitMix64::new(n as u64);
        let x: Vec<f64> = (0..n).map(|_| (random.next() % 1024) as f64).collect();
        let expected = times_vector(&self.a, &times_vector(&self.b, &x));
        if times_vector(product, &x) == expected {
            Ok(())
        } else {
            Err(Failure::WrongAnswer(
                "the product fails Freivalds' check".to_owned(),
            ))
        }
    }
}

fn times_vector(matrix: &[f64], x: &[f64]) -> Vec<f64> {
    matrix
        .chunks_exact(x.len())
        .map(|row| row.iter().zip(x).map(|(a, b)| a * b).sum())
        .collect()
}

/// Cuts `0..length` into at most `pieces` ranges of nearly equal length, in order.
pub fn cut(length: usize, pieces: usize) -> impl Iterator<Item = Range<usize>> {
    let step = length.div_ceil(pieces.max(1)).max(1);
    (0..length)
        .step_by(step)
        .map(move |begin| begin..length.min(begin + step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_product_of_known_matrices_is_right() {
        let input = Input {
            n: 2,
            a: vec![1.0, 2.0, 3.0, 4.0],
            b: vec![5.0, 6.0, 7.0, 8.0],
        };
        assert_eq!(input.product_rows(0..2), [19.0, 22.0, 43.0, 50.0]);
        assert_eq!(input.product_rows(1..2), [43.0, 50.0]);
    }

    #[test]
    fn one_wrong_element_is_noticed() {
        let input = Input::new(33, 5);
        let mut product = input.product_rows(0..33);
        assert_eq!(input.check(&product), Ok(()));
        product[700] += 1.0;
        assert!(matches!(
            input.check(&product),
            Err(Failure::WrongAnswer(_))
        ));
    }

    #[test]
    fn pieces_cover_everything_once() {
        for (length, pieces) in [(0, 3), (1, 8), (10, 3), (256, 8), (7, 0)] {
            let covered: Vec<usize> = cut(length, pieces).flatten().collect();
            assert_eq!(covered, (0..length).collect::<Vec<_>>());
            assert!(cut(length, pieces).count() <= pieces.max(1));
        }
    }
}
