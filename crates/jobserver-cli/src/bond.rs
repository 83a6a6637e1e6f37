//! What ties the command to us. On Unix nothing does: a build that outlives `jobserver` ends as it would have, in the
//! pool that it has. Windows has its own: `windows/bond.rs`.

pub(crate) struct Bond;

impl Bond {
    pub(crate) fn tie() -> Bond {
        Bond
    }

    /// Who is left of the command is no matter here: what it holds is said, and it may go on.
    pub(crate) fn wait_for_the_rest(&self, _is_whole: impl Fn() -> bool) {}
}
