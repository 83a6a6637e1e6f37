//! `cargo xtask api`: everything public in 0.1.35 is public here, with the same meaning.
//!
//! rustdoc describes both crates as JSON; [`surface`] turns each into a table from an item's name to what it is, and
//! [`Difference::between`] holds one against the other. What we add is listed and never an error. The comparison reads
//! JSON as it is, without types for it: the format changes with the compiler, and both sides come from the same one.

use std::fs;
use std::path::Path;

use anyhow::{ensure, Context as _, Result};
use serde_json::Value;
use xshell::cmd;

use crate::context::Context;
use crate::upstream;
use surface::Surface;

mod canonical;
mod index;
mod surface;
#[cfg(test)]
mod tests;

/// Compares, prints the result, and fails if anything is missing or different.
pub(crate) fn run(context: &Context) -> Result<()> {
    let upstream = upstream::fetch(context)?;
    let theirs = describe(context, "api-upstream", &upstream.dependent)?;
    let ours = describe(context, "api-library", &context.library)?;
    let difference = Difference::between(&theirs, &ours);
    println!("{}", difference.report(&theirs));
    let wrong = difference.missing.len() + difference.changed.len();
    ensure!(wrong == 0, "{wrong} items of {} are missing or different", upstream::VERSION);
    Ok(())
}

/// The public items of the package `jobserver` as built from the manifest in `dir`.
fn describe(context: &Context, name: &str, dir: &Path) -> Result<Surface> {
    // The format is unstable: a nightly writes it, and so does a stable compiler that is told to act like one.
    let nightly = cmd!(context.sh, "rustup run nightly cargo --version").quiet().ignore_stdout().ignore_stderr();
    let cargo = if nightly.run().is_ok() {
        context.bounded(5, "rustup").args(["run", "nightly", "cargo"])
    } else {
        context.bounded(5, "cargo").env("RUSTC_BOOTSTRAP", "1")
    };
    let target = context.scratch(name)?;
    cargo
        .args(["rustdoc", "--quiet", "--lib", "-p", "jobserver", "--manifest-path"])
        .arg(dir.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(&target)
        .args(["--", "-Zunstable-options", "--output-format=json", "--cap-lints=allow"])
        .run()?;
    let path = target.join("doc/jobserver.json");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let json: Value = serde_json::from_str(&text).with_context(|| path.display().to_string())?;
    Surface::of(&json)
}

/// What differs from the one surface to the other.
struct Difference {
    missing: Vec<String>,
    changed: Vec<(String, Value, Value)>,
    added: Vec<String>,
}

impl Difference {
    fn between(theirs: &Surface, ours: &Surface) -> Difference {
        let mut missing = Vec::new();
        let mut changed = Vec::new();
        for (name, what) in &theirs.items {
            match ours.items.get(name) {
                None => missing.push(name.clone()),
                Some(same) if same == what => {}
                Some(other) => changed.push((name.clone(), what.clone(), other.clone())),
            }
        }
        let added = ours.items.keys().filter(|name| !theirs.items.contains_key(*name)).cloned().collect();
        Difference { missing, changed, added }
    }

    fn report(&self, theirs: &Surface) -> String {
        let mut text = String::new();
        for name in &self.missing {
            text += &format!("missing: {name}\n");
        }
        for (name, theirs, ours) in &self.changed {
            text += &format!("different: {name}\n  0.1.35: {theirs}\n  here:   {ours}\n");
        }
        // Each new type brings some thirty implementations; its name tells as much.
        let (impls, names): (Vec<&String>, _) = self.added.iter().partition(|name| name.starts_with("impl "));
        for name in names {
            text += &format!("added: {name}\n");
        }
        let total = theirs.items.len();
        let found = total - self.missing.len() - self.changed.len();
        let kinds = |kind: &str| theirs.items.keys().filter(|name| name.starts_with(kind)).count();
        text += &format!(
            "{total} items in {} ({} functions, {} trait implementations), {found} the same here, {} missing, \
             {} different; added here: {} items, {} trait implementations",
            upstream::VERSION,
            kinds("fn "),
            kinds("impl "),
            self.missing.len(),
            self.changed.len(),
            self.added.len() - impls.len(),
            impls.len(),
        );
        text
    }
}
