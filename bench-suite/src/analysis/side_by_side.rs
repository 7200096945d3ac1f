//! How much slower a program computes while another core computes the same kind of thing. What two cores share depends
//! on the program: caches and memory for one, the units of a physical core for another, hardly anything for a third.
//! So the program itself is the probe: it runs on one worker, alone and next to a copy of itself. The copies share no
//! data, so this is not yet the program on two workers.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

/// How often the program runs alone, and next to its copy. The fastest run of each counts.
const ROUNDS: usize = 6;

/// The factor by which `run` takes longer while a copy of it runs at the same time. `run` returns how long it took, in
/// any unit. 1.0 means no effect.
///
/// # Errors
/// The first error of `run`.
///
/// ```
/// use bench_suite::analysis::side_by_side::slow_down;
///
/// assert_eq!(slow_down(|| Ok::<_, ()>(7.0)), Ok(1.0));
/// ```
pub fn slow_down<E: Send>(run: impl Fn() -> Result<f64, E> + Sync) -> Result<f64, E> {
    let (mut alone, mut together) = (f64::MAX, f64::MAX);
    // Alternate, so that other load on the machine affects both.
    for _ in 0..ROUNDS {
        alone = alone.min(run()?);
        together = together.min(next_to_a_copy(&run)?);
    }
    Ok((together / alone.max(f64::MIN_POSITIVE)).max(1.0))
}

/// How long `run` takes while another thread runs it over and over.
fn next_to_a_copy<E: Send>(run: &(impl Fn() -> Result<f64, E> + Sync)) -> Result<f64, E> {
    let (runs, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let copy = scope.spawn(|| {
            while !is_over.load(Relaxed) {
                runs.store(true, Relaxed);
                run()?;
            }
            Ok(())
        });
        while !runs.load(Relaxed) && !copy.is_finished() {
            thread::yield_now();
        }
        let took = run();
        is_over.store(true, Relaxed);
        match copy.join() {
            Ok(result) => result.and(took),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[test]
    fn a_copy_runs_on_another_thread_each_time() {
        let here = thread::current().id();
        let (own, of_copies) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let run = || {
            let is_copy = thread::current().id() != here;
            let count = if is_copy { &of_copies } else { &own };
            count.fetch_add(1, Relaxed);
            Ok::<_, ()>(1.0)
        };
        assert_eq!(slow_down(run), Ok(1.0));
        assert_eq!(own.into_inner(), 2 * ROUNDS);
        assert!(of_copies.into_inner() >= ROUNDS);
    }

    #[test]
    fn a_program_that_is_slower_next_to_its_copy_has_that_factor() {
        let own = AtomicUsize::new(0);
        let here = thread::current().id();
        // Every second run of its own is next to a copy.
        let run = || {
            let is_own = thread::current().id() == here;
            let nth = if is_own { own.fetch_add(1, Relaxed) } else { 0 };
            Ok::<_, ()>(if nth % 2 == 0 { 10.0 } else { 15.0 })
        };
        assert_eq!(slow_down(run), Ok(1.5));
    }

    #[test]
    fn the_copys_failure_is_the_answer() {
        let here = thread::current().id();
        let run = || {
            let is_copy = thread::current().id() != here;
            if is_copy { Err("failed") } else { Ok(1.0) }
        };
        assert_eq!(slow_down(run), Err("failed"));
    }
}
