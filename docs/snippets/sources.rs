//! Links from the book into the repository. In the repository they lead to files beside the book. In the built book,
//! which may be anywhere, those files don't exist. Each file that a page links to therefore becomes a page of the book,
//! and the links lead there. To read the book, you need nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::included::code_span;

/// The folder for the files' pages, below the book's source folder.
pub const FOLDER: &str = "source";

/// Collects the files that pages link to.
#[derive(Debug)]
pub struct Sources {
    /// The repository.
    root: PathBuf,
    /// The book's source folder.
    pages: PathBuf,
    /// Files that a chapter includes, such as a module's README, and the chapter.
    included: BTreeMap<PathBuf, PathBuf>,
    wanted: BTreeSet<PathBuf>,
}

impl Sources {
    /// For the repository `root`. `pages` is the folder of the book's sources, and the `chapters` are below it.
    pub fn new(root: &Path, pages: &Path, chapters: &[PathBuf]) -> Self {
        let mut included = BTreeMap::new();
        for chapter in chapters {
            for file in includes(&pages.join(chapter)) {
                if file.extension().is_some_and(|extension| extension == "md") {
                    included.insert(file, chapter.clone());
                }
            }
        }
        Self {
            root: root.to_owned(),
            pages: pages.to_owned(),
            included,
            wanted: BTreeSet::new(),
        }
    }

    /// The `content` of `chapter`, with links into the repository replaced by links to pages of the book.
    pub fn relink(&mut self, chapter: &Path, content: &str) -> String {
        let file = self.pages.join(chapter);
        // A link is relative to the chapter, or to the file that the chapter includes.
        let folders: Vec<PathBuf> = [file.clone()]
            .into_iter()
            .chain(includes(&file))
            .filter_map(|file| Some(file.parent()?.to_owned()))
            .collect();
        let up = "../".repeat(chapter.components().count().saturating_sub(1));
        relinked(content, &mut |target| {
            let (path, heading) = match target.split_once('#') {
                Some((path, heading)) => (path, format!("#{heading}")),
                None => (target, String::new()),
            };
            if path.is_empty() || path.contains("://") {
                return None;
            }
            let found = folders
                .iter()
                .find_map(|folder| folder.join(path).canonicalize().ok())?;
            if let Some(chapter) = self.included.get(&found) {
                return Some(format!("{up}{}{heading}", chapter.display()));
            }
            if found.starts_with(&self.pages) || !found.is_file() {
                return None;
            }
            let name = found.strip_prefix(&self.root).ok()?.to_owned();
            let link = format!("{up}{FOLDER}/{}.md", name.display());
            self.wanted.insert(name);
            Some(link)
        })
    }

    /// The pages of the linked files: path below the book's source folder, title, and content.
    ///
    /// # Errors
    /// Errors of reading a file.
    pub fn pages(&self) -> std::io::Result<Vec<(PathBuf, String, String)>> {
        self.wanted
            .iter()
            .map(|name| {
                let text = fs::read_to_string(self.root.join(name))?;
                let title = name.display().to_string();
                let path = Path::new(FOLDER).join(format!("{title}.md"));
                // Longer than any fence in the file.
                let fence = "`".repeat(12);
                let content = format!("# {title}\n\n{fence}{}\n{text}\n{fence}\n", language(name));
                Ok((path, title, content))
            })
            .collect()
    }
}

/// The language of a file, as the name in a code block. Rust must not be runnable from its page.
fn language(name: &Path) -> &'static str {
    match name.extension().and_then(|extension| extension.to_str()) {
        Some("rs") => "rust,ignore",
        Some("toml") => "toml",
        Some("json") => "json",
        _ => "text",
    }
}

/// The files that the text at `path` includes.
fn includes(path: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let folder = path.parent().unwrap_or(Path::new(""));
    text.split("{{#include ")
        .skip(1)
        .filter_map(|rest| {
            let target = rest.split_once("}}")?.0;
            let target = target.split(':').next()?;
            folder.join(target.trim()).canonicalize().ok()
        })
        .collect()
}

/// `markdown` with the targets of its links replaced by the results of `replacement`, if there are any. Code is
/// unchanged.
fn relinked(markdown: &str, replacement: &mut dyn FnMut(&str) -> Option<String>) -> String {
    let mut whole = String::with_capacity(markdown.len());
    let mut prose = String::new();
    let mut in_code = false;
    for line in markdown.split_inclusive('\n') {
        if line.trim_start().starts_with("```") {
            prose_relinked(&std::mem::take(&mut prose), replacement, &mut whole);
            in_code = !in_code;
            whole.push_str(line);
        } else if in_code {
            whole.push_str(line);
        } else {
            prose.push_str(line);
        }
    }
    prose_relinked(&prose, replacement, &mut whole);
    whole
}

fn prose_relinked(
    text: &str,
    replacement: &mut dyn FnMut(&str) -> Option<String>,
    whole: &mut String,
) {
    let mut rest = text;
    while let Some(at) = rest.find(['`', ']']) {
        whole.push_str(&rest[..at]);
        rest = &rest[at..];
        let mut taken = 1;
        if rest.starts_with('`') {
            taken = code_span(rest);
        } else if let Some((target, _)) = rest
            .strip_prefix("](")
            .and_then(|target| target.split_once(')'))
            && let Some(replacement) = replacement(target)
        {
            whole.push_str("](");
            whole.push_str(&replacement);
            rest = &rest["](".len() + target.len()..];
            continue;
        }
        whole.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    whole.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository with a book of two chapters, one of which is a module's README.
    fn repository() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("a/src/lib.rs", "// ```\nfn a() {}\n"),
            ("a/src/README.md", "see [the list](list.rs)"),
            ("a/src/list.rs", ""),
            ("docs/src/one.md", ""),
            (
                "docs/src/deep/readme.md",
                "{{#include ../../../a/src/README.md}}",
            ),
        ] {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        root
    }

    #[test]
    fn a_link_to_a_file_leads_to_its_page() {
        let folder = repository();
        let root = folder.path().canonicalize().unwrap();
        let chapters = ["one.md", "deep/readme.md"].map(PathBuf::from);
        let mut sources = Sources::new(&root, &root.join("docs/src"), &chapters);
        let one = chapters[0].as_path();
        for (text, expected) in [
            ("[`a`](../../a/src/lib.rs)", "[`a`](source/a/src/lib.rs.md)"),
            ("[a](../../a/src/README.md#x)", "[a](deep/readme.md#x)"),
            ("[a](deep/readme.md)", "[a](deep/readme.md)"),
            ("[a](https://a.example/b.rs)", "[a](https://a.example/b.rs)"),
            (
                "[a](#b) `[a](../../a/src/lib.rs)`",
                "[a](#b) `[a](../../a/src/lib.rs)`",
            ),
            (
                "```\n[a](../../a/src/lib.rs)\n```\n",
                "```\n[a](../../a/src/lib.rs)\n```\n",
            ),
        ] {
            assert_eq!(sources.relink(one, text), expected);
        }
        // A link as written in the README, relative to the chapter that includes it.
        let readme = sources.relink(&chapters[1], "see [the list](list.rs)");
        assert_eq!(readme, "see [the list](../source/a/src/list.rs.md)");

        let pages = sources.pages().unwrap();
        let paths: Vec<&Path> = pages.iter().map(|page| page.0.as_path()).collect();
        assert_eq!(
            paths,
            ["source/a/src/lib.rs.md", "source/a/src/list.rs.md"].map(Path::new)
        );
        assert!(pages[0].2.contains("rust,ignore\n// ```\nfn a() {}\n"));
    }
}
