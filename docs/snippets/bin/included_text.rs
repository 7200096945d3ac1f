//! A preprocessor for mdBook: see [`docs::included`] and [`docs::sources`]. mdBook writes `[context, book]` to
//! standard input and reads the book back.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use docs::included::for_the_book;
use docs::sources::{FOLDER, Sources};
use serde_json::{Map, Value, json};

fn main() -> ExitCode {
    // mdBook asks with `supports RENDERER` whether to run this for a renderer. Exit code 0 means yes.
    if std::env::args_os()
        .nth(1)
        .is_some_and(|word| word == "supports")
    {
        return ExitCode::SUCCESS;
    }
    match preprocess() {
        Ok(book) => {
            println!("{book}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("included-text: {error}; mdBook runs this, with the book on standard input");
            ExitCode::FAILURE
        }
    }
}

fn preprocess() -> io::Result<Value> {
    let mut input = String::new();
    io::stdin().read_to_string(&mut input)?;
    let [context, mut book]: [Value; 2] = serde_json::from_str(&input)?;
    let place = |pointer: &str| context.pointer(pointer).and_then(Value::as_str);
    let missing = || io::Error::other("the context does not say where the book is");
    let folder = Path::new(place("/root").ok_or_else(missing)?).canonicalize()?;
    let pages = folder.join(place("/config/book/src").unwrap_or("src"));
    let root = folder.parent().ok_or_else(missing)?;

    let mut chapters = Vec::new();
    each_chapter(&mut book, &mut |chapter| {
        chapters.extend(path_of(chapter));
    });
    let mut sources = Sources::new(root, &pages, &chapters);
    each_chapter(&mut book, &mut |chapter| {
        let path = path_of(chapter);
        if let (Some(path), Some(Value::String(content))) = (path, chapter.get_mut("content")) {
            *content = sources.relink(&path, &for_the_book(content));
        }
    });
    let items = book.get_mut("items").and_then(Value::as_array_mut);
    let items = items.ok_or_else(|| io::Error::other("the book has no items"))?;
    items.push(json!({"PartTitle": "Sources"}));
    items.push(source_chapter(&sources)?);
    Ok(book)
}

/// The chapter with the source files' pages below it.
fn source_chapter(sources: &Sources) -> io::Result<Value> {
    const TITLE: &str = "Files of the repository";
    let mut content = format!(
        "# {TITLE}\n\nPages of this book link to these files. Here they are as they were when the book was built.\n\n"
    );
    let mut below = Vec::new();
    for (path, title, text) in sources.pages()? {
        let link = path.strip_prefix(FOLDER).unwrap_or(&path);
        content += &format!("- [{title}]({})\n", link.display());
        below.push(chapter(&title, &path, text, &[TITLE], Vec::new()));
    }
    let path = Path::new(FOLDER).join("about.md");
    Ok(chapter(TITLE, &path, content, &[], below))
}

fn chapter(name: &str, path: &Path, content: String, parents: &[&str], below: Vec<Value>) -> Value {
    json!({"Chapter": {
        "name": name,
        "content": content,
        "number": null,
        "sub_items": below,
        "path": path,
        "source_path": null,
        "parent_names": parents,
    }})
}

fn path_of(chapter: &Map<String, Value>) -> Option<PathBuf> {
    let path = chapter.get("source_path").or_else(|| chapter.get("path"));
    path.and_then(Value::as_str).map(PathBuf::from)
}

/// Calls `action` for every chapter in `value`, at any depth.
fn each_chapter(value: &mut Value, action: &mut dyn FnMut(&mut Map<String, Value>)) {
    match value {
        Value::Array(items) => {
            for item in items {
                each_chapter(item, action);
            }
        }
        Value::Object(fields) => {
            if fields.contains_key("content") {
                action(fields);
            }
            for field in fields.values_mut() {
                each_chapter(field, action);
            }
        }
        _ => {}
    }
}
