//! Values of MAKEFLAGS made by a fixed seed, for the combinations that nobody thinks of.
//!
//! Every piece has its arguments with it, so that what follows a piece never changes what it means, and it is known of
//! each value whether make 4.4.1 refuses it.

/// A value made by chance, and whether make 4.4.1 refuses it.
pub(crate) struct Made {
    pub(crate) value: String,
    pub(crate) refused_by_4_4: bool,
}

/// `count` values of the same seed, the same on every machine.
pub(crate) fn made(count: usize, with_paths: bool) -> Vec<Made> {
    let mut chance = Chance(if with_paths { 0x5eed_f1f0 } else { 0x5eed_0043 });
    (0..count).map(|_| make_one(&mut chance, with_paths)).collect()
}

fn make_one(chance: &mut Chance, with_paths: bool) -> Made {
    let mut refused_by_4_4 = false;
    let mut value = chance.pick(&["", "", " ", "\t", "\n "]).to_string();
    value +=
        chance.pick(&["k", "ks", "n", "kj8", "j", "kI dir", "kI AUTH", "l 9999", "-k", "V=1", "-", r"\k", "w", ""]);
    for _ in 0..chance.below(5) {
        value += chance.pick(&[" ", " ", " ", "  ", "\t", " \t "]);
        match chance.below(8) {
            0..=2 => value += auth(chance, with_paths),
            3..=4 => value += chance.pick(OPTIONS),
            5 => value += chance.pick(&["V=1", "V=AUTH", r"V=a\ AUTH", "V:=AUTH", r"V=\\", "V=a$$b", "-", "W=--"]),
            6 => value += chance.pick(OPTIONS),
            _ if chance.below(4) == 0 => {
                refused_by_4_4 = true;
                value += chance.pick(&["-Z", "--bogus=1", "--jobserver-=3,4", "--jobserver-auth=", "-j8k", "--jobs="]);
            }
            _ => value += "-s",
        }
    }
    value += chance.pick(&["", "", "", " --", " -- V=AUTH", " -- AUTH", " -- V=1  W=AUTH -j", r" -- V=a\ b\\\ AUTH"]);
    let ended = value.contains(" -- ") || value.ends_with(" --");
    if !ended && chance.below(12) == 0 {
        refused_by_4_4 = true;
        value += chance.pick(&[" -I", " -kI ", " --jobserver-auth", " -W"]);
    }
    while let Some(at) = value.find("AUTH") {
        let auth = auth(chance, with_paths);
        // As an argument or a value only what is one word.
        let word = if auth.contains(r"\ ") { auth } else { auth.split(' ').next().unwrap() };
        value.replace_range(at..at + 4, word);
    }
    Made { value, refused_by_4_4 }
}

fn auth(chance: &mut Chance, with_paths: bool) -> &'static str {
    if with_paths && chance.below(2) == 0 {
        return chance.pick(&[
            "--jobserver-auth=fifo:DIR/a",
            "--jobserver-auth=fifo:DIR/b",
            "--jobserver-fds=fifo:DIR/c",
            "--jobserver-auth fifo:DIR/b",
            r"--jobserver-auth=fifo:DIR/a\ a",
            "--jobserver-auth=fifo:DIR/c$$c",
        ]);
    }
    chance.pick(&[
        "--jobserver-auth=3,4",
        "--jobserver-auth=5,6",
        "--jobserver-fds=7,8",
        "--jobserver-fds=3,6",
        "--jobserver-auth=7,4",
        "--jobserver-auth 5,6",
        "--jobserver-fds 3,4",
        "--jobserver-a=7,8",
        "--jobserver-f 5,8",
        r"\--jobserver\-auth=3,4",
        r"--jobserver-auth=5\,6",
        "--jobserver-auth=-2,-2",
        "--jobserver-auth=97,98",
    ])
}

const OPTIONS: &[&str] = &[
    "-s",
    "-j",
    "-j8",
    "-j 3",
    "-kj3",
    "-kj 3",
    "--jobs",
    "--jobs=5",
    "--jobs 5",
    "-I dir",
    "-Idir",
    "-I AUTH",
    "-I --",
    "--include-dir AUTH",
    "-o AUTH",
    "--what-if=AUTH",
    "-W file",
    "-O",
    "-Oline",
    "-l 9999",
    "-l",
    "--load-average=9999",
    "--eval=E=AUTH",
    "--no-print-directory",
    "--recon",
    "-n",
    "-wB",
];

/// xorshift: no dependency, the same everywhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) % end
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.below(from.len() as u64) as usize]
    }
}
