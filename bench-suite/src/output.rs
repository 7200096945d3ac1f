//! Where a results file goes. A regular file is replaced as a whole or not at all; anything else is written into.
//!
//! A rename replaces whatever has the name. That is right for a regular file and wrong for everything else: as root,
//! `--json /dev/full` would replace the device by a file. So the path is resolved first, links included:
//!
//! | what is there | what is done |
//! |---|---|
//! | nothing, or a regular file | a temporary file beside it, then a rename; mode and owner stay, and a link stays a link |
//! | a device, a FIFO, a socket | it is opened and written into |
//! | a descriptor of this process, as `/dev/stdout` is one | written to, at its end |
//! | a folder | an error |
//!
//! `-` is standard output.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use crate::error::CommandError;
use crate::terminal;

/// The kernel's own limit.
const MAX_LINKS: u32 = 40;

/// A destination for results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    Standard,
    StandardError,
    /// Neither a regular file nor a folder, or a file descriptor of this process.
    Stream(PathBuf),
    /// A regular file that exists or can be created; links are already resolved.
    File(PathBuf),
}

impl Output {
    /// The destination that `path` leads to.
    ///
    /// # Errors
    /// If its folder does not exist, if it is a folder itself, or if its links form a loop.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Ok(Self::Standard);
        }
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            let folder = fs::canonicalize(folder_of(&path))?;
            let Some(name) = path.file_name() else {
                return Err(io::ErrorKind::IsADirectory.into());
            };
            let here = folder.join(name);
            match own_descriptor(&folder, name) {
                Some(1) => return Ok(Self::Standard),
                Some(2) => return Ok(Self::StandardError),
                Some(_) => return Ok(Self::Stream(here)),
                None => {}
            }
            match fs::symlink_metadata(&here) {
                // For a dangling link, the file will be created at its target.
                Ok(found) if found.is_symlink() => path = folder.join(fs::read_link(&here)?),
                Ok(found) if found.is_dir() => return Err(io::ErrorKind::IsADirectory.into()),
                Ok(found) if found.is_file() => return Ok(Self::File(here)),
                Ok(_) => return Ok(Self::Stream(here)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(Self::File(here));
                }
                Err(error) => return Err(error),
            }
        }
        Err(rustix::io::Errno::LOOP.into())
    }

    /// The destination for an option's `path`, checked for being writable as far as possible without writing.
    ///
    /// # Errors
    /// One line that names the option.
    pub(crate) fn prepare(path: &Path, option: &str) -> Result<Self, CommandError> {
        let refuse = |error: io::Error| {
            CommandError::Usage(format!(
                "{option} {}: cannot be written to ({}); name another file",
                path.display(),
                match error.kind() {
                    io::ErrorKind::IsADirectory => "is a folder".to_owned(),
                    _ => error.to_string(),
                }
            ))
        };
        let output = Self::of(path).map_err(refuse)?;
        output.check().map_err(refuse)?;
        Ok(output)
    }

    fn check(&self) -> io::Result<()> {
        match self {
            Self::Standard | Self::StandardError => Ok(()),
            Self::Stream(path) => Ok(rustix::fs::access(path, Access::WRITE_OK)?),
            Self::File(path) => {
                writable_if_there(path)?;
                probe(folder_of(path))
            }
        }
    }

    /// Writes all of `contents`.
    ///
    /// # Errors
    /// Errors of creating, writing and renaming. An old file then keeps its contents. A closed pipe at standard output
    /// is no error: the reader has read enough.
    pub(crate) fn write(&self, contents: &[u8]) -> io::Result<()> {
        match self {
            Self::Standard => terminal::write_standard_output(contents),
            Self::StandardError => io::stderr().write_all(contents),
            Self::Stream(path) => fs::OpenOptions::new()
                .append(true)
                .open(path)?
                .write_all(contents),
            Self::File(path) => replace(path, contents),
        }
    }
}

/// The file descriptor number, if `name` in the resolved `folder` is a descriptor of this process.
fn own_descriptor(folder: &Path, name: &OsStr) -> Option<u32> {
    let own = Path::new("/proc").join(std::process::id().to_string());
    if !folder.starts_with(own) || folder.file_name() != Some(OsStr::new("fd")) {
        return None;
    }
    name.to_str()?.parse().ok()
}

/// Checks permissions first, because a rename would replace even a read-only file.
fn writable_if_there(path: &Path) -> io::Result<()> {
    match rustix::fs::access(path, Access::WRITE_OK) {
        Ok(()) | Err(rustix::io::Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Atomically replaces the regular file at `path`.
fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    writable_if_there(path)?;
    let mut file = tempfile::Builder::new()
        .prefix(".lab-")
        // The mode of any new file; the umask applies.
        .permissions(fs::Permissions::from_mode(0o666))
        .tempfile_in(folder_of(path))?;
    if let Ok(old) = fs::metadata(path) {
        let new = file.as_file().metadata()?;
        if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
            // Only root may change the owner. For other users the file becomes their own.
            let _ = std::os::unix::fs::fchown(file.as_file(), Some(old.uid()), Some(old.gid()));
        }
        let mode = fs::Permissions::from_mode(old.mode() & 0o7777);
        file.as_file().set_permissions(mode)?;
    }
    file.write_all(contents)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Writes to `path`: a regular file is replaced as a whole or not at all, anything else is written into.
///
/// # Errors
/// Errors of creating, writing and renaming. An old file then keeps its contents.
pub fn write_whole(path: &Path, contents: &[u8]) -> io::Result<()> {
    Output::of(path)?.write(contents)
}

/// The folder that contains `path`.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Checks that files can be created in `folder`.
///
/// # Errors
/// The reason why not.
pub(crate) fn probe(folder: &Path) -> io::Result<()> {
    tempfile::Builder::new()
        .prefix(".lab-")
        .tempfile_in(folder)
        .map(drop)
}

/// Creates `folder` if necessary, and checks that files can be created in it.
///
/// # Errors
/// One line that names the option it was given with.
pub(crate) fn ensure_folder(folder: &Path, option: &str) -> Result<(), CommandError> {
    fs::create_dir_all(folder)
        .and_then(|()| probe(folder))
        .map_err(|error| {
            CommandError::Usage(format!(
                "{option} {}: cannot be written to ({error}); name another folder",
                folder.display()
            ))
        })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        write_whole(&path, b"old").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        // The final name is a folder: the write fails and leaves nothing beside it.
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        fs::write(taken.join("file"), b"x").unwrap();
        assert!(write_whole(&taken, b"new").is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn links_are_followed_to_the_end_even_if_the_target_is_missing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("below")).unwrap();
        symlink("second", at("first")).unwrap();
        symlink("below/real", at("second")).unwrap();
        for contents in [&b"one"[..], b"two"] {
            write_whole(&at("first"), contents).unwrap();
            assert_eq!(fs::read(at("below/real")).unwrap(), contents);
        }
        assert!(at("first").is_symlink() && at("second").is_symlink());
        symlink("round", at("round")).unwrap();
        assert!(Output::of(&at("round")).is_err());
        assert!(Output::of(&at("nowhere/x")).is_err());
    }

    #[test]
    fn descriptors_of_this_process_are_known_by_all_their_names() {
        for (name, output) in [
            ("-", Output::Standard),
            ("/dev/stdout", Output::Standard),
            ("/proc/self/fd/1", Output::Standard),
            ("/dev/fd/2", Output::StandardError),
        ] {
            assert_eq!(Output::of(Path::new(name)).unwrap(), output, "{name}");
        }
        let null = Output::of(Path::new("/dev/null")).unwrap();
        assert_eq!(null, Output::Stream("/dev/null".into()));
    }
}
