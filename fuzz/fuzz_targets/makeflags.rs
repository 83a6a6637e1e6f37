//! Any bytes as MAKEFLAGS: read, joined, left; what was written is read back and writing again changes nothing.
#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use jobserver::{Auth, MakeFlags};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let flags = MakeFlags::parse(OsStr::from_bytes(data));
    let left = flags.without_jobserver();
    for auth in [Auth::Pipe { read: 3, write: 4 }, Auth::Fifo("/tmp/p".into())] {
        let written = flags.with_jobserver(&auth, Some(4)).expect("a plain auth can be written");
        let joined = MakeFlags::parse(&written);
        assert_eq!(joined.jobserver(), Some(&*auth.to_os_string()));
        assert_eq!(joined.dry_run(), flags.dry_run());
        assert_eq!(joined.without_jobserver(), left);
        assert_eq!(joined.with_jobserver(&auth, Some(4)).as_ref(), Ok(&written));
    }
    let alone = MakeFlags::parse(&left);
    assert_eq!((alone.jobserver(), alone.jobs()), (None, None));
    assert_eq!(alone.without_jobserver(), left);
});
