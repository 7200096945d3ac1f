//! The library together with the parts of the kernel that it is built on.

mod blocking;
mod budget;
mod reactor;
