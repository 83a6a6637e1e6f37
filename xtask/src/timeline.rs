//! `cargo xtask timeline`: the page of `run --timeline` in a real browser, headless.
//!
//! Its script has to run, and what it counts while it draws has to be what the recorded events say, which are counted
//! here once more, from the trace alone. What a build calls its commands must not become a part of the page.

mod browser;
mod counted;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{ensure, Context as _, Result};
use serde_json::Value;

use self::browser::{Browser, Dom};
use self::counted::Counted;
use crate::context::Context;
use crate::pool::builds;
use crate::pool::stage::Stage;

#[derive(clap::Args, Default)]
pub(crate) struct Options {
    /// Keep the pages and pictures of them, light and dark, wide and narrow, in this folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
}

/// Text that would be an element if it were not escaped.
const HOSTILE: &str = "</script><img src=x onerror=alert(1)>";

pub(crate) fn run(context: &Context, options: &Options) -> Result<()> {
    let browser = Browser::find(context)?;
    let stage = Stage::new(context)?;
    type Make = fn(&Stage) -> Result<PathBuf>;
    let builds: [(&str, Make, &str); 4] =
        [("small", mixed, ""), ("large", builds::trivial, ""), ("looked", mixed, "looks"), ("hostile", hostile, "")];
    for (name, make, by) in builds {
        let dir = make(&stage)?;
        let (page, trace) = (stage.path(&format!("{name}.html")), stage.path(&format!("{name}.json")));
        let mut run = stage.jobserver(&["run", "-j4", "--no-pool", "--style", "tracked", "--timeline"]);
        run.arg(&page).arg("--trace").arg(&trace).arg("--").arg(&stage.make).arg("-s");
        let status = run.env("JOBSERVER_TIMELINE", by).env("NINJA", &stage.ninja).current_dir(&dir).status()?;
        ensure!(status.success(), "{name}: {status}");
        let counted = Counted::of(&serde_json::from_slice::<Value>(&fs::read(&trace)?)?)?;
        let dom = browser.open(&page)?;
        check(name, &fs::read_to_string(&page)?, &dom, &counted).with_context(|| format!("the page {name}"))?;
        println!("{name}: {counted}, {} KiB", fs::metadata(&page)?.len() / 1024);
        if let Some(keep) = &options.keep {
            pictures(&browser, &page, &trace, keep, name)?;
        }
    }
    Ok(())
}

fn check(name: &str, page: &str, dom: &Dom, counted: &Counted) -> Result<()> {
    ensure!(dom.complaints.is_empty(), "the browser complains: {}", dom.complaints.join("\n"));
    for wanted in ["://", "url(", "@import", "<link", "<iframe", " src="] {
        ensure!(name == "hostile" || !page.contains(wanted), "the page asks for something by {wanted:?}");
    }
    let elements = |what: &str| dom.text.matches(&format!("<{what}")).count();
    ensure!(elements("script") == 2 && elements("img") == 0, "a command has become a part of the page");
    counted.compare(dom)?;
    match name {
        "small" => {
            for command in ["make", "ninja"] {
                ensure!(counted.lanes.iter().any(|lane| lane == command), "no lane of {command}: {:?}", counted.lanes);
            }
            // Eight by make, six by ninja, one link.
            ensure!(counted.named("gcc") == 15, "{} jobs of gcc", counted.named("gcc"));
        }
        "large" => ensure!(counted.named("true") == 2000, "{} jobs of true", counted.named("true")),
        "hostile" => {
            ensure!(dom.text.contains("&lt;/script&gt;&lt;img src=x"), "the hostile command is not shown");
            ensure!(counted.named("<b>bold") == 1, "the hostile program is not there");
        }
        _ => {}
    }
    Ok(())
}

fn pictures(browser: &Browser, page: &Path, trace: &Path, keep: &Path, name: &str) -> Result<()> {
    fs::create_dir_all(keep)?;
    for file in [page, trace] {
        fs::copy(file, keep.join(file.file_name().context("a file has a name")?))?;
    }
    for (look, width, dark) in
        [("wide", 1600, false), ("narrow", 400, false), ("wide-dark", 1600, true), ("narrow-dark", 400, true)]
    {
        browser.picture(page, &keep.join(format!("{name}-{look}.png")), width, dark)?;
    }
    Ok(())
}

/// A real build: a make with a ninja below it, and a link at the end.
fn mixed(stage: &Stage) -> Result<PathBuf> {
    let dir = stage.folder("mixed")?;
    let body: String = (0..60)
        .map(|number| {
            format!(
                "int PREFIX({number})(int n) {{ int s = 0; while (n-- > 0) s += n * n % {}; return s; }}\n",
                number + 3
            )
        })
        .collect();
    let source =
        format!("#define JOIN(a, b) a##b\n#define NAME(a, b) JOIN(a, b)\n#define PREFIX(n) NAME(UNIT, _##n)\n{body}");
    let units: Vec<String> =
        (1..=8).map(|unit| format!("m{unit}")).chain((1..=6).map(|unit| format!("n{unit}"))).collect();
    for unit in &units {
        fs::write(dir.join(format!("{unit}.c")), format!("#define UNIT {unit}\n{source}"))?;
    }
    fs::write(dir.join("main.c"), "int main(void) { return 0; }\n")?;
    let edges: String = (1..=6).map(|unit| format!("build n{unit}.o: cc n{unit}.c\n")).collect();
    fs::write(dir.join("build.ninja"), format!("rule cc\n command = gcc -O1 -c $in -o $out\n{edges}"))?;
    fs::write(
        dir.join("Makefile"),
        "OWN := $(patsubst %,m%.o,1 2 3 4 5 6 7 8)\napp: $(OWN) part\n\t@gcc main.c *.o -o app\n\
         %.o: %.c\n\t@gcc -O1 -c $< -o $@\npart: ; +@$(NINJA) --quiet\n.PHONY: part\n",
    )?;
    Ok(dir)
}

/// Commands with names that nobody would choose.
fn hostile(stage: &Stage) -> Result<PathBuf> {
    let dir = stage.folder("hostile")?;
    let program = dir.join("<b>bold");
    fs::copy("/bin/sleep", &program)?;
    fs::write(
        dir.join("Makefile"),
        format!("all: a b\na: ; @sh -c 'sleep 0.3; exit 0' \"{HOSTILE}\"\nb: ; @'./<b>bold' 0.3\n"),
    )?;
    Ok(dir)
}
