//! The scheduler's protocols under loom, each one alone and through every interleaving of a small case; and a few
//! plain facts about them.

#[cfg(lab_loom)]
mod closed;
mod idle;
mod inbox;
