#![doc = include_str!("README.md")]

mod directory;
mod file;
mod offload;
mod options;

pub use directory::{DirEntry, ReadDir, read_dir};
pub use file::File;
pub use options::OpenOptions;

use std::fs::{Metadata, Permissions};
use std::io;
use std::path::{Path, PathBuf};

use offload::{open, run};

/// The whole content of a file.
///
/// # Errors
/// Those of opening and reading.
///
/// # Panics
/// Outside of a runtime; so do all functions of this module.
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let path = path.as_ref().to_owned();
    open("fs::read", &[&path.clone()], move || std::fs::read(path)).await
}

/// The whole content of a file that is UTF-8.
///
/// # Errors
/// Those of opening and reading; [`InvalidData`](io::ErrorKind::InvalidData) if it is not UTF-8.
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let path = path.as_ref().to_owned();
    open("fs::read_to_string", &[&path.clone()], move || {
        std::fs::read_to_string(path)
    })
    .await
}

/// Makes a file of `contents`, replacing what was there. A `Vec` is not copied.
///
/// # Errors
/// Those of opening and writing; part of it may be written then.
pub async fn write(path: impl AsRef<Path>, contents: impl Into<Vec<u8>>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    let contents = contents.into();
    open("fs::write", &[&path.clone()], move || {
        std::fs::write(path, contents)
    })
    .await
}

/// Makes a directory and those above it that are missing. It is no error if it is there.
///
/// # Errors
/// Those of `mkdir`.
pub async fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    run("fs::create_dir_all", move || std::fs::create_dir_all(path)).await
}

/// Removes a directory and all that is in it. Links are not followed.
///
/// # Errors
/// Those of reading and removing; part of it may be removed then.
pub async fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    run("fs::remove_dir_all", move || std::fs::remove_dir_all(path)).await
}

/// What the system knows of the file that `path` leads to, links followed.
///
/// # Errors
/// Those of `stat`.
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref().to_owned();
    run("fs::metadata", move || std::fs::metadata(path)).await
}

/// Whether `path` leads to something. A broken link does not.
///
/// # Errors
/// If that can't be told, for example because a permission is missing.
pub async fn try_exists(path: impl AsRef<Path>) -> io::Result<bool> {
    let path = path.as_ref().to_owned();
    run("fs::try_exists", move || path.try_exists()).await
}

/// Removes a file, or a link.
///
/// # Errors
/// Those of `unlink`.
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    run("fs::remove_file", move || std::fs::remove_file(path)).await
}

/// Renames a file in one step, replacing one of the new name. Within one file system.
///
/// # Errors
/// Those of `rename`.
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    run("fs::rename", move || std::fs::rename(from, to)).await
}

/// Copies content and permissions of a file; the number of bytes copied.
///
/// # Errors
/// Those of reading and writing; part of it may be written then.
pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    open("fs::copy", &[&from.clone(), &to.clone()], move || {
        std::fs::copy(from, to)
    })
    .await
}

/// Changes a file's permissions.
///
/// # Errors
/// Those of `chmod`.
pub async fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    run("fs::set_permissions", move || {
        std::fs::set_permissions(path, permissions)
    })
    .await
}

/// The path without links, `.` and `..`, from the root.
///
/// # Errors
/// If something on the way is not there.
pub async fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref().to_owned();
    run("fs::canonicalize", move || std::fs::canonicalize(path)).await
}
