//! Which message another one answers. Neither export says so; people do, by beginning with the other's name.

use std::collections::{HashMap, VecDeque};

use super::export::Said;

/// Messages that can be answered: as many as the product lets people answer.
const REACH: usize = 2_000;

/// An answer comes within so long.
const WITHIN_MS: i64 = 10 * 60 * 1_000;

/// The last messages, by their authors' names.
#[derive(Default)]
pub(super) struct Replies {
    last: HashMap<String, Posted>,
    order: VecDeque<(String, String)>,
}

struct Posted {
    at_ms: i64,
    id: String,
}

impl Replies {
    /// The id of the message that this one answers: the last of whom it begins with, as `@name`.
    pub(super) fn meant_by(&self, said: &Said) -> Option<String> {
        let rest = said.text.strip_prefix('@')?;
        // names may have spaces, so the longest that fits is meant
        let ends = rest.char_indices().filter(|(_, c)| !c.is_alphanumeric() && *c != '_').map(|(at, _)| at);
        let ends: Vec<usize> = ends.take(4).chain([rest.len()]).collect();
        let posted = ends.iter().rev().find_map(|end| self.last.get(&name_of(&rest[..*end])))?;
        (said.at_ms.saturating_sub(posted.at_ms) <= WITHIN_MS).then(|| posted.id.clone())
    }

    /// A message that may be answered from now on.
    pub(super) fn remember(&mut self, said: &Said, id: &str) {
        let name = name_of(&said.author.name);
        self.last.insert(name.clone(), Posted { at_ms: said.at_ms, id: id.to_owned() });
        self.order.push_back((name, id.to_owned()));
        if self.order.len() > REACH
            && let Some((name, oldest)) = self.order.pop_front()
            && self.last.get(&name).is_some_and(|posted| posted.id == oldest)
        {
            self.last.remove(&name);
        }
    }
}

/// YouTube's handles begin with the sign themselves.
fn name_of(text: &str) -> String {
    text.trim().trim_start_matches('@').to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::import::export::Author;

    fn said(name: &str, at_ms: i64, text: &str) -> Said {
        let author =
            Author { id: name.to_owned(), name: name.to_owned(), is_host: false, is_moderator: false };
        Said { id: text.to_owned(), at_ms, author, text: text.to_owned(), emotes: 0, paid: None }
    }

    #[test]
    fn whoever_is_named_first_is_answered() {
        let mut replies = Replies::default();
        replies.remember(&said("Ann", 0, "one"), "m1");
        replies.remember(&said("@ben_2", 1, "two"), "m2");
        replies.remember(&said("Ann Marie", 2, "three"), "m3");
        for (text, wanted) in [
            ("@ann yes", Some("m1")),
            ("@Ben_2: no", Some("m2")),
            ("@Ann Marie, really?", Some("m3")),
            ("@Ann", Some("m1")),
            ("@carl who?", None),
            ("hello @ann", None),
        ] {
            assert_eq!(replies.meant_by(&said("x", 10, text)).as_deref(), wanted, "{text}");
        }
        assert_eq!(replies.meant_by(&said("x", WITHIN_MS + 1, "@ann late")), None);
    }

    #[test]
    fn only_the_last_messages_can_be_answered() {
        let mut replies = Replies::default();
        replies.remember(&said("ann", 0, "a"), "first");
        for number in 0..REACH {
            replies.remember(&said(&format!("p{number}"), 0, "b"), &format!("m{number}"));
        }
        assert_eq!(replies.meant_by(&said("x", 1, "@ann hi")), None);
        assert_eq!(replies.last.len(), REACH);
    }
}
