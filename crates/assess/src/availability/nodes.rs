//! Nodes of decision diagrams, each made only once, and the tables that see to it.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// A node: its place in [`Nodes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Ref(u32);

impl Ref {
    /// The terminal `false`, or of a family of sets: no set.
    pub(super) const ZERO: Self = Self(0);
    /// The terminal `true`, or of a family of sets: the empty set alone.
    pub(super) const ONE: Self = Self(1);

    pub(super) const fn index(self) -> usize {
        self.0 as usize
    }

    pub(super) const fn is_terminal(self) -> bool {
        self.0 < 2
    }
}

/// A question about the event at `level` of the order, and what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Node {
    /// Place of the event in the order; terminals are below all.
    pub(super) level: u32,
    /// If it has not happened, or for a family: the sets without it.
    pub(super) low: Ref,
    /// If it has, or the sets with it, without it.
    pub(super) high: Ref,
}

/// The level of terminals.
pub(super) const TERMINAL: u32 = u32::MAX;

/// There are more nodes than were allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the decision diagram outgrew {most} nodes: too many events are entangled with each other")]
pub struct TooLarge {
    /// How many were allowed.
    pub most: usize,
}

/// All nodes. A node comes after those that it leads to, so a walk in the order of their making needs no recursion.
#[derive(Debug)]
pub(super) struct Nodes {
    nodes: Vec<Node>,
    unique: FastMap<Node, Ref>,
    most: usize,
}

impl Nodes {
    /// The two terminals.
    pub(super) fn new(most: usize) -> Self {
        let terminal = |at| Node { level: TERMINAL, low: Ref(at), high: Ref(at) };
        // References have 32 bits.
        let most = most.min(u32::MAX as usize);
        Self { nodes: vec![terminal(0), terminal(1)], unique: FastMap::default(), most }
    }

    /// The node with these parts, made if there is none. Which nodes need not be is for the kind of diagram to say.
    pub(super) fn find_or_make(&mut self, level: u32, low: Ref, high: Ref) -> Result<Ref, TooLarge> {
        let node = Node { level, low, high };
        if let Some(known) = self.unique.get(&node) {
            return Ok(*known);
        }
        if self.nodes.len() >= self.most {
            return Err(TooLarge { most: self.most });
        }
        let new = Ref(u32::try_from(self.nodes.len()).map_err(|_| TooLarge { most: self.most })?);
        self.nodes.push(node);
        self.unique.insert(node, new);
        Ok(new)
    }

    pub(super) fn get(&self, at: Ref) -> Node {
        self.nodes[at.index()]
    }

    pub(super) fn level(&self, at: Ref) -> u32 {
        self.nodes[at.index()].level
    }

    pub(super) const fn len(&self) -> usize {
        self.nodes.len()
    }

    /// All but the terminals, those that are led to before those that lead there.
    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (Ref, Node)> {
        // No cast is lossy: references were made from 32 bits.
        let end = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        (2..end).map(|at| (Ref(at), self.nodes[at as usize]))
    }
}

/// A map for keys that are a few numbers.
pub(super) type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<Mix>>;

/// A hash of numbers by rotation and multiplication, as compilers use it for their tables. The standard library's resists
/// crafted keys, which nobody crafts here, and takes several times as long.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Mix(u64);

impl Hasher for Mix {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        // 2^64 divided by the golden ratio, made odd: neighbouring numbers end far from each other.
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        // The map takes its buckets from the low bits, which multiplication mixes least.
        self.0 ^ (self.0 >> 32)
    }
}

/// Works where the stack is deep enough for a recursion over so many levels.
///
/// The operations on diagrams recurse once per level at most. Architectures of a hundred thousand events exist, and the stack of
/// a thread ends at two megabytes; memory that is not touched costs nothing.
///
/// # Panics
/// When the system gives no thread, or the work itself panics.
pub(super) fn with_deep_stack<T: Send>(levels: usize, work: impl FnOnce() -> T + Send) -> T {
    // Without optimisation the largest frame takes about half a kilobyte.
    let stack = (2 << 20) + levels.saturating_mul(2048);
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(stack).spawn_scoped(scope, work);
        match thread.expect("the system gives a thread").join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
