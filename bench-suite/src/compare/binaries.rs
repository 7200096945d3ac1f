//! Arms from other builds of this program: `--binary before=PATH`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::arms::Arm;
use crate::error::{CommandError, usage};

/// Another build, which answered when asked for its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Binary {
    pub(crate) path: PathBuf,
    /// The version that it reports.
    pub(crate) version: String,
}

/// The builds of `NAME=PATH`, in the order given.
///
/// # Errors
/// [`CommandError::Usage`] for a name that is empty or given twice, and for a program that does not answer.
pub(super) fn chosen(asked: &[String]) -> Result<Vec<(String, Binary)>, CommandError> {
    let mut chosen: Vec<(String, Binary)> = Vec::new();
    for one in asked {
        let (name, path) = one.split_once('=').unwrap_or(("", one));
        let name = name.trim();
        if name.is_empty() || path.is_empty() {
            return Err(usage(format!(
                "--binary {}: write NAME=PATH, such as before=target/before/lab",
                one.escape_debug()
            )));
        }
        if chosen.iter().any(|(other, _)| other == name) {
            return Err(usage(format!("--binary {name} is given twice")));
        }
        let version = version(Path::new(path)).map_err(|why| {
            usage(format!(
                "--binary {name}: {path} {why}; name a build of this program"
            ))
        })?;
        let path = PathBuf::from(path);
        chosen.push((name.to_owned(), Binary { path, version }));
    }
    Ok(chosen)
}

fn version(path: &Path) -> Result<String, String> {
    let output = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot be run ({error})"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    match said.lines().next() {
        Some(line) if output.status.success() && !line.trim().is_empty() => {
            Ok(line.trim().to_owned())
        }
        _ => Err("does not say its version".to_owned()),
    }
}

/// One runtime's arms in every build. The baseline comes first: the arm of the build called `baseline`, or else of the
/// first other build.
pub(super) fn with_builds(
    arms: Vec<Arm>,
    binaries: &[(String, Binary)],
    baseline: Option<&str>,
) -> Vec<Arm> {
    let mut names: Vec<&String> = binaries.iter().map(|(name, _)| name).collect();
    names.sort_by_key(|name| Some(name.as_str()) != baseline);
    arms.into_iter()
        .flat_map(|arm| {
            let others = names.iter().map(|name| Some((*name).clone()));
            let builds: Vec<Option<String>> = others.chain([None]).collect();
            builds.into_iter().map(move |binary| Arm {
                binary,
                ..arm.clone()
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_not_a_build_is_refused_in_one_line() {
        for (asked, part) in [
            ("target/lab", "write NAME=PATH"),
            ("=target/lab", "write NAME=PATH"),
            ("before=/nowhere/lab", "cannot be run"),
            ("before=/bin/false", "does not say its version"),
        ] {
            let error = chosen(&[asked.to_owned()]).unwrap_err().to_string();
            assert!(error.contains(part) && !error.contains('\n'), "{error}");
        }
    }
}
