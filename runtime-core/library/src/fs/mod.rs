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

/// Reads a whole file.
///
/// # Errors
/// Those of opening and reading.
///
/// # Panics
/// Outside a runtime; so do all functions of this module.
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let path = path.as_ref().to_owned();
    open("fs::read", &[&path.clone()], move || std::fs::read(path)).await
}

/// Reads a whole file as UTF-8.
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

/// Writes `contents` to a file, replacing an existing one. A `Vec` is not copied.
///
/// # Errors
/// Those of opening and writing; part of the contents may then be written.
pub async fn write(path: impl AsRef<Path>, contents: impl Into<Vec<u8>>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    let contents = contents.into();
    open("fs::write", &[&path.clone()], move || {
        std::fs::write(path, contents)
    })
    .await
}

/// Creates a directory, and its missing parents. An existing directory is not an error.
///
/// # Errors
/// Those of `mkdir`.
pub async fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    run("fs::create_dir_all", move || std::fs::create_dir_all(path)).await
}

/// Removes a directory and everything in it. Does not follow links.
///
/// # Errors
/// Those of reading and removing; part of it may then be removed.
pub async fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    run("fs::remove_dir_all", move || std::fs::remove_dir_all(path)).await
}

/// The metadata of the file at `path`, following links.
///
/// # Errors
/// Those of `stat`.
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref().to_owned();
    run("fs::metadata", move || std::fs::metadata(path)).await
}

/// Whether `path` exists. A broken link does not.
///
/// # Errors
/// If that can't be determined, for example because a permission is missing.
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

/// Renames a file in one step, and replaces a file with the new name. Works within one file system.
///
/// # Errors
/// Those of `rename`.
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    run("fs::rename", move || std::fs::rename(from, to)).await
}

/// Copies the content and the permissions of a file; returns the number of bytes.
///
/// # Errors
/// Those of reading and writing; part of it may then be written.
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

/// The absolute path, without links, `.` and `..`.
///
/// # Errors
/// If a part of the path does not exist.
pub async fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref().to_owned();
    run("fs::canonicalize", move || std::fs::canonicalize(path)).await
}
