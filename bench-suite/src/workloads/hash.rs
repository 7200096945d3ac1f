//! `hash`: SHA-256 over the chunks of a large buffer, with a task per chunk.
//!
//! This is computing that streams through memory. The chunks are shared. The digests are collected in order and hashed
//! once more, as in a two-level hash tree. Chunks are 1 MiB, so a task lasts about half a millisecond.
//!
//! One op is one chunk of 1 MiB. The check is the digest that one thread computes in program order.

use std::sync::Arc;

use runtime_core::Runtime;
use sha2::{Digest as _, Sha256};

use super::random::SplitMix64;
use super::{Program, check, lost, size};
use crate::measure::Meter;
use crate::repetitions::Repetitions;
use crate::vocabulary::{Failure, Group, Mode, Params, Workload};

/// The bytes of a chunk.
pub const CHUNK: usize = 1 << 20;

/// A SHA-256 digest.
pub type Sum = [u8; 32];

/// Hashes chunks of a buffer.
pub struct Hash;

impl Program for Hash {
    const INFO: Workload = Workload {
        name: "hash",
        group: Group::Cpu,
        mode: Mode::Batch,
        about: "SHA-256 over chunks of a large buffer, one task per chunk: computing over memory",
        op: "one chunk of 1 MiB",
        parameters: &[size("chunks of 1 MiB", 16, 1, 16_384)],
        metric: "wall_ns_per_op",
    };

    async fn run<R: Runtime>(rt: R, params: &Params, meter: &mut Meter) -> Result<(), Failure> {
        let input = Arc::new(Input::new(params.value("size") as usize, params.seed));
        let mut repetitions = Repetitions::new(params.budget_ns);
        while repetitions.next(meter) {
            let handles: Vec<_> = (0..input.chunks())
                .map(|chunk| {
                    let input = Arc::clone(&input);
                    rt.spawn(async move { input.chunk_digest(chunk) })
                })
                .collect();
            let mut root = Sha256::new();
            for handle in handles {
                root.update(handle.await.map_err(lost)?);
            }
            input.check(root.finalize().into())?;
            repetitions.done(meter, input.chunks() as u64);
        }
        Ok(())
    }
}

/// The buffer, and the correct digest.
pub struct Input {
    bytes: Vec<u8>,
    expected: Sum,
}

impl Input {
    /// `chunks` chunks of seeded bytes.
    pub fn new(chunks: usize, seed: u64) -> Self {
        let mut random = SplitMix64::new(seed);
        let mut bytes = vec![0; chunks * CHUNK];
        for word in bytes.chunks_exact_mut(8) {
            word.copy_from_slice(&random.next().to_le_bytes());
        }
        let mut input = Self {
            bytes,
            expected: Sum::default(),
        };
        input.expected = Self::root_digest((0..chunks).map(|chunk| input.chunk_digest(chunk)));
        input
    }

    /// The number of chunks.
    pub fn chunks(&self) -> usize {
        self.bytes.len() / CHUNK
    }

    /// The digest of one chunk.
    pub fn chunk_digest(&self, chunk: usize) -> Sum {
        Sha256::digest(&self.bytes[chunk * CHUNK..][..CHUNK]).into()
    }

    /// The digest of the chunks' digests, in order.
    pub fn root_digest(digests: impl IntoIterator<Item = Sum>) -> Sum {
        let mut root = Sha256::new();
        for digest in digests {
            root.update(digest);
        }
        root.finalize().into()
    }

    /// The digest that one thread computed.
    pub fn expected(&self) -> Sum {
        self.expected
    }

    /// Compares `digest` with the one that one thread computed.
    ///
    /// # Errors
    /// [`Failure::WrongAnswer`].
    pub fn check(&self, digest: Sum) -> Result<(), Failure> {
        check("the digest", digest, self.expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_the_chunks_matters() {
        let input = Input::new(2, 9);
        let digests = [0, 1].map(|chunk| input.chunk_digest(chunk));
        assert_eq!(input.check(Input::root_digest(digests)), Ok(()));
        let swapped = [digests[1], digests[0]];
        assert!(input.check(Input::root_digest(swapped)).is_err());
    }
}
