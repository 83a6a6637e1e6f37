//! The values of MAKEFLAGS that make and this crate are compared on, written by hand for the corners, and those on which
//! the two differ, with the reason.
//!
//! `DIR` stands for the folder of the bench. Numbers 3 to 8 are open there, two for each FIFO.

use super::bench::Did;

/// make 4.3 and 4.4.1 join what this crate joins.
pub(crate) const ALIKE: &[&str] = &[
    "",
    " ",
    "k",
    "--jobserver-auth=3,4",
    "--jobserver-fds=3,4",
    " -j8 --jobserver-auth=3,4",
    "k -j --jobserver-fds=5,6 --jobserver-auth=5,6",
    // The last of both spellings counts.
    "--jobserver-auth=3,4 --jobserver-fds=5,6",
    "--jobserver-fds=5,6 --jobserver-auth=3,4",
    "--jobserver-auth=3,4 --jobserver-fds=5,6 --jobserver-auth=7,8",
    "--jobserver-auth=3,6",
    // Disabled for this recipe, and numbers that are not open.
    " -j --jobserver-auth=3,4 --jobserver-auth=-2,-2",
    "--jobserver-auth=-2,-2 --jobserver-auth=3,4",
    "--jobserver-auth=-1,4",
    "--jobserver-auth=97,98",
    // Blanks: space and tab separate, any white space may lead, a newline does not separate.
    "k\t --jobserver-auth=3,4",
    "\n\t k --jobserver-auth=3,4",
    "-k --jobserver-auth=3,4 V=1\n--jobserver-auth=5,6",
    "k ",
    // Quotes.
    r"\-\-jobserver-auth=3,4",
    r"--jobserver-auth=3\,4",
    r"--jobserver-auth\=3,4",
    r"k\ --jobserver-auth=3,4 V=",
    r"V=a\ --jobserver-auth=3,4",
    r"V=a\\ --jobserver-auth=3,4",
    r"--jobserver-auth=3,4 V=\",
    r"\k --jobserver-auth=3,4",
    r"--jobserver-auth=3,4 V=a$$b",
    // Separate argument, and beginnings of the name.
    "--jobserver-auth 3,4",
    "--jobserver-auth  3,4 -k",
    "--jobserver-fds 3,4",
    "--jobserver-a=3,4",
    "--jobserver-aut 3,4",
    "--jobserver-f=3,4",
    "--jobserver-auth -- --jobserver-fds=3,4",
    // The end of the options.
    "--",
    "-- --jobserver-auth=3,4",
    " -- --jobserver-auth=3,4",
    "k -- V=--jobserver-auth=3,4",
    "k --jobserver-auth=3,4 -- V=--jobserver-auth=5,6",
    "k --jobserver-auth=3,4 -- --jobserver-auth=5,6 -- --jobserver-auth=7,8",
    r"k \-\- --jobserver-auth=3,4",
    // A variable of that name changes what recipes get, not what this make joins.
    "k --jobserver-auth=3,4 -- MAKEFLAGS=--jobserver-auth=5,6",
    // Variables and lone dashes before it.
    "V=--jobserver-auth=3,4",
    "V=1 --jobserver-auth=3,4 W=2",
    "- --jobserver-auth=3,4",
    "k - --jobserver-auth=3,4",
    "jobserver-auth=3,4",
    "-- 3,4",
    // Arguments of other options.
    "-I --jobserver-auth=3,4",
    "-kI --jobserver-auth=3,4 --jobserver-auth=5,6",
    "kI --jobserver-auth=3,4 --jobserver-auth=5,6",
    "-Idir --jobserver-auth=3,4",
    "-I -- --jobserver-auth=3,4",
    "I dir --jobserver-auth=3,4",
    "--include-dir --jobserver-auth=3,4",
    "--include-dir=dir --jobserver-auth=3,4",
    "-o --jobserver-auth=3,4",
    "-W --jobserver-auth=3,4",
    "--what-if --jobserver-auth=3,4",
    "-o file --jobserver-auth=3,4",
    "--eval=E=--jobserver-auth=3,4",
    "--eval E=1 --jobserver-auth=3,4",
    "-O --jobserver-auth=3,4",
    "-Oline --jobserver-auth=3,4",
    "--output-sync --jobserver-auth=3,4",
    "-l --jobserver-auth=3,4",
    "-l 9999 --jobserver-auth=3,4",
    "-l9999 --jobserver-auth=3,4",
    "l 9999 --jobserver-auth=3,4",
    "--debug --jobserver-auth=3,4",
    "-b -m --jobserver-auth=3,4",
    "-f none --jobserver-auth=3,4",
    "foo --jobserver-auth=3,4",
    // -j in all its forms.
    "j --jobserver-auth=3,4",
    "kj8 --jobserver-auth=3,4",
    "kj 8 --jobserver-auth=3,4",
    "-j 8 --jobserver-auth=3,4",
    "-j1 --jobserver-auth=3,4",
    "--jobs --jobserver-auth=3,4",
    "--jobs=8 --jobserver-auth=3,4",
    "--jobs 8 --jobserver-auth=3,4 --jobs",
    "-j4",
    // Once ours are out, neighbours must not mean more than before.
    "-l --jobserver-auth=3,4 5000",
    "l --jobs 5000 --jobserver-auth=3,4 .5",
    "-j8 k --jobserver-auth=3,4",
    "j8 n --jobserver-auth=3,4",
    "-j8 \n-kV=1 --jobserver-auth=3,4",
    // Dry runs join as well.
    "n --jobserver-auth=3,4",
    "-kn --jobserver-auth=3,4",
    "--dry-run --jobserver-auth=3,4",
];

/// make 4.4.1 joins what this crate joins; 4.3 knows no `fifo:`.
pub(crate) const ALIKE_BY_PATH: &[&str] = &[
    "--jobserver-auth=fifo:DIR/a",
    "--jobserver-fds=fifo:DIR/a",
    "k -j4 --jobserver-auth=fifo:DIR/b -- V=--jobserver-auth=fifo:DIR/a",
    "--jobserver-auth=3,4 --jobserver-auth=fifo:DIR/b",
    "--jobserver-auth=fifo:DIR/b --jobserver-fds=3,4",
    "--jobserver-auth=fifo:DIR/none",
    r"--jobserver-auth=fifo:DIR/a\ a",
    r"--jobserver-auth=fifo:DIR/b\\b",
    "--jobserver-auth=fifo:DIR/c$$c",
    r"--jobserver-auth=fifo:DIR/c\$$c",
    "--jobserver-auth fifo:DIR/c",
    "--jobserver-auth=nonsense",
    "--jobserver-style=pipe --jobserver-auth=fifo:DIR/a",
    "--jobserver-style --jobserver-auth=3,4",
    "--shuffle --jobserver-auth=3,4",
];

/// Values on which this crate differs from one make at least, for one reason.
pub(crate) struct Difference {
    pub(crate) why: &'static str,
    pub(crate) make_4_3: Did,
    pub(crate) make_4_4: Did,
    pub(crate) ours: Did,
    pub(crate) values: &'static [&'static str],
}

const A: Did = Did::Joined { read: 'a', write: 'a' };
const B: Did = Did::Joined { read: 'b', write: 'b' };

/// docs/makeflags.md has the same table for people.
pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        why: "4.4.1 stops at what is no option of it, as on its command line",
        make_4_3: A,
        make_4_4: Did::Refused,
        ours: A,
        values: &[
            "-Z --jobserver-auth=3,4",
            "-k-- --jobserver-auth=3,4",
            "--bogus --jobserver-auth=3,4",
            "--jobserver-=5,6 --jobserver-auth=3,4",
            "--silent=1 --jobserver-auth=3,4",
            "-k\n--jobserver-auth=5,6 --jobserver-auth=3,4",
        ],
    },
    Difference {
        why:
            "4.4.1 stops at an argument that is missing, empty or no number, and takes trailing blanks for an empty one",
        make_4_3: A,
        make_4_4: Did::Refused,
        ours: A,
        values: &[
            "--jobserver-auth=3,4 -I",
            "--jobserver-auth=3,4 --jobserver-auth",
            "--jobserver-auth=3,4 --jobserver-auth=",
            "-j8k --jobserver-auth=3,4",
            "-j0 --jobserver-auth=3,4",
            "--jobserver-auth=3,4 -j ",
        ],
    },
    Difference {
        why: "4.4.1 stops at an empty auth; alone it is no pool for anyone",
        make_4_3: Did::Alone,
        make_4_4: Did::Refused,
        ours: Did::Alone,
        values: &["--jobserver-auth=", "k --jobserver-fds= -- V=1"],
    },
    Difference {
        why: "4.4.1 does what the option says: prints its help, goes to a folder",
        make_4_3: A,
        make_4_4: Did::Refused,
        ours: A,
        values: &["-h --jobserver-auth=3,4", "-C none --jobserver-auth=3,4"],
    },
    Difference {
        why: "make prints its version and ends",
        make_4_3: Did::Refused,
        make_4_4: Did::Refused,
        ours: A,
        values: &["v --jobserver-auth=3,4", "--version --jobserver-auth=3,4"],
    },
    Difference {
        why: "4.3 knows no path, and stops at a text that is not two numbers",
        make_4_3: Did::Refused,
        make_4_4: A,
        ours: A,
        values: &["--jobserver-auth=fifo:DIR/a", "k -j2 --jobserver-fds=fifo:DIR/a"],
    },
    Difference {
        why: "4.3 knows no --jobserver-style and goes on with the next word",
        make_4_3: B,
        make_4_4: A,
        ours: A,
        values: &["--jobserver-auth=3,4 --jobserver-style --jobserver-auth=5,6"],
    },
    Difference {
        why: "make reads two numbers as scanf does: blanks before them, anything behind them",
        make_4_3: A,
        make_4_4: A,
        ours: Did::Alone,
        values: &["--jobserver-auth=3,4x", r"--jobserver-auth=3,\ 4", "--jobserver-auth=3,4,5"],
    },
    Difference {
        why: "make expands references to variables, whose values are not known here",
        make_4_3: A,
        make_4_4: A,
        ours: Did::Alone,
        values: &["$(subst x,-,xxjobserver-auth=3,4)", "--jobserver-auth=$(X)3,4"],
    },
];
