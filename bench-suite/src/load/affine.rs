//! A response that is slow for a server to compute and quick for a client to check.
//!
//! The server applies x -> a x + b, modulo 2^64, many times; each step needs the previous one. Any number of steps is
//! equivalent to a single such map, with another a and b, which the client computes beforehand.

use serde::{Deserialize, Serialize};

/// The map x -> `factor` x + `addend`, modulo 2^64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affine {
    /// The factor of x.
    pub factor: u64,
    /// The summand.
    pub addend: u64,
}

/// One step: the generator of Knuth's MMIX, which has a full period.
const STEP: Affine = Affine {
    factor: 6_364_136_223_846_793_005,
    addend: 1_442_695_040_888_963_407,
};

impl Affine {
    /// The map that is equivalent to `steps` steps.
    ///
    /// ```
    /// use bench_suite::load::affine::{Affine, walk};
    ///
    /// assert_eq!(Affine::of_steps(1000).of(7), walk(7, 1000));
    /// ```
    pub fn of_steps(steps: u64) -> Self {
        let mut whole = Self {
            factor: 1,
            addend: 0,
        };
        // Repeated squaring of the step, along the binary digits of the number of steps.
        let (mut square, mut left) = (STEP, steps);
        while left > 0 {
            if left & 1 == 1 {
                whole = whole.then(square);
            }
            square = square.then(square);
            left >>= 1;
        }
        whole
    }

    /// The map's value at `x`.
    pub fn of(self, x: u64) -> u64 {
        x.wrapping_mul(self.factor).wrapping_add(self.addend)
    }

    fn then(self, next: Self) -> Self {
        Self {
            factor: self.factor.wrapping_mul(next.factor),
            addend: next.of(self.addend),
        }
    }
}

/// Applies `steps` steps to `x` one by one, which is the work.
pub fn walk(mut x: u64, steps: u64) -> u64 {
    for _ in 0..steps {
        // Keep the compiler from combining the steps.
        x = std::hint::black_box(STEP.of(x));
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_steps_at_once_equal_single_steps() {
        for steps in [0, 1, 2, 3, 64, 1000, 4095] {
            for x in [0, 1, u64::MAX, 123_456_789] {
                assert_eq!(
                    Affine::of_steps(steps).of(x),
                    walk(x, steps),
                    "{steps}, {x}"
                );
            }
        }
        assert_ne!(walk(1, 999), walk(1, 1000));
    }
}
