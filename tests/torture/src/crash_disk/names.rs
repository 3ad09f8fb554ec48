//! Changes of directories that are not durable yet.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

use super::model::{Ino, Model};

/// One change. A move is one change, whatever the two directories: no power cut shows half of it.
#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Set { dir: Ino, name: OsString, ino: Ino },
    Remove { dir: Ino, name: OsString },
    Move { from: (Ino, OsString), to: (Ino, OsString), ino: Ino },
}

impl NameChange {
    pub(super) fn dirs(&self) -> BTreeSet<Ino> {
        match self {
            Self::Set { dir, .. } | Self::Remove { dir, .. } => BTreeSet::from([*dir]),
            Self::Move { from, to, .. } => BTreeSet::from([from.0, to.0]),
        }
    }

    pub(super) fn ino(&self) -> Option<Ino> {
        match self {
            Self::Set { ino, .. } | Self::Move { ino, .. } => Some(*ino),
            Self::Remove { .. } => None,
        }
    }

    /// Does to the names of `dir` what of this change concerns them.
    pub(super) fn apply(&self, dir: Ino, names: &mut BTreeMap<OsString, Ino>) {
        match self {
            Self::Set { name, ino, .. } => {
                names.insert(name.clone(), *ino);
            }
            Self::Remove { name, .. } => {
                names.remove(name);
            }
            Self::Move { from, to, ino } => {
                // a name that was lost, or has come to mean something else, is not ours to take
                if from.0 == dir && names.get(&from.1) == Some(ino) {
                    names.remove(&from.1);
                }
                if to.0 == dir {
                    names.insert(to.1.clone(), *ino);
                }
            }
        }
    }
}

/// Makes the changes of a directory durable, and those that they rest on: a move takes along what happened in the
/// other directory before it, as on every file system that does not tear moves.
pub(super) fn commit_names(model: &mut Model, dir: Ino) {
    let mut dirs = BTreeSet::from([dir]);
    let (mut committed, mut left) = (Vec::new(), Vec::new());
    for change in std::mem::take(&mut model.unsynced_names).into_iter().rev() {
        let touched = change.dirs();
        if touched.is_disjoint(&dirs) {
            left.push(change);
        } else {
            dirs.extend(touched);
            committed.push(change);
        }
    }
    left.reverse();
    model.unsynced_names = left;
    for change in committed.into_iter().rev() {
        make_durable(model, &change);
    }
}

/// Applies a change to what the disk has.
pub(super) fn make_durable(model: &mut Model, change: &NameChange) {
    for dir in change.dirs() {
        if let Ok(names) = model.names_mut(dir) {
            change.apply(dir, &mut names.durable);
        }
    }
}
