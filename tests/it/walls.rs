//! Imports flow one way: `docs/architecture.md`, Where things are.

use std::fs;
use std::path::{Path, PathBuf};

/// Each module may use those after it.
const ORDER: [&str; 14] = [
    "main",
    "app",
    "config",
    "transport",
    "graphql",
    "hub",
    "document",
    "signal",
    "chat",
    "log",
    "store",
    "bus",
    "auth",
    "model",
];

/// Which modules may name a crate.
const CRATES: [(&str, &[&str]); 3] = [
    ("sqlx", &["store"]),
    ("axum", &["transport", "app"]),
    (
        "async_graphql",
        &["transport", "graphql", "hub", "document"],
    ),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// The top module that a file belongs to, and its text without comments.
fn modules() -> Vec<(String, PathBuf, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = |path: PathBuf| {
        let module = path
            .strip_prefix(&src)
            .unwrap()
            .components()
            .next()
            .unwrap();
        let module = module
            .as_os_str()
            .to_str()
            .unwrap()
            .trim_end_matches(".rs")
            .to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        (module, path.clone(), code.collect::<Vec<_>>().join("\n"))
    };
    // Tests may reach for a neighbour above to try a part with the real thing.
    let tests = |path: &Path| {
        path.strip_prefix(&src)
            .unwrap()
            .iter()
            .any(|part| part == "tests" || part == "tests.rs")
    };
    sources(&src)
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "rs") && !tests(path))
        .map(read)
        .collect()
}

/// Whether `code` names `path` as the beginning of a path: `crate::hub` but not `crate::hubris`.
fn names(code: &str, path: &str) -> bool {
    code.match_indices(path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + path.len()..].chars().next();
        let word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
        !word(before) && !word(after)
    })
}

#[test]
fn imports_flow_one_way() {
    let rank = |module: &str| ORDER.iter().position(|known| *known == module);
    let mut crossed = Vec::new();
    for (module, path, code) in modules() {
        // error.rs is what every module may say, lib.rs only lists the modules.
        let Some(own) = rank(&module) else { continue };
        for above in &ORDER[..own] {
            if names(&code, &format!("crate::{above}")) {
                crossed.push(format!("{} uses {above}", path.display()));
            }
        }
    }
    assert!(crossed.is_empty(), "{crossed:#?}");
}

#[test]
fn each_wall_keeps_its_crate_in() {
    let mut crossed = Vec::new();
    for (module, path, code) in modules() {
        for (krate, allowed) in CRATES {
            if !allowed.contains(&module.as_str()) && names(&code, &format!("{krate}::")) {
                crossed.push(format!("{} uses {krate}", path.display()));
            }
        }
    }
    assert!(crossed.is_empty(), "{crossed:#?}");
}
