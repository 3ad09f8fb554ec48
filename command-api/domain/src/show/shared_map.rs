//! A map whose copies share what they have in common.
//!
//! A busy show knows a million commands and a hundred thousand persons, and its state is copied for each snapshot and
//! after each conflict. Here a copy costs nothing, a change copies the few nodes on its way, and what two copies
//! differ in is found at the cost of the difference.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Bits of the hash that choose a child: with eight children a branch is two lines of the processor's cache, and a
/// million entries are six steps away.
const FAN_OUT_BITS: u32 = 3;
const FAN_OUT: usize = 1 << FAN_OUT_BITS;
const CHILD_MASK: u64 = FAN_OUT as u64 - 1;

/// Entries of a leaf: few enough to be looked through and copied in well under a microsecond, enough for the leaves
/// that a split makes to be worth their room.
const LEAF_MAX: usize = 32;

/// Below this the hash has no bits left, and leaves grow instead.
const DEPTH_MAX: u32 = u64::BITS / FAN_OUT_BITS;

/// A map from keys to values, with cheap copies.
#[derive(Clone, Debug)]
pub(crate) struct SharedMap<K, V> {
    root: Node<K, V>,
    len: usize,
    /// Which leaf is swept next.
    turn: u64,
}

#[derive(Clone, Debug)]
enum Node<K, V> {
    Leaf(Arc<Vec<(K, V)>>),
    Branch(Arc<[Node<K, V>; FAN_OUT]>),
}

impl<K, V> Default for SharedMap<K, V> {
    fn default() -> Self {
        Self { root: Node::empty(), len: 0, turn: 0 }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> SharedMap<K, V> {
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.root.find(hash_of(key), key)
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// Sets the value of a key; answers the one that it had.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let before = self.root.insert(hash_of(&key), 0, key, value);
        self.len += usize::from(before.is_none());
        before
    }

    /// Removes what need not be kept from one leaf; the next call is for another one. Called with each insertion it
    /// keeps up with what grows old, at a small and equal cost each time.
    pub(crate) fn sweep(&mut self, keep: impl Fn(&V) -> bool) {
        self.len -= self.root.sweep(self.turn, &keep);
        self.turn = self.turn.wrapping_add(1);
    }

    /// All entries, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let mut nodes = vec![&self.root];
        std::iter::from_fn(move || {
            while let Some(node) = nodes.pop() {
                match node {
                    Node::Leaf(entries) => return Some(entries.iter()),
                    Node::Branch(children) => nodes.extend(children.iter()),
                }
            }
            None
        })
        .flatten()
        .map(|(key, value)| (key, value))
    }

    /// The entries that `before` has not, or has with another value. What only `before` has is not told.
    pub(crate) fn changes_since<'a>(&'a self, before: &'a Self) -> impl Iterator<Item = (&'a K, &'a V)>
    where
        V: PartialEq,
    {
        let mut pairs = vec![(&self.root, &before.root, 0)];
        let leaves = std::iter::from_fn(move || {
            while let Some((now, before, depth)) = pairs.pop() {
                if now.is_shared_with(before) {
                    continue;
                }
                match now {
                    Node::Leaf(entries) => return Some((entries, before, depth)),
                    Node::Branch(children) => {
                        let each = children.iter().enumerate();
                        pairs.extend(each.map(|(index, child)| (child, before.child(index), depth + 1)));
                    }
                }
            }
            None
        });
        leaves.flat_map(|(entries, before, depth)| {
            let is_new =
                move |(key, value): &&(K, V)| before.find(below(hash_of(key), depth), key) != Some(value);
            entries.iter().filter(is_new).map(|(key, value)| (key, value))
        })
    }
}

impl<K, V> Node<K, V> {
    fn empty() -> Self {
        Self::Leaf(Arc::default())
    }

    fn is_shared_with(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Leaf(one), Self::Leaf(other)) => Arc::ptr_eq(one, other),
            (Self::Branch(one), Self::Branch(other)) => Arc::ptr_eq(one, other),
            (Self::Leaf(_), Self::Branch(_)) | (Self::Branch(_), Self::Leaf(_)) => false,
        }
    }

    /// A leaf holds all that its children would.
    fn child(&self, index: usize) -> &Self {
        match self {
            Self::Leaf(_) => self,
            Self::Branch(children) => &children[index],
        }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> Node<K, V> {
    fn find(&self, mut hash: u64, key: &K) -> Option<&V> {
        let mut node = self;
        while let Self::Branch(children) = node {
            node = &children[child_of(hash)];
            hash >>= FAN_OUT_BITS;
        }
        let Self::Leaf(entries) = node else { return None };
        entries.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    fn insert(&mut self, hash: u64, depth: u32, key: K, value: V) -> Option<V> {
        match self {
            Self::Branch(children) => {
                let child = &mut Arc::make_mut(children)[child_of(hash)];
                child.insert(hash >> FAN_OUT_BITS, depth + 1, key, value)
            }
            Self::Leaf(entries) => {
                if let Some(index) = entries.iter().position(|(known, _)| *known == key) {
                    let known = &mut Arc::make_mut(entries)[index].1;
                    return Some(std::mem::replace(known, value));
                }
                if entries.len() < LEAF_MAX || depth >= DEPTH_MAX {
                    Arc::make_mut(entries).push((key, value));
                    return None;
                }
                *self = Self::split(entries, depth);
                self.insert(hash, depth, key, value)
            }
        }
    }

    /// A branch with what was in a leaf at this depth.
    fn split(entries: &[(K, V)], depth: u32) -> Self {
        let mut leaves: [Vec<(K, V)>; FAN_OUT] = Default::default();
        for entry in entries {
            leaves[child_of(below(hash_of(&entry.0), depth))].push(entry.clone());
        }
        Self::Branch(Arc::new(leaves.map(|leaf| Self::Leaf(Arc::new(leaf)))))
    }

    /// Answers how many were removed. Nothing is copied where nothing is removed.
    fn sweep(&mut self, turn: u64, keep: &impl Fn(&V) -> bool) -> usize {
        let mut leaf = &*self;
        let mut way = turn;
        while let Self::Branch(children) = leaf {
            leaf = &children[child_of(way)];
            way >>= FAN_OUT_BITS;
        }
        match leaf {
            Self::Leaf(entries) if !entries.iter().all(|(_, value)| keep(value)) => self.remove(turn, keep),
            Self::Leaf(_) | Self::Branch(_) => 0,
        }
    }

    fn remove(&mut self, turn: u64, keep: &impl Fn(&V) -> bool) -> usize {
        match self {
            Self::Leaf(entries) => {
                let kept: Vec<_> = entries.iter().filter(|(_, value)| keep(value)).cloned().collect();
                let removed = entries.len() - kept.len();
                *entries = Arc::new(kept);
                removed
            }
            Self::Branch(children) => {
                let removed = Arc::make_mut(children)[child_of(turn)].remove(turn >> FAN_OUT_BITS, keep);
                if let Some(joined) = join(children) {
                    *self = joined;
                }
                removed
            }
        }
    }
}

/// One leaf of a branch's children, if they are leaves and hold little: half of what would be split again.
fn join<K: Clone, V: Clone>(children: &[Node<K, V>; FAN_OUT]) -> Option<Node<K, V>> {
    let mut all = Vec::new();
    for child in children {
        match child {
            Node::Leaf(entries) if all.len() + entries.len() <= LEAF_MAX / 2 => {
                all.extend_from_slice(entries);
            }
            Node::Leaf(_) | Node::Branch(_) => return None,
        }
    }
    Some(Node::Leaf(Arc::new(all)))
}

/// Two maps are the same if they hold the same, however it is kept.
impl<K: Hash + Eq + Clone, V: Clone + PartialEq> PartialEq for SharedMap<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.changes_since(other).next().is_none()
    }
}

/// The same on every node and in every run, as copies are compared by their structure.
fn hash_of(key: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish()
}

fn child_of(hash: u64) -> usize {
    (hash & CHILD_MASK) as usize
}

/// What is left of a hash at a depth.
fn below(hash: u64, depth: u32) -> u64 {
    hash.checked_shr(depth * FAN_OUT_BITS).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    fn filled(count: u32) -> SharedMap<u32, u32> {
        let mut map = SharedMap::default();
        for n in 0..count {
            map.insert(n, 0);
        }
        map
    }

    #[test]
    fn what_differs_is_found_without_looking_at_what_is_shared() {
        let before = filled(20_000);
        let mut now = before.clone();
        now.insert(7, 1);
        now.insert(20_000, 1);
        now.insert(8, 0);
        let mut changed: Vec<_> = now.changes_since(&before).map(|(key, value)| (*key, *value)).collect();
        changed.sort_unstable();
        assert_eq!(changed, [(7, 1), (20_000, 1)]);
        let shares = |one: &Node<_, _>, other: &Node<_, _>| match (one, other) {
            (Node::Branch(one), Node::Branch(other)) => {
                one.iter().zip(other.iter()).filter(|(one, other)| one.is_shared_with(other)).count()
            }
            (Node::Leaf(_) | Node::Branch(_), _) => 0,
        };
        assert!(shares(&now.root, &before.root) >= FAN_OUT - 3, "three keys touch three ways at most");
    }

    #[test]
    fn sweeping_keeps_up_and_gives_the_room_back() {
        let mut map = SharedMap::default();
        for n in 0..50_000_u32 {
            map.insert(n, n);
            map.sweep(|value| *value + 10_000 > n);
            assert!(map.len < 25_000, "{} after {n}", map.len);
        }
        for _ in 0..50_000 {
            map.sweep(|_| false);
        }
        assert_eq!(map.len, 0);
        assert!(matches!(map.root, Node::Leaf(_)), "empty leaves are joined");
    }

    /// A key of which the hash says nothing.
    #[derive(Clone, PartialEq, Eq, Debug)]
    struct Alike(u32);

    impl Hash for Alike {
        fn hash<H: Hasher>(&self, _: &mut H) {}
    }

    #[test]
    fn keys_with_equal_hashes_are_told_apart() {
        let mut map = SharedMap::default();
        for n in 0..100 {
            map.insert(Alike(n), n);
        }
        assert!((0..100).all(|n| map.get(&Alike(n)) == Some(&n)));
        assert_eq!(map.changes_since(&SharedMap::default()).count(), 100);
    }

    proptest! {
        #[test]
        fn copies_are_what_plain_maps_would_be(
            first in prop::collection::vec((0..600_u32, 0..4_u32), 0..800),
            then in prop::collection::vec((0..600_u32, 0..4_u32), 0..100),
            // from none to nearly all are swept, so that branches become leaves that the copy has not
            least in 0..4_u32,
        ) {
            let (mut map, mut plain) = (SharedMap::default(), HashMap::new());
            for (key, value) in first {
                prop_assert_eq!(map.insert(key, value), plain.insert(key, value));
            }
            let (before, plain_before) = (map.clone(), plain.clone());
            for (key, value) in then {
                prop_assert_eq!(map.insert(key, value), plain.insert(key, value));
            }
            for _ in 0..1_024 {
                map.sweep(|value| *value >= least);
            }
            plain.retain(|_, value| *value >= least);
            let held: HashMap<u32, u32> = map.iter().map(|(key, value)| (*key, *value)).collect();
            prop_assert_eq!(map.len, plain.len());
            prop_assert_eq!(&held, &plain);
            prop_assert!(plain_before.iter().all(|(key, value)| before.get(key) == Some(value)));
            let changed: HashMap<u32, u32> = map.changes_since(&before).map(|(key, value)| (*key, *value)).collect();
            plain.retain(|key, value| plain_before.get(key) != Some(value));
            prop_assert_eq!(changed, plain);
        }
    }
}
