//! The programs that the book shows, each run under all three runtimes by its test.
