//! What Windows does in another way: in place of the modules of the same names.

pub(crate) mod bond;
pub(crate) mod doctor;
pub(crate) mod serving;
pub(crate) mod shim;
pub(crate) mod signals;
pub(crate) mod spawn;
#[allow(unsafe_code)]
mod sys;
