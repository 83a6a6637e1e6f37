//! A build of make 4.3, make 4.4, ninja, cmake and cargo, with `-j8` written into every script: in four slots, counted from
//! outside.

use std::fs;

use testkit::spans::Recorder;

use crate::sandbox::{text, Outcome, Sandbox};
use crate::shim::run;

/// The jobs of each tool, of which there are five beside the makefile's own.
const JOBS: usize = 8;

struct Mixed {
    sandbox: Sandbox,
    recorder: Recorder,
}

impl Mixed {
    /// Its jobs wait until `meeting` have started.
    fn new(meeting: usize) -> Mixed {
        let mixed = Mixed { sandbox: Sandbox::new(), recorder: Recorder::with_meeting(meeting) };
        let job = format!("{} sleep 0.1", mixed.recorder.wrapper().display());
        let jobs = |form: &str| -> String { (1..=JOBS).map(|number| form.replace('%', &number.to_string())).collect() };
        let flat = format!("all: {}\nj%: ; @{job}\n", jobs("j% "));
        mixed.write(
            "Makefile",
            "all: old new ninja unix nin cargo\n\
             old: ; @+$(MAKE) -s -j8 -f flat.mk\n\
             new: ; @gmake -s -j8 -f flat.mk\n\
             ninja: ; @ninja --quiet -j8 -C n\n\
             unix: ; @cmake -G 'Unix Makefiles' -S c -B c/unix >/dev/null && cmake --build c/unix -j8 >/dev/null\n\
             nin: ; @cmake -G Ninja -S c -B c/nin >/dev/null && cmake --build c/nin --parallel 8 >/dev/null\n\
             cargo: ; @cd r && cargo build --quiet --offline --target-dir target -j8\n",
        );
        mixed.write("flat.mk", &flat);
        mixed.write("n/build.ninja", &format!("rule r\n command = {job}\n{}", jobs("build n%: r\n")));
        let targets = jobs(&format!("add_custom_target(t% ALL COMMAND {job})\n"));
        mixed.write("c/CMakeLists.txt", &format!("cmake_minimum_required(VERSION 3.10)\nproject(p NONE)\n{targets}"));
        mixed.write("r/Cargo.toml", "[workspace]\nmembers = [\"m*\"]\nresolver = \"2\"\n");
        for number in 1..=JOBS {
            let package = format!("[package]\nname = \"m{number}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n");
            mixed.write(&format!("r/m{number}/Cargo.toml"), &package);
            mixed.write(&format!("r/m{number}/src/lib.rs"), "");
        }
        // What cargo asks of rustc is no job.
        let wrapper = format!(
            "#!/bin/sh\ncase \"$*\" in *--crate-name\\ m*) exec {} \"$@\";; esac\nexec \"$@\"\n",
            mixed.recorder.wrapper().display()
        );
        mixed.sandbox.script("r/rustc", &wrapper);
        let config = format!("[build]\nrustc-wrapper = \"{}\"\n", text(&mixed.sandbox.path("r/rustc")));
        mixed.write("r/.cargo/config.toml", &config);
        mixed
    }

    fn write(&self, name: &str, content: &str) {
        fs::create_dir_all(self.sandbox.path(name).parent().unwrap()).unwrap();
        self.sandbox.write(name, content);
    }

    /// How many ran at once.
    fn build(&self, options: &[&str]) -> (Outcome, usize) {
        let outcome = run(&self.sandbox, &[&["-j4"], options, &["--", "make", "-s", "-j8"]].concat());
        let spans = self.recorder.spans();
        assert_eq!((outcome.status, spans.jobs()), (Some(0), 6 * JOBS), "{outcome:?}");
        (outcome, spans.most_at_once())
    }
}

#[test]
fn a_mixed_build_with_a_width_in_every_script_stays_in_the_pool() {
    for style in ["auto", "fifo"] {
        let (outcome, most) = Mixed::new(4).build(&["--shim", "--style", style]);
        // Not a token was lost, no stray came, and no tool complains.
        outcome.is_clean();
        assert_eq!(most, 4, "{style}");
    }
}

#[test]
fn without_shims_the_same_build_runs_far_more_jobs() {
    let (_, most) = Mixed::new(24).build(&["--no-shim"]);
    println!("without shims {most} jobs at once in a pool of 4");
    assert!(most >= 24, "{most}");
}
