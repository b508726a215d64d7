//! Many futures on one virtual clock and one thread, in an order that is always the same.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Wake, Waker},
};

use crate::{
    clock::{Moment, VirtualClock},
    sync::{Mutex, lock},
};

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// Runs futures side by side on a [`VirtualClock`], in no real time. Clones are the same, so that a task can spawn others.
///
/// Who is woken first runs first, and sleepers of one moment wake in the order in which they went to sleep: the same
/// futures run in the same order each time.
///
/// ```
/// use std::{cell::RefCell, rc::Rc};
/// use patterns::{Clock, Moment, VirtualClock, testing::Tasks};
///
/// let tasks = Tasks::new(&VirtualClock::new());
/// let order = Rc::new(RefCell::new(Vec::new()));
/// for millis in [20, 10] {
///     let (clock, order) = (tasks.clock().clone(), Rc::clone(&order));
///     tasks.spawn(async move {
///         clock.sleep_until(Moment::from_millis(millis)).await;
///         order.borrow_mut().push(millis);
///     });
/// }
/// tasks.run_until(Moment::from_millis(15));
/// assert_eq!(*order.borrow(), [10]);
/// ```
#[derive(Clone)]
pub struct Tasks {
    clock: VirtualClock,
    slots: Rc<RefCell<Slots>>,
    ready: Arc<Ready>,
    running: Rc<Cell<bool>>,
}

#[derive(Default)]
struct Slots {
    tasks: Vec<Option<Slot>>,
    free: Vec<usize>,
    live: usize,
}

struct Slot {
    /// Away while it is being polled.
    task: Option<Task>,
    wakeup: Arc<Wakeup>,
}

/// Who is to be polled, in order.
type Ready = Mutex<VecDeque<usize>>;

struct Wakeup {
    index: usize,
    ready: Arc<Ready>,
    /// Already in the queue.
    queued: AtomicBool,
    /// Its task is over, and its place may be another's.
    over: AtomicBool,
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        Self::wake_by_ref(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.over.load(Ordering::Acquire) && !self.queued.swap(true, Ordering::AcqRel) {
            lock(&self.ready).push_back(self.index);
        }
    }
}

impl Tasks {
    /// No tasks yet.
    #[must_use]
    pub fn new(clock: &VirtualClock) -> Self {
        Self { clock: clock.clone(), slots: Rc::default(), ready: Arc::default(), running: Rc::default() }
    }

    /// The clock.
    #[must_use]
    pub const fn clock(&self) -> &VirtualClock {
        &self.clock
    }

    /// How many tasks are not over.
    #[must_use]
    pub fn live(&self) -> usize {
        self.slots.borrow().live
    }

    /// Adds a task. It first runs at the next [`run_until`](Tasks::run_until), or later in the one under way.
    pub fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        let mut slots = self.slots.borrow_mut();
        let index = slots.free.pop().unwrap_or(slots.tasks.len());
        let (queued, over) = (AtomicBool::new(true), AtomicBool::new(false));
        let wakeup = Arc::new(Wakeup { index, ready: Arc::clone(&self.ready), queued, over });
        let slot = Some(Slot { task: Some(Box::pin(task)), wakeup });
        match slots.tasks.get_mut(index) {
            Some(free) => *free = slot,
            None => slots.tasks.push(slot),
        }
        slots.live += 1;
        lock(&self.ready).push_back(index);
    }

    /// Runs everything that happens up to and including the moment, and leaves the clock there.
    ///
    /// # Panics
    ///
    /// When called by one of the tasks.
    pub fn run_until(&self, moment: Moment) {
        assert!(!self.running.replace(true), "a task cannot run the tasks: it is one of them");
        loop {
            self.run_ready();
            match self.clock.next_wakeup() {
                Some(next) if next <= moment => self.clock.advance_to(next),
                _ => break,
            }
        }
        self.clock.advance_to(moment);
        self.running.set(false);
    }

    /// Polls whoever is woken, until nobody is.
    fn run_ready(&self) {
        loop {
            let Some(index) = lock(&self.ready).pop_front() else { return };
            self.poll(index);
        }
    }

    fn poll(&self, index: usize) {
        let (mut task, wakeup) = {
            let mut slots = self.slots.borrow_mut();
            let Some(Some(slot)) = slots.tasks.get_mut(index) else { return };
            let Some(task) = slot.task.take() else { return };
            (task, Arc::clone(&slot.wakeup))
        };
        wakeup.queued.store(false, Ordering::Release);
        let waker = Waker::from(Arc::clone(&wakeup));
        // Not while the slots are borrowed: the task may spawn others.
        let over = task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
        if over {
            wakeup.over.store(true, Ordering::Release);
            // Its end may spawn too, so it is dropped before the slots are borrowed; and may wake it, so its place is
            // given away last.
            drop(task);
            let mut slots = self.slots.borrow_mut();
            slots.tasks[index] = None;
            slots.live -= 1;
            if !wakeup.queued.load(Ordering::Acquire) {
                slots.free.push(index);
            }
        } else if let Some(Some(slot)) = self.slots.borrow_mut().tasks.get_mut(index) {
            slot.task = Some(task);
        }
    }

    /// Drops all tasks, whatever they wait for.
    pub fn cancel_all(&self) {
        let tasks: Vec<Option<Slot>> = {
            let mut slots = self.slots.borrow_mut();
            (slots.live, slots.free) = (0, Vec::new());
            std::mem::take(&mut slots.tasks)
        };
        for slot in tasks.iter().flatten() {
            slot.wakeup.over.store(true, Ordering::Release);
        }
        drop(tasks);
        lock(&self.ready).clear();
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Tasks").field("live", &self.live()).field("clock", &self.clock).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{task::Poll, time::Duration};

    use super::*;
    use crate::clock::Clock as _;

    #[test]
    fn tasks_spawn_tasks_and_run_in_the_order_in_which_they_wake() {
        let tasks = Tasks::new(&VirtualClock::new());
        let order = Rc::new(RefCell::new(String::new()));
        for name in ['a', 'b'] {
            let (inner, order) = (tasks.clone(), Rc::clone(&order));
            tasks.spawn(async move {
                order.borrow_mut().push(name);
                let (clock, again) = (inner.clock().clone(), Rc::clone(&order));
                inner.spawn(async move {
                    clock.sleep_until(clock.now() + Duration::from_secs(1)).await;
                    again.borrow_mut().push(name.to_ascii_uppercase());
                });
            });
        }
        tasks.run_until(Moment::from_millis(999));
        assert_eq!((order.borrow().as_str(), tasks.live()), ("ab", 2));
        tasks.run_until(Moment::from_millis(1000));
        assert_eq!((order.borrow().as_str(), tasks.live()), ("abAB", 0));
        assert_eq!(tasks.clock().now(), Moment::from_millis(1000));
    }

    #[test]
    fn places_are_used_again_and_late_wakes_go_nowhere() {
        let tasks = Tasks::new(&VirtualClock::new());
        let kept: Rc<RefCell<Option<Waker>>> = Rc::default();
        let keep = Rc::clone(&kept);
        tasks.spawn(std::future::poll_fn(move |context| {
            *keep.borrow_mut() = Some(context.waker().clone());
            Poll::Ready(())
        }));
        tasks.run_until(Moment::ZERO);
        let polled = Rc::new(Cell::new(0));
        let counter = Rc::clone(&polled);
        tasks.spawn(std::future::poll_fn(move |_| {
            counter.set(counter.get() + 1);
            Poll::<()>::Pending
        }));
        kept.borrow().as_ref().unwrap().wake_by_ref();
        tasks.run_until(Moment::ZERO);
        assert_eq!((polled.get(), tasks.live(), tasks.slots.borrow().tasks.len()), (1, 1, 1));
        tasks.cancel_all();
        assert_eq!(tasks.live(), 0);
    }

    #[test]
    fn ten_thousand_sleepers_wake_in_order() {
        let tasks = Tasks::new(&VirtualClock::new());
        let last = Rc::new(Cell::new(Moment::ZERO));
        for number in 0..10_000_u64 {
            let (clock, last) = (tasks.clock().clone(), Rc::clone(&last));
            tasks.spawn(async move {
                clock.sleep_until(Moment::from_millis(number * 7919 % 10_007)).await;
                assert!(clock.now() >= last.get());
                last.set(clock.now());
            });
        }
        tasks.run_until(Moment::from_millis(20_000));
        assert_eq!(tasks.live(), 0);
    }
}
