//! N:1: one event loop on one thread.
