//! The helper thread: what it does to the process, and how it ends.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::Arc;
use std::time::{Duration, Instant};

use compare::either::Jobserver;
use compare::sys;

/// Who handles SIGUSR1 once there is a helper thread.
pub(crate) fn sigusr1<J: Jobserver>() -> String {
    let helper = J::new(1).unwrap().helper(|_| {}).unwrap();
    let handled = sys::is_handled(libc::SIGUSR1).unwrap();
    drop(helper);
    if handled { "a handler of the crate's" } else { "the default action" }.to_string()
}

/// Drops a helper that waits for a token, in a thread that blocks SIGUSR1 as programs do that read signals from a
/// descriptor; then a token comes.
pub(crate) fn masked<J: Jobserver>() -> String {
    sys::block(libc::SIGUSR1);
    let client = J::new(0).unwrap();
    let taken = Arc::new(AtomicBool::new(false));
    let taken_there = taken.clone();
    let helper = client.clone().helper(move |token| {
        J::forget(token.unwrap());
        taken_there.store(true, Ordering::SeqCst);
    });
    let helper = helper.unwrap();
    J::request(&helper);
    wait_until(waits_for_a_token);
    drop(helper);
    client.release_raw().unwrap();
    // A thread that was joined stays in /proc for a moment.
    wait_until(|| taken.load(Ordering::SeqCst) || threads() == 1);
    let left = if taken.load(Ordering::SeqCst) { "a thread left behind took a token" } else { "no thread is left" };
    format!("{left}; {} of 1 tokens free", client.available().unwrap())
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

/// Whether the helper thread sleeps in a system call that can bring it a token: not in the mutex or condition variable
/// where it waits for a request.
fn waits_for_a_token() -> bool {
    let main = sys::tid().to_string();
    let tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap());
    let mut others = tasks.filter(|task| task.file_name().to_string_lossy() != main);
    others.any(|task| {
        // The number of the call it sleeps in, or `running`; none for one that has just ended.
        let call = fs::read_to_string(task.path().join("syscall")).unwrap_or_default();
        let number = call.split(' ').next().and_then(|number| number.parse().ok());
        let futex: libc::c_long = libc::SYS_futex;
        number.is_some_and(|number: libc::c_long| number != futex && number != -1)
    })
}

fn wait_until(condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "waited in vain");
        // Not a yield: on a busy machine that costs a whole time slice.
        std::thread::sleep(Duration::from_micros(10));
    }
}

/// Drops a helper that certainly waits, `arguments[0]` times, and sees each time that a token that comes then is still
/// there for others.
pub(crate) fn drop_waiting<J: Jobserver>(arguments: &[&str]) -> String {
    let client = J::new(0).unwrap();
    for _ in 0..arguments[0].parse().unwrap() {
        let helper = client.clone().helper(|token| J::forget(token.unwrap())).unwrap();
        J::request(&helper);
        wait_until(waits_for_a_token);
        drop(helper);
        client.release_raw().unwrap();
        client.acquire_raw().unwrap();
    }
    wait_until(|| threads() == 1);
    client.release_raw().unwrap();
    format!("no thread is left; {} of 1 tokens free", client.available().unwrap())
}

/// Drops a helper, `arguments[0]` times, while another thread takes the only token and gives it back at
/// random moments, and until one of them was served; counts the tokens at the end. The pool is the environment's if that
/// names one.
pub(crate) fn drop_racing<J: Jobserver>(arguments: &[&str]) -> String {
    let times: usize = arguments[0].parse().unwrap();
    let client = J::from_env(true).client.unwrap_or_else(|_| J::new(1).unwrap());
    let done = AtomicBool::new(false);
    let served = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random(7);
            while !done.load(Ordering::SeqCst) {
                let token = client.acquire().unwrap();
                random.spin();
                drop(token);
                random.spin();
            }
        });
        let mut random = Random(11);
        // And until one of them got a token: who is quicker is chance.
        for number in 0.. {
            if number >= times && served.load(Ordering::SeqCst) > 0 {
                break;
            }
            let served = served.clone();
            let helper = client.clone().helper(move |token| {
                served.fetch_add(1, Ordering::SeqCst);
                drop(token.unwrap());
            });
            let helper = helper.unwrap();
            J::request(&helper);
            J::request(&helper);
            random.spin();
            drop(helper);
        }
        done.store(true, Ordering::SeqCst);
    });
    assert!(client.take_release_error().is_none());
    wait_until(|| threads() == 1);
    format!("no thread is left; {} of 1 tokens free", client.available().unwrap())
}

/// Short times, the same ones in every run.
struct Random(u64);

impl Random {
    fn spin(&mut self) {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let time = Duration::from_nanos((self.0 >> 33) % 150_000);
        let start = Instant::now();
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
    }
}
