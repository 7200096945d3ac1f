//! The `lab` command in a hostile environment: devices and pipes in place of files, output without a reader, limits,
//! signals, full disks, shards, narrow terminals, arguments that are not text. Each test starts the real program.

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
