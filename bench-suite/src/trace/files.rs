//! A trace as files: in the lab's own format, as a page of timelines, for Perfetto, and for the Firefox Profiler.

use std::io;
use std::path::{Path, PathBuf};

use super::format::Trace;
use super::{firefox, perfetto};
use crate::error::CommandError;
use crate::output::write_whole;
use crate::timeline;

/// Writes the trace into `folder`, in files called `name` with different extensions. Returns their paths.
///
/// # Errors
/// [`CommandError::Failed`] with the name of the file that can't be written, and the reason.
pub(crate) fn write(
    trace: &Trace,
    folder: &Path,
    name: &str,
) -> Result<Vec<PathBuf>, CommandError> {
    let mut written = Vec::new();
    let mut put = |ending: &str, write: &dyn Fn(&Path) -> io::Result<()>| {
        let path = folder.join(format!("{name}.{ending}"));
        write(&path).map_err(|error| {
            CommandError::Failed(format!(
                "cannot write {}: {error}; name another folder",
                path.display()
            ))
        })?;
        written.push(path);
        Ok(())
    };
    put("json", &|path| trace.write(path))?;
    put("html", &|path| {
        write_whole(path, timeline::page(trace).as_bytes())
    })?;
    put("perfetto-trace", &|path| {
        write_whole(path, &perfetto::bytes(trace))
    })?;
    put("firefox.json", &|path| {
        write_whole(path, &firefox::bytes(trace)?)
    })?;
    Ok(written)
}
