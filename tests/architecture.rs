//! Holds the source to the map in `src/lib.rs`: floors, pure floors, fences for foreign crates.
//!
//! The rules are pure functions from text to violations; each is proven below its code on small
//! texts that break it, so that no rule can go blind unnoticed.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::{Path, PathBuf};

#[path = "architecture/lexer.rs"]
mod lexer;
#[path = "architecture/map.rs"]
mod map;
#[path = "architecture/paths.rs"]
mod paths;
#[path = "architecture/rules.rs"]
mod rules;

use map::Map;
use rules::Violation;

#[test]
fn the_source_keeps_to_the_map() {
    let files = source_files();
    let lib = &files.iter().find(|(path, _)| path == "lib.rs").unwrap().1;
    let map = Map::parse(lib);
    let paths: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();

    let mut violations = rules::map_matches_source(&map, lib, &paths);
    for (path, text) in &files {
        violations.extend(rules::check_file(&map, path, text));
    }

    let lines: Vec<String> = violations.iter().map(Violation::to_string).collect();
    assert!(lines.is_empty(), "the source leaves the map:\n{}", lines.join("\n"));
}

/// Reads every Rust file below `src`, as (path below `src`, text), in the order of the paths.
fn source_files() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let name: Vec<_> = path.strip_prefix(&root).unwrap().iter().collect();
        let name: Vec<_> = name.iter().map(|part| part.to_str().unwrap()).collect();
        (name.join("/"), text)
    };
    files.into_iter().map(read).collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
