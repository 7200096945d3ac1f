//! A generator that is ready to start.

use std::os::fd::BorrowedFd;

use super::error::LoadError;
use super::generator::{Generator, Pace};
use super::options::LoadOptions;
use super::report::LoadReport;

/// A generator whose connections are open and warmed up.
pub struct Ready {
    generator: Generator,
    options: LoadOptions,
}

impl Ready {
    /// Opens the connections and warms them up.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn new(options: LoadOptions) -> Result<Self, LoadError> {
        let mut generator = Generator::connect(&options)?;
        if !options.warm_up.is_zero() {
            generator.run(Pace::Closed, options.warm_up)?;
        }
        Ok(Self { generator, options })
    }

    /// Makes [`run`](Ready::run) end when `fd` becomes readable or is hung up.
    ///
    /// # Errors
    /// [`LoadError::Failed`].
    pub fn end_with(&self, fd: BorrowedFd<'_>) -> Result<(), LoadError> {
        self.generator.end_with(fd)
    }

    /// Makes [`run`](Ready::run) end with a report of the results so far when `fd` becomes readable.
    ///
    /// # Errors
    /// [`LoadError::Failed`].
    pub fn stop_with(&self, fd: BorrowedFd<'_>) -> Result<(), LoadError> {
        self.generator.stop_with(fd)
    }

    /// Generates the load.
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn run(&mut self) -> Result<LoadReport, LoadError> {
        let pace = self.options.rate.map_or(Pace::Closed, Pace::Open);
        let observed = self.generator.run(pace, self.options.duration)?;
        Ok(LoadReport::new(&self.options, &observed))
    }
}
