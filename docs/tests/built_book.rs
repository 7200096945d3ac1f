//! The built book: every link in it leads to an existing page, and to an existing place on that page.
//!
//! It needs a built book, which `LAB_BUILT_BOOK` names; the CI step `book` builds one. Without it there is nothing to
//! check, and `book.rs` checks the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// All pages under `folder`.
fn pages(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            found.extend(pages(&path));
        } else if path
            .extension()
            .is_some_and(|extension| extension == "html")
        {
            found.push(path);
        }
    }
    found
}

/// The values of the attribute `name` in `html`, outside scripts.
fn values(html: &str, name: &str) -> BTreeSet<String> {
    let mut values = BTreeSet::new();
    for part in html
        .split("<script")
        .map(|part| match part.split_once("</script>") {
            Some((_, outside)) => outside,
            None => part,
        })
    {
        let start = format!(" {name}=\"");
        for rest in part.split(&start).skip(1) {
            if let Some((value, _)) = rest.split_once('"') {
                values.insert(value.replace("&amp;", "&"));
            }
        }
    }
    values
}

/// `path` without `.` and `..`.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            Component::CurDir => {}
            part => plain.push(part),
        }
    }
    plain
}

/// The link with escapes decoded: `%20` is a space.
fn decoded(link: &str) -> String {
    let mut parts = link.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..2).map(|digits| u8::from_str_radix(digits, 16)) {
            Some(Ok(byte)) => {
                bytes.push(byte);
                bytes.extend_from_slice(&part.as_bytes()[2..]);
            }
            _ => {
                bytes.push(b'%');
                bytes.extend_from_slice(part.as_bytes());
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The links under `folder` that lead nowhere, and the total number of links.
fn dead(folder: &Path) -> (Vec<String>, usize) {
    let texts: BTreeMap<PathBuf, String> = pages(folder)
        .into_iter()
        .map(|page| {
            let text = fs::read_to_string(&page).expect("a page is text");
            (page, text)
        })
        .collect();
    let ids: BTreeMap<&PathBuf, BTreeSet<String>> = texts
        .iter()
        .map(|(page, text)| (page, values(text, "id")))
        .collect();
    let mut dead = Vec::new();
    let mut seen = 0;
    for (page, text) in &texts {
        // A server shows this for a page that it does not have. Its links are relative to the server's root.
        if page.ends_with("404.html") {
            continue;
        }
        for link in values(text, "href") {
            if link.contains("://") || link.starts_with("javascript:") {
                continue;
            }
            seen += 1;
            let (path, place) = match link.split_once('#') {
                Some((path, place)) => (decoded(path), Some(decoded(place))),
                None => (decoded(&link), None),
            };
            let target = match path.as_str() {
                "" => page.clone(),
                path => plain(&page.parent().expect("a folder").join(path)),
            };
            let is_there = target.starts_with(folder) && target.is_file();
            let place_is_there = match (place, ids.get(&target)) {
                (Some(place), Some(ids)) if !place.is_empty() => ids.contains(&place),
                _ => true,
            };
            if !(is_there && place_is_there) {
                let page = page.strip_prefix(folder).unwrap_or(page);
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    (dead, seen)
}

#[test]
fn every_link_of_the_built_book_leads_somewhere() {
    let Some(folder) = std::env::var_os("LAB_BUILT_BOOK") else {
        println!("no LAB_BUILT_BOOK: `.ci/run book` builds one");
        return;
    };
    let folder = Path::new(&folder).canonicalize().expect("the built book");
    let (dead, seen) = dead(&folder);
    assert!(dead.is_empty(), "{} dead links: {dead:#?}", dead.len());
    assert!(
        seen > 1000,
        "only {seen} links were found: does this test still read them?"
    );
}

#[test]
fn dead_links_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    fs::create_dir(root.join("below")).unwrap();
    let page = "<a href=\"below/b.html#x\"></a> <a href=\"below/b.html#y\"></a> <a href=\"c.rs\"></a>\
                <a href=\"../outside.html\"></a> <a href=\"https://x.example/\"></a>\
                <script>\"<a href=\\\"d.html\\\">\"</script> <a href=\"#z\"></a>";
    fs::write(root.join("a.html"), page).unwrap();
    fs::write(root.join("below/b.html"), "<p id=\"x\"></p>").unwrap();
    let (dead, seen) = dead(&root);
    assert_eq!(
        dead,
        [
            "a.html: #z",
            "a.html: ../outside.html",
            "a.html: below/b.html#y",
            "a.html: c.rs"
        ]
    );
    assert_eq!(seen, 5);
}
