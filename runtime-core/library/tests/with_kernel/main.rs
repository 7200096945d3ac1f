//! The library on the parts of the kernel that it stands on.

mod blocking;
mod budget;
mod reactor;
