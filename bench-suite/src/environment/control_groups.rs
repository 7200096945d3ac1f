//! The control groups of this process. The limits of a group and of all its ancestors apply.

use std::fs;
use std::path::{Path, PathBuf};

/// The folders of this process's groups for one controller, for both versions, from the innermost mounted group to the
/// outermost. Files are read below `root`.
pub(super) fn folders(root: &Path, controller: &str) -> Vec<PathBuf> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let (memberships, mounts) = (read("proc/self/cgroup"), read("proc/self/mountinfo"));
    memberships
        .lines()
        .filter_map(|line| {
            // `0::/path` is version 2, and `4:memory:/path` is version 1.
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = (fields.next()?, fields.next()?);
            let second = controllers.is_empty();
            let first = controllers.split(',').any(|name| name == controller);
            (second || first).then_some((second, path))
        })
        .flat_map(|(second, path)| {
            let mounts = mounts.lines();
            let mounts = mounts.filter_map(move |line| mount(line, second, controller));
            mounts.flat_map(move |mount| groups(root, &mount, path))
        })
        .collect()
}

/// A mounted hierarchy: the part that is mounted, and the mount point.
struct Mount {
    part: String,
    at: PathBuf,
}

/// Parses a line of `mountinfo`, if it mounts the hierarchy of version 2, or the one of version 1 with the controller.
fn mount(line: &str, second: bool, controller: &str) -> Option<Mount> {
    let (before, after) = line.split_once(" - ")?;
    let mut after = after.split(' ');
    let (kind, options) = (after.next()?, after.nth(1)?);
    let fits = if second {
        kind == "cgroup2"
    } else {
        kind == "cgroup" && options.split(',').any(|option| option == controller)
    };
    let mut before = before.split(' ').skip(3);
    let (part, at) = (before.next()?, before.next()?);
    fits.then(|| Mount {
        part: part.to_owned(),
        at: PathBuf::from(at.trim_start_matches('/')),
    })
}

/// The folders of the group `path` and of its ancestors, as far as they are mounted.
fn groups(root: &Path, mount: &Mount, path: &str) -> Vec<PathBuf> {
    let top = root.join(&mount.at);
    // In a container the mounted part is often the group itself, and its path is the one seen from outside.
    let below = path
        .strip_prefix(mount.part.trim_end_matches('/'))
        .unwrap_or("")
        .trim_start_matches('/');
    let own = top.join(below);
    own.ancestors()
        .take_while(|folder| folder.starts_with(&top))
        .map(Path::to_owned)
        .collect()
}
