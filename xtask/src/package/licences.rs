//! The licences of the packages that are linked into the command, which ask that their texts go with it.
//!
//! Equal texts stand once. A package that ships none is named with the licence that its manifest states.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{ensure, Context as _, Result};

use crate::context::Context;

/// All of them, in one text.
pub(super) fn of_what_is_linked(context: &Context) -> Result<String> {
    // What is built for the machine that builds (macros, build scripts) is not linked.
    let tree = ["tree", "--locked", "--quiet", "-p", "jobserver-cli", "--edges=normal,no-proc-macro", "--prefix=none"];
    let tree =
        context.cargo(5, &tree).args(["--target=x86_64-unknown-linux-gnu", "--format={p}\t{l}"]).quiet().read()?;
    let metadata = context.metadata(&context.root)?;
    let all = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut without = Vec::new();
    let mut lines: Vec<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    lines.sort_unstable();
    lines.dedup();
    for line in lines {
        let (package, licence) = line.split_once('\t').with_context(|| format!("cargo tree says {line:?}"))?;
        let mut words = package.split(' ');
        let (name, version) =
            (words.next().unwrap_or_default(), words.next().unwrap_or_default().trim_start_matches('v'));
        if package.contains(" (/") {
            // Ours: its licence is the package's own.
            continue;
        }
        let found = all.iter().find(|package| package["name"] == name && package["version"] == version);
        let manifest = found.and_then(|package| package["manifest_path"].as_str());
        let manifest = manifest.with_context(|| format!("{name} {version} is not in cargo's metadata"))?;
        let folder = Path::new(manifest).parent().context("a manifest lies in a folder")?;
        let title = format!("{name} {version} ({})", licence.trim_end_matches(" (*)"));
        let own = own_texts(folder)?;
        if own.is_empty() {
            without.push(title);
        } else {
            for text in own {
                texts.entry(text).or_default().push(title.clone());
            }
        }
    }
    ensure!(!texts.is_empty(), "no licence was found");
    let mut all = String::from("What is linked into the command jobserver, and the licences it is under.\n");
    if !without.is_empty() {
        let _ = write!(all, "\nWithout a text of their own:\n\n{}\n", without.join("\n"));
    }
    for (text, packages) in &texts {
        let _ = write!(all, "\n{}\n\n{}\n\n{}\n", "-".repeat(72), packages.join("\n"), text.trim_end());
    }
    Ok(all)
}

fn own_texts(folder: &Path) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        let is_one = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT", "NOTICE", "UNLICENSE"];
        if path.is_file() && is_one.iter().any(|word| name.starts_with(word)) {
            texts.push(String::from_utf8_lossy(&fs::read(&path)?).replace("\r\n", "\n"));
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_linked_is_named_with_its_licence_and_what_is_ours_is_not() {
        let text = of_what_is_linked(&Context::new(None).unwrap()).unwrap();
        let named = |package: &str| text.lines().any(|line| line.starts_with(package));
        assert!(named("clap ") && named("serde_json ") && named("ratatui "), "{text}");
        assert!(!named("jobserver") && !named("clap_derive "), "{text}");
        assert!(text.contains("Permission is hereby granted"), "{text}");
    }
}
