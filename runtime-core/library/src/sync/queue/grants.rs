//! The getters that were granted an item and have not taken it.

use std::collections::VecDeque;

/// The tickets of those getters, in the order of their grants.
///
/// There is nearly always at most one: a getter that was woken takes its item before the next one is granted another.
/// That ticket is kept separately from the rest, and costs no more than a number.
#[derive(Debug)]
pub(super) struct Grants {
    first: Option<usize>,
    /// The tickets after the first, if there is one.
    others: VecDeque<usize>,
    next_ticket: usize,
}

impl Grants {
    pub(super) fn new() -> Self {
        Self {
            first: None,
            others: VecDeque::new(),
            next_ticket: 0,
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        usize::from(self.first.is_some()) + self.others.len()
    }

    /// Issues a ticket for one more grant.
    #[inline]
    pub(super) fn grant(&mut self) -> usize {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        if self.first.is_none() {
            self.first = Some(ticket);
        } else {
            self.others.push_back(ticket);
        }
        ticket
    }

    /// Removes a grant; returns how many grants are before it.
    ///
    /// # Panics
    /// If it was not granted, or was already withdrawn.
    #[inline]
    pub(super) fn withdraw(&mut self, ticket: usize) -> usize {
        // Getters nearly always take in the order of their grants.
        if self.first != Some(ticket) {
            return self.withdraw_out_of_turn(ticket);
        }
        self.first = if self.others.is_empty() {
            None
        } else {
            self.others.pop_front()
        };
        0
    }

    #[cold]
    fn withdraw_out_of_turn(&mut self, ticket: usize) -> usize {
        let place = self.others.binary_search(&ticket);
        let place = place.expect("a grant is kept until it is used or given back");
        self.others.remove(place);
        place + 1
    }
}

#[cfg(all(test, not(any(lab_loom, lab_shuttle))))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// A number withdraws the grant at that place among the remaining ones, if there are that many; otherwise one
        /// more is granted.
        #[test]
        fn a_withdrawn_grant_returns_how_many_are_before_it(
            script in proptest::collection::vec(proptest::option::of(0usize..6), 0..60),
        ) {
            let (mut grants, mut model) = (Grants::new(), Vec::new());
            for step in script {
                match step {
                    Some(place) if place < model.len() => {
                        prop_assert_eq!(grants.withdraw(model.remove(place)), place);
                    }
                    _ => model.push(grants.grant()),
                }
                prop_assert_eq!(grants.len(), model.len());
                prop_assert!(model.is_sorted());
            }
        }
    }
}
