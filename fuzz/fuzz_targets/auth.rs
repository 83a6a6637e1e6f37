//! Any bytes as an auth: what can be read is written back so that it is read as the same, and what can be named in
//! MAKEFLAGS is found there again.
#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use jobserver::{Auth, MakeFlags};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(auth) = Auth::parse(OsStr::from_bytes(data)) else {
        return;
    };
    let text = auth.to_os_string();
    assert_eq!(Auth::parse(&text).as_ref(), Ok(&auth));
    if let Ok(written) = MakeFlags::default().with_jobserver(&auth, None) {
        assert_eq!(MakeFlags::parse(&written).jobserver(), Some(&*text));
    }
});
