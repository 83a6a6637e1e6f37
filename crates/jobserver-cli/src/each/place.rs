//! Where the slots of the items come from: an inherited jobserver, or a pool as `run` finds or makes it.
//!
//! In a pool of its own, or as a lease of a served one, `each` is the command: the first slot is its own, further ones
//! are tokens of a client that it is like any other. The items' commands join the same pool.

use std::ffi::OsString;
use std::io;
use std::process::Command;

use jobserver::{Client, Slot, Slots};

use super::crew::Crew;
use crate::cli;
use crate::plan::{self, Plan, Wish};
use crate::pool::Pool;
use crate::report::say;
use crate::shim::{self, Shims};
use crate::signals::Signals;
use crate::words::Words;

pub(super) enum Origin {
    Inherited(Client),
    Planned(Plan, Option<Shims>),
}

pub(super) struct Place {
    slots: Slots,
    /// None: the inherited one, which the commands find as `each` has found it.
    pool: Option<Pool>,
    most: usize,
    shims: Option<Shims>,
}

impl Origin {
    /// Looked for before this process opens anything: descriptors that are closed must not be numbers of ours.
    pub(super) fn find(args: &cli::Each, words: &[OsString]) -> Origin {
        if args.pool.is_none() {
            if let Ok(client) = Client::connect() {
                return Origin::Inherited(client);
            }
        }
        let (plan, shims) = plan::make(&Wish {
            pool: args.pool.as_deref(),
            no_pool: args.no_pool,
            jobs: args.jobs,
            style: cli::Style::Auto,
            shim: cli::Shim::Auto,
            program: &words[0],
        });
        Origin::Planned(plan, shims)
    }
}

impl Place {
    /// `None`: a signal came while it waited for a first slot.
    pub(super) fn open(origin: Origin, args: &cli::Each, words: &[OsString], signals: &mut Signals) -> Option<Place> {
        let (plan, shims) = match origin {
            Origin::Inherited(client) => {
                let most = args.jobs.unwrap_or(usize::MAX);
                return Some(Place { slots: Slots::new(client), pool: None, most, shims: None });
            }
            Origin::Planned(plan, shims) => (plan, shims),
        };
        let alone = plan.jobs_alone();
        let words = Words::new(args.name.as_deref(), words);
        let mut pool = Pool::open(plan, &words, &mut Command::new("true"), || signals.want_end())?;
        let client = match &mut pool {
            Pool::Own(server) => Ok(Some(server.client())),
            Pool::Inherited(client) => Ok(Some(client.clone())),
            Pool::Leased(leased) => {
                leased.belongs_to(std::process::id());
                leased.client().map(Some)
            }
            // Made to be shared with one command, which `each` is not.
            Pool::Nested(_) | Pool::Without { .. } => Ok(None),
        };
        let slots = match client {
            Ok(Some(client)) => Slots::new(client),
            Ok(None) => Slots::within(alone),
            Err(error) => {
                say(format_args!("the pool gives no slots: {error}: going on with one item at a time"));
                Slots::within(1)
            }
        };
        Some(Place { slots, pool: Some(pool), most: usize::MAX, shims })
    }

    /// How many at once, whatever the slots.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// A slot. When none can be had any more it is one item at a time, which is the slot that nobody can take.
    pub(super) fn take(&self, crew: &Crew) -> Option<Slot> {
        match self.slots.acquire() {
            Ok(slot) => Some(slot),
            Err(error) => {
                say(format_args!("the pool gives no slots: {error}: waiting until no item runs"));
                crew.wait_for_none();
                self.slots.try_acquire().ok().flatten()
            }
        }
    }

    /// Lets a command join.
    pub(super) fn join(&self, command: &mut Command) -> io::Result<()> {
        let Some(pool) = &self.pool else { return Ok(()) };
        pool.join(command)?;
        shim::hand(self.shims.as_ref(), command);
        Ok(())
    }

    pub(super) fn close(self) {
        if let Some(error) = self.slots.take_release_error() {
            say(format_args!("a slot could not be given back: {error}: the pool has one fewer"));
        }
        drop(self.slots);
        if let Some(pool) = self.pool {
            pool.close().lines().into_iter().for_each(say);
        }
    }
}
