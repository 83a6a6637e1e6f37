//! cargo with the real rustc: eight crates side by side, one whose build script compiles C through `cc`, and a program
//! of them all.
//!
//! What comes from the registry is built before, outside of the pool, and what is ours is built anew each time: a
//! variable that all of it reads has another value. There are two packages, since two cargos in one target directory
//! wait for each other: one whose `cc` draws by upstream's `jobserver`, and one by the library.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{ensure, Result};

use super::builds::script;
use crate::context::{write, Context};

const UNITS: usize = 8;
const C_FILES: usize = 12;
/// The crates, the build script, the crate that it is for, the program; and the C files.
pub(super) const JOBS: usize = UNITS + 3 + C_FILES;

const BUILD_SCRIPT: &str = r#"const _: Option<&str> = option_env!("ROUND");

fn main() {
    println!("cargo:rerun-if-env-changed=ROUND");
    let files = (0..FILES).map(|number| format!("c/part_{number}.c"));
    cc::Build::new().files(files).compile("parts");
}
"#;

/// A job is a compiler that has something to compile: cargo and cc also ask it what it is.
const RUSTC: &str = "#!/bin/sh\ncase \" $* \" in\n*' --crate-name ___ '*) exec \"$@\" ;;\n\
    *' --crate-name '*) exec ${RECORD-} \"$@\" ;;\n*) exec \"$@\" ;;\nesac\n";
const CC: &str = "#!/bin/sh\ncase \"$*\" in\n\
    *-c*part_*.c*) exec ${RECORD-} ${RECORD_C-} sh -c 'gcc \"$@\" && sleep 0.02' gcc \"$@\" ;;\n*) exec gcc \"$@\" ;;\nesac\n";

pub(super) struct Packages {
    first: PathBuf,
    second: PathBuf,
}

impl Packages {
    pub(super) fn new(context: &Context) -> Result<Packages> {
        let library = format!("\n[patch.crates-io]\njobserver = {{ path = {:?} }}\n", context.library);
        let packages = Packages {
            first: generate(context, "cargo-in-a-pool", "")?,
            second: generate(context, "cargo-in-a-pool-by-library", &library)?,
        };
        context.uses_the_library(&packages.second)?;
        Ok(packages)
    }

    /// The package for the build in `dir`.
    fn of(&self, dir: &Path) -> &Path {
        if dir.ends_with("first") {
            &self.first
        } else {
            &self.second
        }
    }

    /// What builds it.
    pub(super) fn command(&self, dir: &Path) -> Result<Vec<String>> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
        write(&dir.join("round"), now.as_nanos().to_string())?;
        let manifest = self.of(dir).join("Cargo.toml").display().to_string();
        // Wider than the pool: only the pool may hold it back.
        let words = ["cargo", "build", "--offline", "--quiet", "-j8", "--manifest-path", &manifest];
        Ok(words.map(str::to_string).to_vec())
    }

    pub(super) fn environment(&self, dir: &Path, command: &mut Command) -> Result<()> {
        let package = self.of(dir);
        command.env("RECORD", dir.join("record")).env("ROUND", fs::read_to_string(dir.join("round"))?);
        for (name, value) in variables(package) {
            command.env(name, value);
        }
        Ok(())
    }

    /// Runs the program that was built.
    pub(super) fn check(&self, dir: &Path) -> Result<()> {
        let output = Command::new(self.of(dir).join("target/debug/app")).output()?;
        let said = String::from_utf8_lossy(&output.stdout);
        let round = fs::read_to_string(dir.join("round"))?;
        let sum = (0..UNITS).sum::<usize>() + (0..C_FILES).sum::<usize>();
        ensure!(said == format!("{sum} {round}\n"), "the program says {said:?}, not {sum} {round}");
        Ok(())
    }
}

fn variables(package: &Path) -> [(&'static str, PathBuf); 3] {
    [
        ("CARGO_TARGET_DIR", package.join("target")),
        ("RUSTC_WRAPPER", package.join("rustc")),
        ("CC", package.join("compiler")),
    ]
}

fn generate(context: &Context, name: &str, patch: &str) -> Result<PathBuf> {
    let package = context.scratch(name)?;
    let member = |name: &str, more: &str| {
        let path = package.join(name).join("Cargo.toml");
        write(&path, format!("[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2021\"\n{more}"))
    };
    let units: Vec<String> = (0..UNITS).map(|number| format!("unit{number}")).collect();
    let round = "pub const ROUND: Option<&str> = option_env!(\"ROUND\");\n";
    for (unit, number) in units.iter().zip(0..) {
        member(unit, "")?;
        write(&package.join(unit).join("src/lib.rs"), format!("{round}pub fn number() -> i32 {{ {number} }}\n"))?;
    }
    member("parts", "\n[build-dependencies]\ncc = { version = \"1.2\", features = [\"parallel\"] }\n")?;
    write(&package.join("parts/build.rs"), BUILD_SCRIPT.replace("FILES", &C_FILES.to_string()))?;
    let mut parts = String::new();
    for number in 0..C_FILES {
        let source = format!("int part_{number}(void) {{ return {number}; }}\n");
        write(&package.join(format!("parts/c/part_{number}.c")), source)?;
        parts += &format!("    fn part_{number}() -> i32;\n");
    }
    let sum: Vec<String> = (0..C_FILES).map(|number| format!("part_{number}()")).collect();
    let sum = format!("pub fn sum() -> i32 {{\n    unsafe {{ {} }}\n}}\n", sum.join(" + "));
    write(&package.join("parts/src/lib.rs"), format!("{round}extern \"C\" {{\n{parts}}}\n{sum}"))?;
    let needed: String = units.iter().map(|unit| format!("{unit}.path = \"../{unit}\"\n")).collect();
    member("app", &format!("\n[dependencies]\nparts.path = \"../parts\"\n{needed}"))?;
    let sum: Vec<String> = units.iter().map(|unit| format!("{unit}::number()")).collect();
    let sum = format!("parts::sum() + {}", sum.join(" + "));
    let main = format!("fn main() {{\n    println!(\"{{}} {{}}\", {sum}, env!(\"ROUND\"));\n}}\n");
    write(&package.join("app/src/main.rs"), main)?;
    // Resolver 3 passes over versions that the installed compiler is too old for.
    let members = "[workspace]\nresolver = \"3\"\nmembers = [\"app\", \"parts\", \"unit*\"]\n";
    write(&package.join("Cargo.toml"), format!("{members}{patch}"))?;
    script(&package.join("rustc"), RUSTC)?;
    script(&package.join("compiler"), CC)?;
    let build = context.cargo_in(&package, 10, &["build", "--quiet"]).env("ROUND", "0");
    build.envs(variables(&package)).run()?;
    Ok(package)
}
