//! Where peers come from: sources inside this program, which are unpacked once, and folders that the user names.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sha2::{Digest as _, Sha256};

use super::manifest::{Manifest, Peer, Place};

/// Folders with manifests of other peers, separated as in `PATH`.
pub(crate) const FOLDERS: &str = "LAB_PEERS";

/// The folder for unpacking and building peers. The default is `lab/peers` in the user's cache folder.
pub(crate) const CACHE: &str = "LAB_PEERS_CACHE";

/// Path and contents of each file: `LANGUAGE/FILE` for `bench-suite/peers`, and `zoo/LANGUAGE/FILE` for
/// `bench-suite/zoo`. The build script generates the list.
const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/peer_sources.rs"));

/// A folder of manifests is small. Without a limit, the search would take forever in a home folder.
const MAX_FILES: usize = 1000;

/// All peers, and what is wrong with invalid manifests.
pub(crate) struct Found {
    pub(crate) peers: Vec<Peer>,
    pub(crate) problems: Vec<String>,
}

/// Searches once per process.
pub(crate) fn found() -> &'static Found {
    static FOUND: OnceLock<Found> = OnceLock::new();
    FOUND.get_or_init(|| {
        let folders = std::env::var_os(FOLDERS).unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&folders)
            .filter(|folder| !folder.as_os_str().is_empty())
            .collect();
        look(&folders)
    })
}

fn look(folders: &[PathBuf]) -> Found {
    let mut found = Found {
        peers: Vec::new(),
        problems: Vec::new(),
    };
    for (path, text) in FILES
        .iter()
        .filter(|(path, _)| is_manifest(Path::new(path)))
    {
        let language = path.split('/').next().unwrap_or_default();
        found.add(
            Path::new(path),
            Manifest::parse(text),
            Place::Embedded(language),
        );
    }
    found.peers.sort_by_key(|peer| place(peer.name));
    for folder in folders {
        let mut manifests = Vec::new();
        if let Err(error) = manifests_in(folder, &mut manifests) {
            let problem = format!("{FOLDERS}: {}: {error}", folder.display());
            found.problems.push(problem);
        }
        manifests.sort();
        for path in manifests {
            let manifest = fs::read_to_string(&path)
                .map_err(|error| error.to_string())
                .and_then(|text| Manifest::parse(&text));
            let parent = path.parent().unwrap_or(folder);
            let dir = fs::canonicalize(parent).unwrap_or_else(|_| parent.to_owned());
            found.add(&path, manifest, Place::Folder(dir));
        }
    }
    found
}

/// The peers from the embedded manifests whose names end in `suffix`, in listing order.
///
/// # Panics
/// If one of them is invalid, because they are part of this program.
pub(crate) fn embedded(suffix: &str) -> Vec<Peer> {
    let manifests = FILES.iter().filter(|(path, _)| path.ends_with(suffix));
    let mut peers: Vec<Peer> = manifests
        .map(|(path, text)| {
            let manifest = Manifest::parse(text).unwrap_or_else(|error| panic!("{path}: {error}"));
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            Peer::new(manifest, Place::Embedded(folder))
        })
        .collect();
    peers.sort_by_key(|peer| place(peer.name));
    peers
}

/// The embedded file at this path.
pub(crate) fn file(path: &str) -> Option<&'static str> {
    let found = FILES.iter().find(|(name, _)| *name == path);
    found.map(|(_, text)| *text)
}

/// The listing order, which does not depend on file names.
fn place(name: &str) -> usize {
    let order = [
        "go", "asyncio", "uvloop", "trio", "gevent", "java", "node", "erlang",
    ];
    order
        .iter()
        .position(|one| *one == name)
        .unwrap_or(order.len())
}

impl Found {
    fn add(&mut self, path: &Path, manifest: Result<Manifest, String>, place: Place) {
        let problem = match manifest {
            Ok(manifest) if self.peers.iter().any(|peer| peer.name == manifest.name) => {
                format!("another peer is named `{}`", manifest.name)
            }
            Ok(manifest) => {
                self.peers.push(Peer::new(manifest, place));
                return;
            }
            Err(error) => error,
        };
        let problem = format!("the peer of {} is left out: {problem}", path.display());
        self.problems.push(problem);
    }
}

/// The project's manifests end in `.peer.json`, so that other JSON files can be beside them.
fn is_manifest(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(".peer.json") || name == "peer.json"
}

/// The manifests in `folder` and its direct subfolders.
fn manifests_in(folder: &Path, manifests: &mut Vec<PathBuf>) -> io::Result<()> {
    let inner = |path: &Path| -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(path)?.take(MAX_FILES);
        entries.map(|entry| Ok(entry?.path())).collect()
    };
    for path in inner(folder)? {
        if is_manifest(&path) {
            manifests.push(path);
        } else if path.is_dir() {
            let below = inner(&path).unwrap_or_default();
            manifests.extend(below.into_iter().filter(|path| is_manifest(path)));
        }
    }
    Ok(())
}

/// The folder on disk with the sources of an embedded language, where its build may write too. Unpacks them at first
/// use.
///
/// # Errors
/// If the cache folder can't be written to.
pub(crate) fn unpacked(language: &str) -> io::Result<PathBuf> {
    let mut digest = Sha256::new();
    for (path, text) in FILES {
        for part in [path, text] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
    }
    let hash: String = digest.finalize()[..8]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let cache = cache_folder()?;
    fs::create_dir_all(&cache)?;
    let folder = cache.join(hash);
    if !folder.exists() {
        let beside = tempfile::Builder::new()
            .prefix(".unpacking-")
            .tempdir_in(&cache)?;
        for (path, text) in FILES {
            let path = beside.path().join(path);
            fs::create_dir_all(path.parent().unwrap_or(beside.path()))?;
            fs::write(path, text)?;
        }
        // Another process may have been faster, with the same files.
        if let Err(error) = fs::rename(beside.path(), &folder)
            && !folder.exists()
        {
            return Err(error);
        }
    }
    Ok(folder.join(language))
}

fn cache_folder() -> io::Result<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(folder) = variable(CACHE) {
        return std::path::absolute(folder);
    }
    let cache = variable("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".cache")));
    Ok(cache
        .unwrap_or_else(std::env::temp_dir)
        .join("lab")
        .join("peers"))
}

/// The output folder for the build of a peer whose manifest is in `dir`: beside it if the peer is ours, else in the
/// cache.
pub(crate) fn build_folder(peer: &Peer, dir: &Path) -> io::Result<PathBuf> {
    match &peer.place {
        Place::Embedded(_) => Ok(dir.join(format!("build-{}", peer.name))),
        Place::Folder(_) => {
            let mut digest = Sha256::new();
            digest.update(dir.as_os_str().as_encoded_bytes());
            let hash: String = digest.finalize()[..8]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            Ok(cache_folder()?
                .join(format!("of-{hash}"))
                .join(format!("build-{}", peer.name)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_manifest_can_be_used() {
        let found = look(&[]);
        assert_eq!(found.problems, Vec::<String>::new());
        let workloads = crate::catalogue::workloads();
        for peer in &found.peers {
            assert_eq!(peer.misfit(&workloads), None, "{}", peer.name);
        }
        assert!(found.peers.iter().any(|peer| peer.name == "go"));
    }

    #[test]
    fn manifests_are_found_in_nested_folders_and_bad_ones_are_reported() {
        let folder = tempfile::tempdir().unwrap();
        let manifest = |name: &str| {
            format!(
                r#"{{"name": "{name}", "language": "X", "about": "a", "command": ["x"], "install": "i",
                "workloads": ["spawn"]}}"#
            )
        };
        fs::create_dir(folder.path().join("below")).unwrap();
        fs::write(folder.path().join("one.peer.json"), manifest("one")).unwrap();
        fs::write(folder.path().join("below/peer.json"), manifest("two")).unwrap();
        fs::write(folder.path().join("go.peer.json"), manifest("go")).unwrap();
        fs::write(folder.path().join("bad.peer.json"), "{").unwrap();
        fs::write(folder.path().join("package.json"), "{").unwrap();
        let missing = folder.path().join("missing");
        let found = look(&[folder.path().to_owned(), missing]);
        let has = |name| found.peers.iter().any(|peer| peer.name == name);
        assert!(has("one") && has("two"));
        assert_eq!(found.problems.len(), 3, "{:?}", found.problems);
    }
}
