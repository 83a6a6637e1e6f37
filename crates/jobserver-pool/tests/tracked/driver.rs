//! The simplest driver that endpoints can have: first come, first served, one offer each; an offer that nobody takes
//! moves on. It keeps books of every token, and complains when they don't balance.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{mpsc, Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use jobserver_pool::endpoint::{EndpointId, Endpoints, Event, Kind, LeaseId, Style};
use jobserver_pool::fuse::Reach;
use jobserver_pool::process::ProcessId;
use rustix::event::{PollFd, PollFlags, Timespec};

/// Nothing healthy takes that long.
const BOUND: Duration = Duration::from_secs(60);
/// How long an offer may lie before somebody else gets it.
const PATIENCE: Duration = Duration::from_millis(3);

pub struct Account {
    pub lease: LeaseId,
    pub process: Option<ProcessId>,
    pub kind: Kind,
    pub offered: usize,
    pub held: usize,
    /// Nobody has it open.
    pub shut: bool,
    served: Instant,
}

/// All tokens, and where they are.
pub struct Books {
    pub total: usize,
    pub free: usize,
    pub strays: usize,
    pub accounts: BTreeMap<EndpointId, Account>,
    /// How many endpoints there were in all, and how many tokens were taken.
    pub opened: usize,
    pub taken: usize,
    /// The most that were held at once.
    pub peak: usize,
    pub sharing: Vec<String>,
    pub unmounted: bool,
    /// What must never happen.
    pub wrong: Vec<String>,
    /// Whether free tokens are offered at all.
    pub offers: bool,
}

type Order = Box<dyn FnOnce(&mut Endpoints, &mut Books) + Send>;

pub struct Pool {
    pub dir: PathBuf,
    books: Arc<Mutex<Books>>,
    orders: mpsc::Sender<Order>,
    thread: Option<thread::JoinHandle<()>>,
    _parent: tempfile::TempDir,
}

impl Pool {
    pub fn start(total: usize) -> Pool {
        Pool::with_style(total, Style::Tracked(Reach::Owner))
    }

    pub fn with_style(total: usize, style: Style) -> Pool {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("pool");
        let endpoints = Endpoints::start(&dir, style).unwrap();
        let books = Arc::new(Mutex::new(Books::new(total)));
        let (orders, inbox) = mpsc::channel();
        let shared = Arc::clone(&books);
        let thread = thread::spawn(move || serve(endpoints, &shared, &inbox));
        Pool { dir, books, orders, thread: Some(thread), _parent: parent }
    }

    /// Does something in the driver's thread, between two turns.
    pub fn order<T: Send + 'static>(&self, what: impl FnOnce(&mut Endpoints, &mut Books) -> T + Send + 'static) -> T {
        let (answer, result) = mpsc::channel();
        let order: Order = Box::new(move |endpoints, books| drop(answer.send(what(endpoints, books))));
        self.orders.send(order).unwrap();
        result.recv_timeout(BOUND).unwrap()
    }

    /// A new lease of whoever runs the test.
    pub fn lease(&self, name: &'static str) -> PathBuf {
        self.order(move |endpoints, _| {
            let lease = endpoints.open_lease(name, rustix::process::geteuid().as_raw()).unwrap();
            endpoints.path(lease).unwrap()
        })
    }

    pub fn look<T>(&self, what: impl FnOnce(&Books) -> T) -> T {
        what(&self.books.lock().unwrap())
    }

    pub fn wait(&self, why: &str, until: impl Fn(&Books) -> bool) {
        let start = Instant::now();
        while !self.look(&until) {
            assert!(start.elapsed() < BOUND, "in vain: {why}: {}", self.look(Books::text));
            thread::sleep(Duration::from_micros(200));
        }
    }

    /// Every client is gone: all tokens must be back, and nothing may be left of the FIFOs and the mount.
    pub fn finish(mut self) -> Books {
        self.wait("all clients gone", |books| books.accounts.values().all(|account| account.process.is_none()));
        self.order(|_, books| books.offers = false);
        let shared: Vec<EndpointId> = self.look(|books| books.accounts.keys().copied().collect());
        for endpoint in shared {
            self.order(move |endpoints, books| {
                let abandoned = endpoints.abandoned(&[endpoint]).go_on(endpoints, usize::MAX).unwrap();
                assert_eq!(abandoned, Some(vec![endpoint]));
                endpoints.shut(endpoint);
                books.close(endpoint);
            });
        }
        drop(std::mem::replace(&mut self.orders, mpsc::channel().0));
        self.thread.take().unwrap().join().unwrap();
        assert_eq!(std::fs::read_dir(&self.dir).unwrap().count(), 0, "FIFOs or the mount are left");
        let books = std::mem::replace(&mut *self.books.lock().unwrap(), Books::new(0));
        assert_eq!(books.free, books.total, "{}", books.text());
        assert_eq!(books.wrong, [""; 0], "{}", books.text());
        books
    }
}

impl Books {
    fn new(total: usize) -> Books {
        Books {
            total,
            free: total,
            strays: 0,
            accounts: BTreeMap::new(),
            opened: 0,
            taken: 0,
            peak: 0,
            sharing: Vec::new(),
            unmounted: false,
            wrong: Vec::new(),
            offers: true,
        }
    }

    pub fn held(&self) -> usize {
        self.accounts.values().map(|account| account.held).sum()
    }

    pub fn text(&self) -> String {
        let line = |(id, account): (&EndpointId, &Account)| {
            let pid = account.process.map_or(0, |process| process.pid);
            format!("\n  {} pid {pid} {:?} offered {} held {}", id.0, account.kind, account.offered, account.held)
        };
        let lines: String = self.accounts.iter().map(line).collect();
        format!("total {} free {} strays {} wrong {:?}{lines}", self.total, self.free, self.strays, self.wrong)
    }

    fn apply(&mut self, event: Event, endpoints: &mut Endpoints) {
        match event {
            Event::Opened { endpoint, lease, process, kind, .. } => {
                let served = Instant::now();
                let account = Account { lease, process, kind, offered: 0, held: 0, shut: false, served };
                assert!(self.accounts.insert(endpoint, account).is_none());
                self.opened += 1;
            }
            Event::Changed { endpoint, kind } => {
                let account = self.accounts.get_mut(&endpoint).unwrap();
                (account.kind, account.shut) = (kind, false);
            }
            Event::Shut { endpoint } => self.accounts.get_mut(&endpoint).unwrap().shut = true,
            Event::Stirred { endpoint, taken, returned, left } => {
                let account = self.accounts.get_mut(&endpoint).expect("a known endpoint");
                if taken > account.offered {
                    self.wrong.push(format!("{endpoint:?} took {taken} of {}", account.offered));
                }
                let taken = taken.min(account.offered);
                account.offered -= taken;
                account.held += taken;
                self.taken += taken;
                self.peak = self.peak.max(self.held());
                self.free += self.credit(endpoint, returned);
                let credited = self.credit(endpoint, left);
                self.accounts.get_mut(&endpoint).unwrap().offered += credited;
                endpoints.withdraw(endpoint, left - credited).unwrap();
            }
            Event::Gone { endpoint } => self.close(endpoint),
            Event::Sharing { error, .. } => self.sharing.push(error.to_string()),
            Event::Unmounted { .. } => self.unmounted = true,
            other => self.wrong.push(format!("{other:?}")),
        }
        let sum: usize = self.accounts.values().map(|account| account.offered + account.held).sum();
        if self.free + sum != self.total {
            self.wrong.push(format!("unbalanced: {}", self.text()));
        }
    }

    pub fn close(&mut self, endpoint: EndpointId) {
        let account = self.accounts.remove(&endpoint).expect("a known endpoint");
        self.free += account.offered + account.held;
    }

    /// Of `count` bytes that came back, so many were held: by the endpoint itself, else by another one of its lease.
    fn credit(&mut self, endpoint: EndpointId, count: usize) -> usize {
        let lease = self.accounts[&endpoint].lease;
        let mut credited = 0;
        while credited < count {
            let own = Some(endpoint).filter(|endpoint| self.accounts[endpoint].held > 0);
            let others = self.accounts.iter().filter(|(_, account)| account.lease == lease && account.held > 0);
            let Some(payer) = own.or(others.max_by_key(|(_, account)| account.held).map(|(&id, _)| id)) else { break };
            self.accounts.get_mut(&payer).unwrap().held -= 1;
            credited += 1;
        }
        self.strays += count - credited;
        credited
    }

    fn hungry(&self) -> Option<EndpointId> {
        let accounts = self.accounts.iter();
        let hungry =
            accounts.filter(|(_, account)| account.offered == 0 && account.kind != Kind::Writing && !account.shut);
        hungry.min_by_key(|(_, account)| account.served).map(|(&id, _)| id)
    }

    fn give(&mut self, endpoints: &mut Endpoints) {
        while self.offers {
            let Some(hungry) = self.hungry() else { return };
            if self.free == 0 {
                let lying = self.accounts.iter_mut().filter(|(_, account)| account.offered > 0);
                let Some((&id, oldest)) = lying.min_by_key(|(_, account)| account.served) else { return };
                if oldest.served.elapsed() < PATIENCE {
                    return;
                }
                oldest.served = Instant::now();
                let back = endpoints.withdraw(id, 1).unwrap();
                oldest.offered -= back;
                self.free += back;
                if back == 0 {
                    return;
                }
            }
            endpoints.offer(hungry, 1).unwrap();
            let account = self.accounts.get_mut(&hungry).unwrap();
            account.offered += 1;
            account.served = Instant::now();
            self.free -= 1;
        }
    }
}

fn serve(mut endpoints: Endpoints, books: &Mutex<Books>, inbox: &mpsc::Receiver<Order>) {
    loop {
        let wait = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
        rustix::event::poll(&mut [PollFd::from_borrowed_fd(endpoints.fd().as_fd(), PollFlags::IN)], Some(&wait))
            .unwrap();
        let mut books = books.lock().unwrap();
        while let Some(event) = endpoints.next().unwrap() {
            books.apply(event, &mut endpoints);
        }
        loop {
            match inbox.try_recv() {
                Ok(order) => order(&mut endpoints, &mut books),
                Err(mpsc::TryRecvError::Empty) => break,
                Err(mpsc::TryRecvError::Disconnected) => return,
            }
        }
        books.give(&mut endpoints);
    }
}

/// A command that finds the pool at `path`.
pub fn client(program: impl AsRef<std::ffi::OsStr>, path: &Path) -> Command {
    let mut command = Command::new(program);
    testkit::process::without_jobserver(&mut command);
    let flags = format!(" -j9 --jobserver-auth=fifo:{}", path.display());
    command.env("MAKEFLAGS", &flags).env("CARGO_MAKEFLAGS", flags).env("JOBSERVER", path);
    command
}
