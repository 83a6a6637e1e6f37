//! Accounts: where each slot of a pool is.
//!
//! `capacity + owed = free + offered + held` after every move. A byte never creates a slot: it moves one from an
//! account to free. What a pool still has to take back, after it shrank or started a lease at once, is *owed*, and
//! every slot that becomes free pays it first.
//!
//! Accounts only: who gets what is the [scheduler](crate::scheduler)'s business. A move answers how many slots it
//! moved, at most as many as the account holds, and does nothing for an account that is gone: events about a process
//! may arrive late.

mod account;
mod check;
mod loans;
mod starts;

use slotmap::SlotMap;

pub use account::{EndpointAccount, EndpointId, LeaseAccount, LeaseId, Stage, Terms};

/// What became of bytes that a client wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use]
pub struct Returned {
    /// Slots that were given back.
    pub settled: u32,
    /// Bytes that nobody in the lease could have owed: no slot came of them.
    pub strays: u32,
    /// Other endpoints of the lease that paid for some of them.
    pub payers: Vec<EndpointId>,
}

/// The accounts of one pool.
#[derive(Debug)]
pub struct Ledger {
    capacity: u32,
    owed: u32,
    free: u32,
    offered: u32,
    held: u32,
    tokens: u32,
    strays: u64,
    recovered: u64,
    leases: SlotMap<LeaseId, LeaseAccount>,
    endpoints: SlotMap<EndpointId, EndpointAccount>,
}

/// What may be read.
impl Ledger {
    /// A pool of so many slots, all free.
    pub fn new(capacity: u32) -> Self {
        Self {
            capacity,
            owed: 0,
            free: capacity,
            offered: 0,
            held: 0,
            tokens: 0,
            strays: 0,
            recovered: 0,
            leases: SlotMap::with_key(),
            endpoints: SlotMap::with_key(),
        }
    }

    /// Slots in force.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Slots in use beyond the capacity, taken back as soon as they are returned.
    pub fn owed(&self) -> u32 {
        self.owed
    }

    /// Slots nobody has.
    pub fn free(&self) -> u32 {
        self.free
    }

    /// Tokens that lie at endpoints unread.
    pub fn offered(&self) -> u32 {
        self.offered
    }

    /// Slots in use, implicit slots of this pool included.
    pub fn held(&self) -> u32 {
        self.held
    }

    /// Tokens that clients have read and not returned.
    pub fn tokens(&self) -> u32 {
        self.tokens
    }

    /// Bytes beyond what their lease held, since the beginning.
    pub fn strays(&self) -> u64 {
        self.strays
    }

    /// Slots that came back because their holder was gone, since the beginning.
    pub fn recovered(&self) -> u64 {
        self.recovered
    }

    /// The account of a lease; `None` once it is closed and nothing is counted for it any more.
    pub fn lease(&self, lease: LeaseId) -> Option<&LeaseAccount> {
        self.leases.get(lease)
    }

    /// The account of an endpoint; `None` once it is closed.
    pub fn endpoint(&self, endpoint: EndpointId) -> Option<&EndpointAccount> {
        self.endpoints.get(endpoint)
    }

    /// All leases, in no order.
    pub fn leases(&self) -> impl Iterator<Item = (LeaseId, &LeaseAccount)> {
        self.leases.iter()
    }

    /// All endpoints, in no order.
    pub fn endpoints(&self) -> impl Iterator<Item = (EndpointId, &EndpointAccount)> {
        self.endpoints.iter()
    }
}

/// The life of a lease.
impl Ledger {
    /// Opens an account. The lease waits for its first slot unless its command inherited one, or starts at once.
    pub fn open_lease(&mut self, terms: Terms) -> LeaseId {
        let (inherited, now) = (terms.inherited, terms.now);
        let lease = self.leases.insert(LeaseAccount::new(terms));
        if inherited {
            self.leases[lease].stage = Stage::Running;
        } else if now {
            self.leases[lease].stage = Stage::Running;
            self.leases[lease].implicit = 1;
            self.leases[lease].note_peak();
            self.hold(1);
        }
        lease
    }

    /// Gives a waiting lease its first slot, and says whether one was free.
    pub fn start(&mut self, lease: LeaseId) -> bool {
        match self.leases.get_mut(lease) {
            Some(account) if account.stage == Stage::Waiting && self.free > 0 => {
                account.stage = Stage::Running;
                account.implicit = 1;
                account.note_peak();
                self.hold(1);
                true
            }
            _ => false,
        }
    }

    /// The command of the lease is gone, and with it its implicit slot's job.
    pub fn end_command(&mut self, lease: LeaseId) {
        if let Some(account) = self.leases.get_mut(lease) {
            account.stage = Stage::Ended;
            let implicit = std::mem::take(&mut account.implicit);
            let back = implicit - self.end_loans(lease);
            self.held -= back;
            self.release(back);
            self.forget_if_empty(lease);
        }
    }

    /// Another cap, another weight; what the lease has already, it keeps until it comes back. Answers whether there is
    /// such a lease.
    pub fn set_terms(&mut self, lease: LeaseId, cap: Option<u32>, weight: Option<u32>) -> bool {
        let Some(account) = self.leases.get_mut(lease) else { return false };
        account.terms.cap = cap.unwrap_or(account.terms.cap);
        account.terms.weight = weight.unwrap_or(account.terms.weight);
        true
    }

    /// Nobody speaks for the lease any more. Its account stays until its last endpoint is closed.
    pub fn close_lease(&mut self, lease: LeaseId) {
        self.end_command(lease);
        if let Some(account) = self.leases.get_mut(lease) {
            account.closed = true;
            self.forget_if_empty(lease);
        }
    }

    fn forget_if_empty(&mut self, lease: LeaseId) {
        if self.leases[lease].closed && self.leases[lease].endpoints == 0 {
            self.leases.remove(lease);
        }
    }
}

/// The life of an endpoint.
impl Ledger {
    /// Opens an account for a client, or for a whole lease. `None` when the lease is gone.
    pub fn open_endpoint(&mut self, lease: LeaseId) -> Option<EndpointId> {
        self.leases.get_mut(lease)?.endpoints += 1;
        Some(self.endpoints.insert(EndpointAccount { lease, held: 0, offered: 0 }))
    }

    /// Closes it: all that was counted there is free again. Answers how much was held.
    pub fn close_endpoint(&mut self, endpoint: EndpointId) -> u32 {
        let Some(EndpointAccount { lease, held, offered }) = self.endpoints.remove(endpoint) else { return 0 };
        let account = &mut self.leases[lease];
        account.holders.remove(&(held, endpoint));
        account.held -= held;
        self.tokens -= held;
        account.offered -= offered;
        account.endpoints -= 1;
        let back = held - self.end_loans(lease);
        self.held -= back;
        self.offered -= offered;
        self.recovered += u64::from(held);
        self.release(back + offered);
        self.forget_if_empty(lease);
        held
    }

    /// A process was found to hold so many tokens, as after a restart: from what is free, else owed.
    pub fn adopt(&mut self, endpoint: EndpointId, held: u32) {
        if self.endpoints.contains_key(endpoint) {
            self.change_held(endpoint, i64::from(held));
            self.hold(held);
        }
    }
}

/// The moves of tokens.
impl Ledger {
    /// Free -> offered.
    pub fn offer(&mut self, endpoint: EndpointId, count: u32) -> u32 {
        if !self.endpoints.contains_key(endpoint) {
            return 0;
        }
        let count = count.min(self.free);
        self.free -= count;
        self.change_offered(endpoint, i64::from(count));
        count
    }

    /// Offered -> free: so many bytes were read back.
    pub fn withdraw(&mut self, endpoint: EndpointId, count: u32) -> u32 {
        let count = self.offered_at(endpoint).min(count);
        self.change_offered(endpoint, -i64::from(count));
        self.release(count);
        count
    }

    /// Offered -> held. More than was offered is held all the same, from what is free, else owed: what a client does
    /// is a fact.
    pub fn taken(&mut self, endpoint: EndpointId, count: u32) -> u32 {
        if !self.endpoints.contains_key(endpoint) {
            return 0;
        }
        let offered = self.offered_at(endpoint).min(count);
        self.change_offered(endpoint, -i64::from(offered));
        self.change_held(endpoint, i64::from(offered));
        self.held += offered;
        self.adopt(endpoint, count - offered);
        offered
    }

    /// Held -> free, or -> offered where the bytes stay lying in the FIFO that the writer reads from (`in_place`).
    ///
    /// What the writer doesn't hold settles another account of its lease: those in `before` first, in that order, then
    /// whoever holds most. What nobody in the lease holds is a stray. One that lies in place may be read like any
    /// token: it counts as an offer, out of what is free, else it is owed until it has been read back.
    pub fn returned(&mut self, endpoint: EndpointId, count: u32, in_place: bool, before: &[EndpointId]) -> Returned {
        let Some(lease) = self.endpoints.get(endpoint).map(|account| account.lease) else {
            self.strays += u64::from(count);
            return Returned { strays: count, ..Returned::default() };
        };
        let mut returned = Returned::default();
        // Of these the slots were free already.
        let (paid, mut lent) = self.pay(endpoint, lease, count);
        let mut left = count - paid;
        for &other in before {
            if left == 0 {
                break;
            }
            left -= self.pay_for(other, lease, left, &mut lent, &mut returned.payers);
        }
        while left > 0 {
            let Some(&(_, most)) = self.leases[lease].holders.last() else { break };
            left -= self.pay_for(most, lease, left, &mut lent, &mut returned.payers);
        }
        returned.settled = count - left;
        returned.strays = left;
        self.strays += u64::from(left);
        if in_place {
            self.owed += left + lent;
            self.change_offered(endpoint, i64::from(count));
            self.pay_debt();
        } else {
            self.release(returned.settled - lent);
        }
        returned
    }

    /// Another capacity. What is free is taken back at once; the rest is owed.
    pub fn resize(&mut self, capacity: u32) {
        let (old, new) = (self.capacity, capacity);
        self.capacity = capacity;
        if new >= old {
            self.release(new - old);
        } else {
            self.owed += old - new;
            self.pay_debt();
        }
    }

    fn pay_for(
        &mut self,
        other: EndpointId,
        lease: LeaseId,
        count: u32,
        lent: &mut u32,
        payers: &mut Vec<EndpointId>,
    ) -> u32 {
        let (paid, of_loans) = self.pay(other, lease, count);
        *lent += of_loans;
        if paid > 0 {
            payers.push(other);
        }
        paid
    }

    /// Answers how much was paid, and how much of that was lent.
    fn pay(&mut self, endpoint: EndpointId, lease: LeaseId, count: u32) -> (u32, u32) {
        let Some(account) = self.endpoints.get(endpoint).filter(|account| account.lease == lease) else {
            return (0, 0);
        };
        let paid = account.held.min(count);
        self.change_held(endpoint, -i64::from(paid));
        let lent = self.end_loans(lease);
        self.held -= paid - lent;
        (paid, lent)
    }

    fn offered_at(&self, endpoint: EndpointId) -> u32 {
        self.endpoints.get(endpoint).map_or(0, |account| account.offered)
    }

    fn hold(&mut self, count: u32) {
        let free = self.free.min(count);
        self.free -= free;
        self.owed += count - free;
        self.held += count;
    }

    fn release(&mut self, count: u32) {
        self.free += count;
        self.pay_debt();
    }

    fn pay_debt(&mut self) {
        let paid = self.free.min(self.owed);
        self.free -= paid;
        self.owed -= paid;
    }

    fn change_offered(&mut self, endpoint: EndpointId, by: i64) {
        let Some(account) = self.endpoints.get_mut(endpoint) else { return };
        let lease = &mut self.leases[account.lease];
        for sum in [&mut account.offered, &mut lease.offered, &mut self.offered] {
            *sum = (i64::from(*sum) + by) as u32;
        }
    }

    fn change_held(&mut self, endpoint: EndpointId, by: i64) {
        let account = &mut self.endpoints[endpoint];
        let lease = &mut self.leases[account.lease];
        lease.holders.remove(&(account.held, endpoint));
        for sum in [&mut account.held, &mut lease.held, &mut self.tokens] {
            *sum = (i64::from(*sum) + by) as u32;
        }
        if account.held > 0 {
            lease.holders.insert((account.held, endpoint));
        }
        lease.note_peak();
    }
}
