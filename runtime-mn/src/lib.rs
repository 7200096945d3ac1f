//! M:N: a few workers that steal from one another.
