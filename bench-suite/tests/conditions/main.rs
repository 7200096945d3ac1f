//! The `lab` command where things go wrong around it: devices and pipes in place of files, output that nobody reads,
//! limits, signals, full disks, shards, narrow terminals, words that are no text. Each test starts the real program.

mod arguments;
mod costs;
mod display;
mod fleet;
#[path = "../hang_up/mod.rs"]
mod hang_up;
mod limits;
mod outputs;
mod places;
mod process;
mod signals;
