//! What the tests of `terminate` ask of the system.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::OnceLock;

pub use libc::{SIGHUP, SIGINT, SIGTERM};

/// Sends `signal` to a child that was not waited for yet.
pub fn kill(child: &Child, signal: i32) {
    // SAFETY: takes numbers; the number is the child's own until it is waited for.
    assert_eq!(unsafe { libc::kill(child.id() as libc::pid_t, signal) }, 0);
}

/// Sends `signal` to this thread.
pub fn raise(signal: i32) {
    // SAFETY: takes a number.
    assert_eq!(unsafe { libc::raise(signal) }, 0);
}

/// Ends the process at once: no handler of `atexit` runs.
pub fn exit_now(status: i32) -> ! {
    // SAFETY: takes a number.
    unsafe { libc::_exit(status) }
}

/// The place of `signal` in a mask.
pub fn bit(signal: i32) -> u64 {
    1 << (signal - 1)
}

/// The signals that this process has handlers for.
pub fn caught_signals() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let mask = text.lines().find_map(|line| line.strip_prefix("SigCgt:")).expect("a list of signals");
    u64::from_str_radix(mask.trim(), 16).unwrap()
}

/// Installs `handler`, with no flags: other signals get through while it runs.
pub fn handle(signal: i32, handler: extern "C" fn(i32)) {
    install(signal, handler as libc::sighandler_t, 0);
}

/// Installs `handler` for one time.
pub fn handle_once(signal: i32, handler: extern "C" fn(i32)) {
    install(signal, handler as libc::sighandler_t, libc::SA_RESETHAND);
}

/// Installs a handler that sets `noted` and calls the one that it found, as `signal-hook` does.
pub fn handle_and_pass_on(signal: i32) -> &'static AtomicBool {
    type Handler = extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void);
    static FOUND: OnceLock<libc::sighandler_t> = OnceLock::new();
    static NOTED: AtomicBool = AtomicBool::new(false);
    extern "C" fn note(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: checked below to have this type.
        let found: Handler = unsafe { std::mem::transmute(*FOUND.get().unwrap()) };
        found(signal, info, context);
        NOTED.store(true, Ordering::SeqCst);
    }
    // SAFETY: all zero bytes are a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: only asks.
    assert_eq!(unsafe { libc::sigaction(signal, std::ptr::null(), &mut action) }, 0);
    assert_ne!(action.sa_flags & libc::SA_SIGINFO, 0);
    FOUND.set(action.sa_sigaction).unwrap();
    action.sa_sigaction = note as Handler as libc::sighandler_t;
    // SAFETY: `note` uses atomics and what it found, which is made for signals.
    assert_eq!(unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) }, 0);
    &NOTED
}

/// Has the child send `signal` to itself between fork and exec.
pub fn raise_before_exec(command: &mut Command, signal: i32) {
    // SAFETY: `raise` may be called between fork and exec.
    unsafe {
        command.pre_exec(move || {
            raise(signal);
            Ok(())
        })
    };
}

/// Ignores `signal`, as `nohup` does.
pub fn ignore(signal: i32) {
    install(signal, libc::SIG_IGN, 0);
}

fn install(signal: i32, handler: libc::sighandler_t, flags: i32) {
    // SAFETY: all zero bytes are a valid `sigaction`: an empty mask, no flags.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler;
    action.sa_flags = flags;
    // SAFETY: the handlers of the tests only use atomics, `raise` and `_exit`.
    assert_eq!(unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) }, 0);
}
