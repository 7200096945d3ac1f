//! What the measuring program was built from. Without this, you could not compare results with others.
//!
//! Commit and dependencies belong to the *program*, the binary that is measured. This library can't know them. If it is
//! built for another project, its own repository and its own `Cargo.lock` don't say what was linked. So the program
//! provides them, with [`build!`](crate::build!) and [`main_of`](crate::main_of). Otherwise they are unknown.
//!
//! Profile and compiler are known anyway, because cargo compiles this library together with the program.

use std::collections::BTreeMap;

/// What a measuring program was built from. `None` means unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Build {
    /// Name and version, such as `my-lab 0.3.0`.
    pub program: Option<String>,
    /// Commit, with `-dirty` if files were changed.
    pub commit: Option<String>,
    /// Versions of the crates that matter, by name.
    pub versions: BTreeMap<String, String>,
}

impl Build {
    /// For a program that says nothing about itself.
    pub fn unknown() -> Self {
        Self::default()
    }

    /// For this project's own `lab`.
    #[doc(hidden)]
    pub fn of_this_project() -> Self {
        Self {
            program: Some(concat!("lab ", env!("CARGO_PKG_VERSION")).to_owned()),
            commit: known(env!("LAB_COMMIT")),
            versions: env!("LAB_VERSIONS")
                .split(',')
                .filter_map(|entry| entry.split_once('='))
                .map(|(name, version)| (name.to_owned(), version.to_owned()))
                .collect(),
        }
    }

    /// Adds the commit, if there is one. Pass `option_env!("MY_COMMIT")`, for a variable that your build script sets.
    #[must_use]
    pub fn commit(mut self, commit: Option<&str>) -> Self {
        self.commit = commit.and_then(known);
        self
    }

    /// Adds the versions of all packages in `text`, which is the contents of your program's `Cargo.lock`.
    ///
    /// ```
    /// let lock = "[[package]]\nname = \"tokio\"\nversion = \"1.2.3\"\n";
    /// let build = bench_suite::build!().lock(lock);
    /// assert_eq!(build.versions["tokio"], "1.2.3");
    /// ```
    #[must_use]
    pub fn lock(mut self, text: &str) -> Self {
        let value = |line: &str, key: &str| {
            let value = line.strip_prefix(key)?.strip_prefix(" = \"")?;
            Some(value.strip_suffix('"')?.to_owned())
        };
        let mut name = None;
        for line in text.lines() {
            if let Some(found) = value(line, "name") {
                name = Some(found);
            } else if let Some((name, version)) = name.clone().zip(value(line, "version")) {
                // Two versions of one package can both be linked.
                let versions = self.versions.entry(name).or_default();
                if !versions.is_empty() {
                    versions.push_str(", ");
                }
                versions.push_str(&version);
            }
        }
        self
    }
}

/// The [`Build`] of the calling crate, with its name and version. Add what a macro can't know with the methods of
/// `Build`.
///
/// ```no_run
/// use bench_suite::Registry;
///
/// fn main() -> std::process::ExitCode {
///     let build = bench_suite::build!().commit(option_env!("MY_COMMIT"));
///     bench_suite::main_of(build, Registry::standard())
/// }
/// ```
#[macro_export]
macro_rules! build {
    () => {{
        let mut build = $crate::Build::unknown();
        build.program =
            Some(concat!(env!("CARGO_PKG_NAME"), " ", env!("CARGO_PKG_VERSION")).to_owned());
        build
    }};
}

/// The name of the profile that compiled this library, and so the program.
pub(crate) fn profile() -> String {
    env!("LAB_PROFILE").to_owned()
}

/// The profile's known settings, by their names in `Cargo.toml`.
pub(crate) fn profile_settings() -> BTreeMap<String, String> {
    let mut settings: BTreeMap<String, String> = env!("LAB_PROFILE_SETTINGS")
        .split(';')
        .filter_map(|entry| entry.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let assertions = cfg!(debug_assertions).to_string();
    settings.insert("debug-assertions".to_owned(), assertions);
    settings
}

pub(crate) fn compiler() -> Option<String> {
    known(env!("LAB_RUSTC"))
}

/// Version and commit of this library.
pub(crate) fn library() -> String {
    let version = concat!("bench-suite ", env!("CARGO_PKG_VERSION"));
    match known(env!("LAB_COMMIT")) {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_owned(),
    }
}

fn known(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_build_record_claims_nothing() {
        let build = Build::unknown();
        assert!(build.commit.is_none() && build.versions.is_empty() && build.program.is_none());
        let build = crate::build!().commit(Some("")).lock("");
        assert_eq!((build.commit, build.versions.len()), (None, 0));
        assert!(
            build
                .program
                .is_some_and(|name| name.starts_with("bench-suite "))
        );
    }

    #[test]
    fn a_lock_file_is_read_by_package() {
        let build = Build::unknown().lock(
            "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\ndependencies = [\n \"b 2.0.0\",\n]\n\n\
             [[package]]\nname = \"b\"\nversion = \"1.5.0\"\n\n[[package]]\nname = \"b\"\nversion = \"2.0.0\"\n",
        );
        let versions: Vec<(&str, &str)> = build
            .versions
            .iter()
            .map(|(name, version)| (name.as_str(), version.as_str()))
            .collect();
        assert_eq!(versions, [("a", "1.0.0"), ("b", "1.5.0, 2.0.0")]);
    }

    #[test]
    fn the_profile_is_the_folder_that_cargo_builds_in() {
        assert!(!profile().is_empty());
        let settings = profile_settings();
        assert!(settings.contains_key("opt-level"), "{settings:?}");
    }
}
