//! The book and the README against the repository: everything that they refer to exists.

use std::fs;
use std::path::{Path, PathBuf};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("docs/ is in the workspace")
        .to_path_buf()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files under `folder` whose names end in `ending`.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
    {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            found.extend(files(&path, ending));
        } else if path.to_string_lossy().ends_with(ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn chapters() -> Vec<PathBuf> {
    files(&root().join("docs/src"), ".md")
}

/// The lines of `markdown` outside fenced code blocks.
fn prose(markdown: &str) -> String {
    let mut fenced = false;
    let mut kept = String::new();
    for line in markdown.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

/// The targets of all inline links in `markdown`.
fn links(markdown: &str) -> Vec<String> {
    let text = prose(markdown);
    text.split("](")
        .skip(1)
        .filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
        .collect()
}

/// Path and part of each `{{#include path:part}}` and similar directive in `markdown`.
fn includes(markdown: &str) -> Vec<(String, Option<String>)> {
    markdown
        .split("{{#")
        .skip(1)
        .filter_map(|rest| {
            let (_, target) = rest.split_once("}}")?.0.split_once(' ')?;
            let (path, part) = match target.split_once(':') {
                Some((path, part)) => (path, Some(part.to_owned())),
                None => (target, None),
            };
            Some((path.to_owned(), part))
        })
        .collect()
}

/// The link names of the headings of `markdown`.
fn heading_names(markdown: &str) -> Vec<String> {
    prose(markdown)
        .lines()
        .filter(|line| line.starts_with('#'))
        .map(|line| {
            line.trim_start_matches('#')
                .trim()
                .to_lowercase()
                .chars()
                .filter_map(|letter| match letter {
                    ' ' => Some('-'),
                    letter if letter.is_alphanumeric() || "-_".contains(letter) => Some(letter),
                    _ => None,
                })
                .collect()
        })
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut pages = chapters();
    pages.extend(
        ["README.md", "CHANGELOG.md", ".github/CONTRIBUTING.md"].map(|name| root().join(name)),
    );
    let mut broken = Vec::new();
    let mut seen = 0;
    for page in pages {
        let text = read(&page);
        for link in links(&text) {
            if link.starts_with("https://") {
                continue;
            }
            seen += 1;
            let (path, heading) = link
                .split_once('#')
                .map_or((link.as_str(), None), |(path, heading)| {
                    (path, Some(heading))
                });
            let target = if path.is_empty() {
                page.clone()
            } else {
                page.parent().expect("a folder").join(path)
            };
            let there = match (target.exists(), heading) {
                (true, Some(heading)) => heading_names(&read(&target))
                    .iter()
                    .any(|name| name == heading),
                (there, _) => there,
            };
            if !there {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(
        seen > 20,
        "only {seen} links were found: does this test still read them?"
    );
}

#[test]
fn every_included_part_exists() {
    let mut missing = Vec::new();
    for page in chapters() {
        for (path, part) in includes(&read(&page)) {
            let target = page.parent().expect("a folder").join(&path);
            let there = target.exists()
                && part.as_ref().is_none_or(|part| {
                    let text = read(&target);
                    text.contains(&format!("ANCHOR: {part}\n"))
                        && text.contains(&format!("ANCHOR_END: {part}\n"))
                });
            if !there {
                missing.push(format!(
                    "{}: {path}:{}",
                    page.display(),
                    part.unwrap_or_default()
                ));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_chapter_is_in_the_summary() {
    let summary = root().join("docs/src/SUMMARY.md");
    let listed: Vec<PathBuf> = links(&read(&summary))
        .iter()
        .map(|link| root().join("docs/src").join(link))
        .collect();
    for chapter in chapters() {
        assert!(
            chapter == summary || listed.contains(&chapter),
            "{} is not in SUMMARY.md",
            chapter.display()
        );
    }
}

/// A protocol that is described beside its code is a page of the book.
#[test]
fn every_module_readme_is_in_the_book() {
    let included: Vec<PathBuf> = chapters()
        .iter()
        .flat_map(|page| {
            let folder = page.parent().expect("a folder").to_path_buf();
            includes(&read(page))
                .into_iter()
                .filter_map(move |(path, _)| folder.join(path).canonicalize().ok())
        })
        .collect();
    for part in [
        "runtime-core",
        "runtime-n1",
        "runtime-mn",
        "runtime-threads",
        "bench-suite",
    ] {
        for readme in files(&root().join(part).join("src"), "README.md") {
            let readme = readme.canonicalize().expect("it was just found");
            assert!(
                included.contains(&readme),
                "no chapter includes {}",
                readme.display()
            );
        }
    }
}

/// The program in the README is a compiled one.
#[test]
fn the_readme_shows_the_compiled_program() {
    let example = read(&root().join("docs/examples/three_models.rs"));
    let program = example
        .split_once("// ANCHOR: program\n")
        .and_then(|(_, rest)| rest.split_once("// ANCHOR_END: program"))
        .expect("the anchors")
        .0;
    let shown = format!("```rust\n{program}```");
    assert!(
        read(&root().join("README.md")).contains(&shown),
        "README.md does not show docs/examples/three_models.rs"
    );
}
