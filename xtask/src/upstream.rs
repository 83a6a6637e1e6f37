//! `jobserver` 0.1.35 as it was published: the measure of what a drop-in has to be.
//!
//! cargo takes it from the registry into a package made for the purpose; nothing of it is ever copied into this
//! repository.

use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::context::{packages, write, Context};

/// The release to compare with.
pub(crate) const VERSION: &str = "0.1.35";

/// The published package on this machine.
pub(crate) struct Upstream {
    /// A package that depends on it.
    pub(crate) dependent: PathBuf,
    /// Its source.
    pub(crate) source: PathBuf,
}

/// Takes the package from the registry.
pub(crate) fn fetch(context: &Context) -> Result<Upstream> {
    let dependent = context.scratch("upstream")?;
    let manifest = format!(
        "[package]\nname = \"upstream-dependent\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n\
         [workspace]\n\n[dependencies]\njobserver = \"={VERSION}\"\n"
    );
    write(&dependent.join("Cargo.toml"), manifest)?;
    write(&dependent.join("src/lib.rs"), "")?;
    let metadata = context.metadata(&dependent)?;
    let package = packages(&metadata, "jobserver").next().context("cargo metadata shows no `jobserver`")?;
    let manifest = PathBuf::from(package["manifest_path"].as_str().context("cargo metadata shows no manifest_path")?);
    let source = manifest.parent().context("a manifest has a folder")?.to_path_buf();
    Ok(Upstream { dependent, source })
}
