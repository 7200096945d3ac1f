//! A preprocessor for mdBook: see [`docs::included`]. mdBook writes `[context, book]` to standard input and reads the book back.

use std::io::{self, Read as _};
use std::process::ExitCode;

use docs::included::for_the_book;
use serde_json::Value;

fn main() -> ExitCode {
    // `supports RENDERER` asks whether there is anything to do for a renderer: there is for each.
    if std::env::args().nth(1).as_deref() == Some("supports") {
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
    let [_context, mut book]: [Value; 2] = serde_json::from_str(&input)?;
    rewrite(&mut book);
    Ok(book)
}

/// Rewrites the content of every chapter in `value`, however deep it stands.
fn rewrite(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(rewrite),
        Value::Object(fields) => {
            if let Some(Value::String(content)) = fields.get_mut("content") {
                *content = for_the_book(content);
            }
            fields.values_mut().for_each(rewrite);
        }
        _ => {}
    }
}
