//! Who waits for what, first come first served: plain data without a lock, a clock or a system call.
//!
//! Every step of it is one call under one lock, so the order of calls is all that concurrency can change, and that is
//! what the properties below try. A waker is foreign code, as its drop is (it may be the last to hold a task, and with
//! it a future that leaves this very line): each one that is no longer needed is handed out, to be dropped or woken
//! where no lock is held.

use std::collections::VecDeque;
use std::mem;
use std::task::Waker;

/// A place in the line. Numbers are not used again, so the smallest one came first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// Those who wait, and the values of those who were served and have not come for them yet.
///
/// Both are in the order of their tickets: who comes last joins at the end, and who is served is the first.
#[derive(Debug)]
pub(crate) struct Line<T> {
    next: u64,
    waiting: VecDeque<(Ticket, Waker)>,
    served: VecDeque<(Ticket, T)>,
}

/// What somebody who left has left behind.
#[derive(Debug)]
pub(crate) enum Left<T> {
    /// The waker: not served yet.
    Place(Waker),
    /// The value that came too late.
    Value(T),
    /// Nothing: the value was taken before.
    Nothing,
}

impl<T> Default for Line<T> {
    fn default() -> Self {
        Line { next: 0, waiting: VecDeque::new(), served: VecDeque::new() }
    }
}

impl<T> Line<T> {
    /// Takes the last place.
    pub(crate) fn join(&mut self, task: Waker) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.waiting.push_back((ticket, task));
        ticket
    }

    /// Gives `value` to the first and returns the waker that tells so; nobody waits: the value comes back.
    pub(crate) fn serve(&mut self, value: T) -> Result<Waker, T> {
        match self.waiting.pop_front() {
            Some((ticket, task)) => {
                self.served.push_back((ticket, value));
                Ok(task)
            }
            None => Err(value),
        }
    }

    /// The value, if it is there; else `task` is who will be told, and who would have been comes out in its place.
    pub(crate) fn collect(&mut self, ticket: Ticket, task: &mut Waker) -> Option<T> {
        if let Some(at) = find(&self.waiting, ticket) {
            mem::swap(&mut self.waiting[at].1, task);
            return None;
        }
        remove(&mut self.served, ticket)
    }

    /// Gives up the place, and the value if it came.
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Left<T> {
        if let Some(task) = remove(&mut self.waiting, ticket) {
            return Left::Place(task);
        }
        remove(&mut self.served, ticket).map_or(Left::Nothing, Left::Value)
    }

    /// Whether nobody waits. Those who were served don't.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

fn find<T>(sorted: &VecDeque<(Ticket, T)>, ticket: Ticket) -> Option<usize> {
    sorted.binary_search_by_key(&ticket, |entry| entry.0).ok()
}

fn remove<T>(sorted: &mut VecDeque<(Ticket, T)>, ticket: Ticket) -> Option<T> {
    let at = find(sorted, ticket)?;
    sorted.remove(at).map(|entry| entry.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::Arc;
    use std::task::Wake;

    /// A task that knows how often it was woken.
    #[derive(Default)]
    struct Task(AtomicU64);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_first_is_served_first_and_told_by_its_newest_waker() {
        let (old, new, second) = (Arc::new(Task::default()), Arc::new(Task::default()), Arc::new(Task::default()));
        let mut line = Line::default();
        assert_eq!(line.serve('x').unwrap_err(), 'x');
        let one = line.join(old.clone().into());
        let two = line.join(second.clone().into());
        let mut task = Waker::from(new.clone());
        assert!(line.collect(one, &mut task).is_none());
        drop(task);
        assert_eq!(Arc::strong_count(&old), 1, "the old waker came out");
        line.serve('a').unwrap().wake();
        assert_eq!([&old, &new, &second].map(|task| task.0.load(Ordering::Relaxed)), [0, 1, 0]);
        let mut task = Waker::from(old);
        assert!(line.collect(two, &mut task).is_none());
        assert_eq!(line.collect(one, &mut task), Some('a'));
        assert!(matches!(line.leave(one), Left::Nothing));
        assert!(matches!(line.leave(two), Left::Place(_)));
        assert!(line.is_empty());
    }

    /// A step of somebody: join, serve, or the `n`th of those who hold a ticket collects or leaves.
    #[derive(Clone, Debug)]
    enum Step {
        Join,
        Serve,
        Collect(prop::sample::Index),
        Leave(prop::sample::Index),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            3 => Just(Step::Join),
            2 => Just(Step::Serve),
            2 => any::<prop::sample::Index>().prop_map(Step::Collect),
            2 => any::<prop::sample::Index>().prop_map(Step::Leave),
        ];
        prop::collection::vec(step, 0..200)
    }

    proptest! {
        #[test]
        fn every_value_has_one_owner_and_goes_to_who_came_first(steps in steps()) {
            let mut line = Line::default();
            // The model: all who hold a ticket, in the order in which they came, with the value that is theirs.
            let mut people: Vec<(Ticket, Option<u32>, Arc<Task>)> = Vec::new();
            let mut values = 0..;
            for step in steps {
                match step {
                    Step::Join => {
                        let task = Arc::new(Task::default());
                        people.push((line.join(task.clone().into()), None, task));
                    }
                    Step::Serve => {
                        let value = values.next().unwrap();
                        let first = people.iter_mut().find(|person| person.1.is_none());
                        match (line.serve(value), first) {
                            (Ok(task), Some(first)) => {
                                task.wake();
                                prop_assert_eq!(first.2.0.load(Ordering::Relaxed), 1);
                                first.1 = Some(value);
                            }
                            (Err(back), None) => prop_assert_eq!(back, value),
                            other => prop_assert!(false, "{:?}", other.0),
                        }
                    }
                    Step::Collect(index) if !people.is_empty() => {
                        let index = index.index(people.len());
                        let (ticket, value, task) = people[index].clone();
                        prop_assert_eq!(line.collect(ticket, &mut task.into()), value);
                        if value.is_some() {
                            people.remove(index);
                        }
                    }
                    Step::Leave(index) if !people.is_empty() => {
                        let (ticket, value, _) = people.remove(index.index(people.len()));
                        match line.leave(ticket) {
                            Left::Place(_) => prop_assert_eq!(value, None),
                            Left::Value(late) => prop_assert_eq!(value, Some(late)),
                            Left::Nothing => prop_assert!(false, "nobody took it"),
                        }
                    }
                    Step::Collect(_) | Step::Leave(_) => {}
                }
                prop_assert_eq!(line.is_empty(), people.iter().all(|person| person.1.is_some()));
            }
            for (ticket, value, task) in people {
                // Each waker is held once, by the line, while its owner waits, and not at all afterwards.
                prop_assert_eq!(Arc::strong_count(&task), 1 + usize::from(value.is_none()));
                line.leave(ticket);
                prop_assert_eq!(Arc::strong_count(&task), 1);
            }
        }
    }
}
